data:
  prices: load parquet from "prices.parquet"
  high: load parquet from "high.parquet"
  low: load parquet from "low.parquet"
  volume: load parquet from "volume.parquet"
signal cross:
  emit zscore(ema(prices, 12) - ema(prices, 26)) + macd(prices).zscore()
signal strength:
  emit rsi(ema(prices, 5), 14) - 50
signal breadth:
  emit rolling_mean(cummax(prices) / vwap(prices, volume), 10) + ffill(atr(high, low, prices, 10) / prices)
portfolio main:
  weights = (cross.rank() + strength.rank() + breadth.rank()).long_short(top=0.25, bottom=0.25)
  backtest rebal=5
