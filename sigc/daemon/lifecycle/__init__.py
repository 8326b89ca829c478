"""The life cycle of a daemon's process: launch, start, boot, serve, reload."""
