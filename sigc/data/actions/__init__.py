"""Corporate actions: read from files, made into factors, held against prices."""
