"""The backtest: a book over rows, its costs, its figures, searches over parameters."""
