"""`sigc watch`: observes a daemon from outside and sends alerts about it."""
