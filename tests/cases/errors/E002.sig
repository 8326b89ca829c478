data:
  prices: load csv from "p.csv"
signal a:
  emit zscre(pricse)
