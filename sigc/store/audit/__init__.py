"""The audit chain: written, signed, mirrored, anchored, verified."""
