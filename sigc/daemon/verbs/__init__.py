"""The verbs of a daemon: one function for each call of the API."""
