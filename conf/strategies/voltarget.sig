data:
  prices: load parquet from "prices.parquet"
signal carry:
  emit rolling_mean(ret(prices), 40)
portfolio main:
  weights = scale_vol(carry.long_short(), 0.08, 30)
  backtest rebal=1
portfolio levered:
  weights = scale_vol(carry.long_only(top=0.5), 0.3, 20)
  constraints:
    max_leverage = 2
