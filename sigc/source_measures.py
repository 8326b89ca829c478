"""The measure of a data source's column, as far as corporate actions change it: prices, or counts of shares."""

from __future__ import annotations

PRICES = frozenset({"open", "high", "low", "close", "price", "px", "prices", "vwap", "mid"})
VOLUMES = frozenset({"volume"})


def measures(name: str, column: str, written: str) -> str:
    """Return 'price', 'volume', or '' for a column that must not be adjusted.

    name: of the source. column: of the file. written: its type in `columns:`.
    """
    words = [word.lower() for word in (name.rpartition(".")[2], column) if word]
    if written.lower() == "price" or any(word in PRICES for word in words):
        return "price"
    if written.lower() == "volume" or any(word in VOLUMES for word in words):
        return "volume"
    return ""
