"""Kernels as they are run: nodes on arrays, chains, walks, memory, what they cost."""
