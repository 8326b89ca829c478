"""The daemon: scheduler, process, log and the HTTP controls (see README.md)."""
