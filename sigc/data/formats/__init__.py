"""Formats of files: each gives the first rows of a file, then the columns that are wanted."""
