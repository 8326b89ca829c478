"""All operators of the language, each declared once."""
