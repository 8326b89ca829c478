"""Put the parts of a computation and of trading together, as a configuration says."""
