data:
  prices: load parquet from "prices.parquet"
  sectors: load sector from "sectors.csv"
params:
  window: [20, 40]
signal fast:
  emit ts_skew(ret(prices), window) - 0.1 * ts_kurt(ret(prices), window)
portfolio main:
  weights = fast.long_short(top=0.3, bottom=0.3)
  costs = tc.asymmetric(buy=3, sell=4) + borrow.rate(0.02) + tc.per_trade(1)
  constraints:
    max_position = 0.15
    dollar_neutral = true
    max_sector = 0.2
    max_turnover = 1.2
  backtest rebal=21
