"""What follows from a configuration for a daemon: strategies, jobs, calendars."""
