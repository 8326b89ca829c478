"""The parts, put together: workspace, daemon, trading, page."""
