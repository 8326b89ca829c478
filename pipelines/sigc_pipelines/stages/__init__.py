"""The five stages of a run, each a function from values to a value: load, compute, validate, execute, audit."""
