"""The alerts of a daemon: routing, delivery, the daily summary, and the alerts sent past the outbox."""
