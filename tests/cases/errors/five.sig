data:
  prices: load parquet from "prices.parquet"
params:
  lookback = 60
signal momentum:
  r = ret(prces, lookback)
  emit zscore(r
portfolio main
  weights = momentum.long_short(topp=0.2)
  constraints:
    max_positon = 0.03
