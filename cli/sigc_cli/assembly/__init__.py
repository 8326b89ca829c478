"""Assembly of the parts: workspace, daemon, trading, page."""
