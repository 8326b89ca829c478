"""The daemon: what runs when, and the process that does it (see README.md)."""
