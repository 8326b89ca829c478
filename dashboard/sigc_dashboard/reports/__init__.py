"""Reports: of a backtest, of a run, of a book that is traded."""
