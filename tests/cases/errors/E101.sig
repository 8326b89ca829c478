data:
  prices: load csv from "p.csv" adjst=split
signal a:
  emit rolling_mean(prices, 0) + rolling_mean(prices, 20.5) + lag() + rank(prices, windw=3) + 1 / 0
portfolio main:
  weights = a.long_short(top=2)
  costs = tc.bps(5) + slippage.model("square") + prices
  backtest rebal=0 rebl=3
