"""The daemon: what runs when, its process, its log, its controls over HTTP (see README.md)."""
