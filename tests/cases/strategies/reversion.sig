# Short-term reversal, smoothed.
data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
signal reversal:
  emit -ts_zscore(prices, 10)
signal quiet:
  emit rank(-rolling_std(ret(prices), 20))
portfolio main:
  score = reversal.rank() + 0.5 * quiet
  weights = score.demean().scale()
  costs = tc.bps(2) + slippage.model("square-root", coef=0.1)
  backtest rebal=5
