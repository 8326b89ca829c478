"""The engine: it runs plans, in this process or on Dask workers."""
