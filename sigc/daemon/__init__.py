"""The long-running service: its process, its log, its controls over HTTP."""
