"""The work of a daemon: runs of every kind, their reports, checks and metrics."""
