"""Blocks of rows: what is stored, computed and checked as one piece."""
