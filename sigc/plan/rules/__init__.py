"""Rewrites of the DAG, one a file, applied in the order of the tuple."""
