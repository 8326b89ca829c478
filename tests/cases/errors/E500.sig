data:
  prices: load csv from "p.csv"
portfolio main:
  weights = rank(prices)
  backtest rebal=21 from 2020-01-01 to 2019-01-01
portfolio other:
  weights = rank(prices)
  backtest rebal=21 from 2020-02-31
