fn f(x): g(x)
fn g(x): f(x)
data:
  prices: load csv from "p.csv"
signal a:
  emit b
signal b:
  emit a + f(prices)
