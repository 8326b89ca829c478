data:
  prices: load csv from "p.csv"
signal a:
  future = lead(prices, 5)
  emit future - prices
signal b:
  emit lag(ema(lead(prices, 2)), 2)
signal fine:
  emit lag(lead(prices, 5), 5)
portfolio main:
  weights = ret(prices, -3)
