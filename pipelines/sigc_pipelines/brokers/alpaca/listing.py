"""Lists that come in pages: orders by the time of their submission, activities by the id of the last one.

From the documentation: at most 500 orders a page, `after` exclusive by submission; at most 100 activities a page,
`page_token` the id that the page begins behind when the direction is ascending.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sigc_pipelines.brokers.alpaca.answers import instant, text
from sigc_pipelines.brokers.alpaca.client import AlpacaClient, AnsweredNoError
from sigc_pipelines.brokers.protocol import UnreachableError

_ORDERS, _ACTIVITIES = 500, 100
_MICROSECOND = timedelta(microseconds=1)


def orders(client: AlpacaClient, status: str, since: datetime | None) -> list[Any]:
    """Return orders of a status (open, all) submitted at or after `since`, by submission. Raises UnreachableError."""
    found: dict[str, Any] = {}
    params = {"status": status, "limit": str(_ORDERS), "direction": "asc", "nested": "false"}
    while True:
        if since is not None:
            # `after` is exclusive: from just before, so that orders of the same instant are not lost between pages.
            params["after"] = stamp(since - _MICROSECOND)
        page = _page(client, "/v2/orders", params)
        new = [each for each in page if text(each, "id") not in found]
        found |= {text(each, "id"): each for each in new}
        if len(page) < _ORDERS:
            return list(found.values())
        if not new:
            raise UnreachableError(f"more than {_ORDERS} orders of one instant can't be listed")
        since = instant(text(page[-1], "submitted_at"))


def activities(client: AlpacaClient, path: str, params: dict[str, str]) -> Iterator[Any]:
    """Yield the activities that the parameters ask for, oldest first. Raises UnreachableError."""
    asked = params | {"direction": "asc", "page_size": str(_ACTIVITIES)}
    while True:
        page = _page(client, path, asked)
        yield from page
        if len(page) < _ACTIVITIES:
            return
        asked["page_token"] = text(page[-1], "id")


def stamp(at: datetime) -> str:
    """Return an instant as the API takes it (RFC 3339)."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _page(client: AlpacaClient, path: str, params: dict[str, str]) -> list[Any]:
    try:
        page = client.get(path, params)
    except AnsweredNoError as no:
        raise UnreachableError(f"{path}: {no}") from no
    if not isinstance(page, list):
        raise UnreachableError(f"{path}: the broker's answer is no list")
    return page
