data:
  prices: load parquet from "prices.parquet"
  sectors: load sector from "sectors.csv"
  volume: load parquet from "volume.parquet"
signal value:
  emit -group_zscore(log(prices), sectors)
signal trend_:
  emit neutralize(ret(prices, 60), by=sectors)
signal both:
  emit zscore(value) + zscore(trend_) + 0.1 * group_rank(rolling_mean(volume, 20), sectors)
portfolio main:
  weights = both.long_short(top=0.3, bottom=0.3)
  backtest rebal=monthly
portfolio energy:
  weights = where(sectors == "Energy", rank(both), 0).scale()
