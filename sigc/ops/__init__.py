"""Every operator of the language, each declared once."""
