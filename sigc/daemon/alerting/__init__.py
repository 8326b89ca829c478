"""Alerts of a daemon: routed, delivered, summed up; what is told past the outbox."""
