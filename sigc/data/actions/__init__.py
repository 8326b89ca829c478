"""Corporate actions: read from files, converted to factors, checked against prices."""
