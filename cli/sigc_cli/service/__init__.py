"""What a daemon is handed and runs: pipelines, scripts, reports, its checks and metrics."""
