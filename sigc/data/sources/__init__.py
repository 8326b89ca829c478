"""Sources: the location of files and frames, and the rows that they give."""
