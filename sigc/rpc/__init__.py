"""The calls to a daemon: verbs and their types, server, client."""
