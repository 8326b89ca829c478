"""The machine that a daemon runs on: processes, ports, logs, the service manager."""
