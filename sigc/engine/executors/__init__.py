"""Executors: threads of this process, or Dask workers with proofs and supervision."""
