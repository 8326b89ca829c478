data:
  source = "bars.parquet"
  format = parquet
  columns:
    date: Date
    ticker: Symbol
    close: Numeric as prices
    volume: Numeric
    high: Numeric
signal range_:
  emit -rolling_corr(prices, volume, 20)
signal peak:
  emit ts_argmax(high, 20) - ts_rank(prices, 20)
portfolio main:
  weights = (range_.rank() + peak.rank()).demean().scale()
