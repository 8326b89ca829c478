"""Formats of files: each gives the first rows of a file, then the requested columns."""
