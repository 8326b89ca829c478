data:
  prices: load csv from "p.csv"
  sectors: load sector from "s.csv"
signal a:
  emit rolling_mean(prices, prices)
signal b:
  emit rolling_corr(prices, 3) + sectors
signal c:
  emit group_mean(prices, rank(prices))
