"""Executors: threads of this process, or Dask workers and all that keeps them honest."""
