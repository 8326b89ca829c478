data:
  prices: load csv from "p.csv"
signal prices:
  x = 1
  x = 2
  emit prices
