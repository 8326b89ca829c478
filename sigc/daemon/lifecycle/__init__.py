"""The life of a daemon's process: launched, started, booted, served, reloaded."""
