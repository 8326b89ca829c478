"""Sources: which files or frames they are, and the rows that they give."""
