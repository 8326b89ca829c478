"""The core of the engine: ready tasks, one task, one drive to the end of a plan."""
