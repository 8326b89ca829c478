"""Texts with a checksum before them, for notes of a store that are trusted as they are. Against damage, not malice."""

from __future__ import annotations

import xxhash


def seal(text: str) -> str:
    """The text with its checksum."""
    return f"{_checksum(text)}\n{text}"


def unseal(sealed: str | None) -> str:
    """The text; '' where there is none, or it is not what was sealed."""
    checksum, _, text = (sealed or "").partition("\n")
    return text if checksum == _checksum(text) else ""


def _checksum(text: str) -> str:
    return xxhash.xxh3_128(text.encode(errors="surrogatepass")).hexdigest()
