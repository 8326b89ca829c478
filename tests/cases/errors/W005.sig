data:
  prices: load csv from "p.csv"
fn rank(x): x
macro twice(x: expr):
  let x = x * 2
  emit x
signal a:
  x = ret(prices, 5)
  y = twice(x)
  x = ret(prices, 20)
  y = rank(x)
  emit x + y
portfolio p:
  weights = a
  costs = tc.bps(1)
  costs = tc.bps(2)
  backtest rebal=5 rebal=21
