"""Dates: stamps of files to dates of rows, sessions, frequencies, instants."""
