"""Syntax: text to a module as written, and back."""
