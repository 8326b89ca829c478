"""Runs plans: in this process or on Dask workers."""
