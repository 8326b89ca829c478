"""Semantics: from a parsed module to resolved values."""
