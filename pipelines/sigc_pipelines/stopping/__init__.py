"""Ways to stop trading: halts, orders cancelled, positions closed."""
