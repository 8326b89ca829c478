"""The schedule: pure functions that read no clock, start no thread and open no file."""
