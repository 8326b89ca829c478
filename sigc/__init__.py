"""sigc: production trading signals from a small pure language."""
