data:
  prices: load parquet from "prices.parquet"
params:
  lookback: range(10, 50, 20)
  top: [0.2, 0.3]
signal score:
  emit rank(ret(prices, lookback)) - rank(rolling_quantile(prices, 30, 0.8) / prices)
portfolio main:
  weights = score.long_short(top=top, bottom=top)
  costs = tc.bps(3)
  backtest rebal=21 walk_forward(train_years=1, test_months=6, optimize=maximize("sharpe")) from 2015-01-02 to 2017-12-29
