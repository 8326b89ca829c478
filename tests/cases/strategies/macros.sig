data:
  prices: load parquet from "prices.parquet"
fn excess(x, n=20): ret(x, n) - median(ret(x, n))
macro smooth(x: expr, days: number = 5):
  let a = rolling_mean(x, days)
  let b = decay_linear(x, days * 2)
  emit (a + b) / 2
signal one:
  emit smooth(excess(prices)).zscore()
signal two:
  emit breakout(prices, 30) + vol_adj_momentum(prices) + quality(prices)
signal three:
  emit momentum(prices, 40).bucket(5) + rsi_signal(prices) + trend(prices, 5, 20)
portfolio main:
  weights = (one + two + three).long_short()
