"""The audit chain: append, sign, mirror, anchor, verify."""
