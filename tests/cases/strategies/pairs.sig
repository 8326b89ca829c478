data:
  prices: load parquet from "prices.parquet"
signal spread:
  ratio = log(prices / prices[S003])
  emit -ts_zscore(ratio, 30)
signal hedge:
  emit rolling_beta(ret(prices), ret(prices[S001]), 40)
portfolio main:
  weights = clip(spread, lo=-2, hi=2).scale() - hedge * 0.01
