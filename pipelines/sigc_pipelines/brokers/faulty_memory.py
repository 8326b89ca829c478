"""Memory of a faulty broker that survives a kill: the count of each request, and the orders under way.

An append-only file of JSON lines, one write a line: after a kill it holds every line that was written.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sigc.private import make_private
from sigc.store.ledger.records import OrderType, Side, TimeInForce
from sigc_pipelines.brokers.protocol import OrderRequest


class Memory:
    """Attempts by operation and subject; orders under way by id. path: None to keep them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._under_way: dict[str, tuple[datetime, OrderRequest]] = {}
        self._handle = -1
        if path is not None:
            make_private(path.parent)
            for line in _lines(path):
                self._read(line)
            self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def attempt(self, operation: str, key: str) -> int:
        """Count an attempt and return its number, from 1."""
        self._write({"attempt": operation, "key": key})
        return self._attempts[operation, key]

    def send(self, request: OrderRequest, due: datetime) -> None:
        """Record that an order is under way until `due`."""
        self._write({"send": _to_json(request), "due": due.isoformat()})

    def due(self, now: datetime) -> list[OrderRequest]:
        """Return the orders that should have arrived by now, in the order of arrival."""
        waiting = sorted((due, id) for id, (due, _) in self._under_way.items() if due <= now)
        return [self._under_way[id][1] for _, id in waiting]

    def arrived(self, request: OrderRequest) -> None:
        """Record that an order has arrived."""
        self._write({"arrived": request.client_order_id})

    def _write(self, line: dict[str, Any]) -> None:
        if self._handle >= 0:
            os.write(self._handle, json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._read(line)

    def _read(self, line: dict[str, Any]) -> None:
        match line:
            case {"attempt": operation, "key": key}:
                self._attempts[operation, key] += 1
            case {"send": request, "due": due}:
                self._under_way[request["client_order_id"]] = (datetime.fromisoformat(due), _from_json(request))
            case {"arrived": id}:
                self._under_way.pop(id, None)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):  # a line without its end was cut off by a kill
                yield json.loads(line)


def _to_json(request: OrderRequest) -> dict[str, Any]:
    return {
        "client_order_id": request.client_order_id,
        "asset": request.asset,
        "side": request.side,
        "quantity": str(request.quantity),
        "order_type": request.order_type,
        "limit": None if request.limit is None else str(request.limit),
        "time_in_force": request.time_in_force,
    }


def _from_json(fields: dict[str, Any]) -> OrderRequest:
    return OrderRequest(
        client_order_id=fields["client_order_id"],
        asset=fields["asset"],
        side=Side(fields["side"]),
        quantity=Decimal(fields["quantity"]),
        order_type=OrderType(fields["order_type"]),
        limit=None if fields["limit"] is None else Decimal(fields["limit"]),
        time_in_force=TimeInForce(fields["time_in_force"]),
    )
