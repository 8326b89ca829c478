"""Text to a module as written, and back."""
