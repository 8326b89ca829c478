data:
  prices: load csv from "p.csv"
  other: load csv from "o.csv"
params:
  n = 3
signal a:
  x = 1
  emit prices
