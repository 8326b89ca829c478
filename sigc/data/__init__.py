"""Data sources: files, folders and frames converted to stored panels."""
