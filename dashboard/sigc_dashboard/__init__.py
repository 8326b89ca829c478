"""The status page, and the reports of backtests, runs and traded books."""
