"""Assembly of computation and trading from a configuration."""
