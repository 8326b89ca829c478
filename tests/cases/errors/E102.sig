data:
  prices: load csv from "p.csv"
signal a:
  x = prices
signal b:
  emit prices
  y = 1
portfolio main:
  costs = tc.bps(5)
