"""Texts with a checksum, for notes of a store that are read without other checks. Protects from damage, not malice."""

from __future__ import annotations

import xxhash


def seal(text: str) -> str:
    """Return the text with its checksum."""
    return f"{_checksum(text)}\n{text}"


def unseal(sealed: str | None) -> str:
    """Return the text; '' if there is none or its checksum is wrong."""
    checksum, _, text = (sealed or "").partition("\n")
    return text if checksum == _checksum(text) else ""


def _checksum(text: str) -> str:
    return xxhash.xxh3_128(text.encode(errors="surrogatepass")).hexdigest()
