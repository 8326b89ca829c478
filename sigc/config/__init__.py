"""The configuration: every setting is declared once; read, checked and found here."""
