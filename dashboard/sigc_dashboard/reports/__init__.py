"""Reports of a backtest, of a run, of a traded book."""
