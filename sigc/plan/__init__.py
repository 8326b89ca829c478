"""Plans: from a checked module to stages of blocks."""
