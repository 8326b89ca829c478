"""Results as text and as plain data."""
