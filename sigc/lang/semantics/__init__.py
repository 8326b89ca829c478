"""A module to what it means."""
