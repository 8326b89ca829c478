"""Configuration: every setting declared once, read, checked, found."""
