"""Pieces shared by views: each a function from values to HTML."""
