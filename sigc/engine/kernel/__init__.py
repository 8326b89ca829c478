"""Kernel execution: nodes on arrays, chains, walks, memory, measured costs."""
