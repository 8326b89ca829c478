"""What a run does: load, compute, validate, execute, audit; and the backtest."""
