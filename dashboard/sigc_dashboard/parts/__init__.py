"""Pieces that views share: each a function of values to HTML."""
