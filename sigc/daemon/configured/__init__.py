"""The daemon's view of a configuration: strategies, jobs, calendars, alerts."""
