// Twelve-month momentum, skipping the last month.
data:
  prices: load parquet from "prices.parquet"
params:
  lookback = 100
  skip = 21
signal momentum:
  past = ret(lag(prices, skip), lookback)
  emit zscore(winsor(past, 0.02))
portfolio main:
  weights = momentum.long_short(top=0.2, bottom=0.2, cap=0.2)
  costs = tc.bps(5)
  backtest rebal=21 from 2015-06-01 to 2016-12-30
