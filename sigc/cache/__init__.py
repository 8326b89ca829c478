"""The content-addressed parquet cache of blocks."""
