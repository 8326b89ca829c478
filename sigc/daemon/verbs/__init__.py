"""The verbs: what a daemon can be asked."""
