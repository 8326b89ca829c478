"""The core of the engine: what can start now, one task, one drive to the end."""
