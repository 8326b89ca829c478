"""A checked module to a plan of blocks."""
