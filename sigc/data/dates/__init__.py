"""Dates: stamps in files to dates of rows, sessions, frequencies, instants."""
