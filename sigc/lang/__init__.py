"""The .sig language: text to a checked module."""
