"""Pipelines: the stages of a run (load, compute, validate, execute, audit), and the backtest."""
