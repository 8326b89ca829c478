"""The outbox: a file for each order and each cancel, written once, whole, and never again.

    order-ID.csv     one order; cancel-ID.csv: the wish to cancel it
    *.part           a file that is being written, or was when the process died: no reader may look at it

A name appears by a rename, so at any crash there is no file under it, or a whole one. Only one process sends at a time
(the ledger is locked), so looking for a name before writing it is enough.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sigc.store.files import sync_directory
from sigc.store.ledger.records import OrderType, TimeInForce
from sigc_pipelines.brokers.files.columns import CANCEL, ORDER, FolderForm, FolderRow
from sigc_pipelines.brokers.protocol import NotSentError, OrderRequest, OutcomeUnknownError, UnreachableError

_MODE = 0o640  # the folder's group, that of the other side, reads
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # a client order id that may be part of a file's name


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order as its file has it."""

    request: OrderRequest
    submitted: datetime


class FolderOutbox:
    """The outbox, and the folder to which the other side moves what it has taken (None: it moves nothing)."""

    def __init__(self, folder: Path, taken: Path | None, form: FolderForm) -> None:
        # Order: a file moves from the outbox to the other folder, so it is found by a look at them in this order.
        self._folders = [folder, *([] if taken is None else [taken])]
        self._folder, self._form = folder, form
        self._read: dict[str, SentOrder] = {}

    def order(self, client_order_id: str) -> SentOrder | None:
        """Return the order of an id, None without one. Raises UnreachableError."""
        path = self._find(ORDER, client_order_id)
        return None if path is None else self._order(path)

    def orders(self) -> tuple[SentOrder, ...]:
        """Return every order, as submitted. Raises UnreachableError."""
        found: dict[str, SentOrder] = {}
        for path in self._listed(f"{ORDER}-"):
            order = self._order(path)
            found[order.request.client_order_id] = order
        return tuple(sorted(found.values(), key=lambda order: (order.submitted, order.request.client_order_id)))

    def send(self, request: OrderRequest, at: datetime) -> None:
        """Write an order. Raises NotSentError, and OutcomeUnknownError if the folder can't be flushed."""
        values = {
            "client_order_id": request.client_order_id,
            "asset": request.asset,
            "side": str(request.side),
            "quantity": f"{request.quantity:f}",
            "order_type": str(request.order_type),
            "limit": "" if request.limit is None else f"{request.limit:f}",
            "time_in_force": str(request.time_in_force),
            "submitted": at.isoformat(),
        }
        self._write(ORDER, request.client_order_id, self._form.file_of(ORDER, values))

    def is_cancelled(self, client_order_id: str) -> bool:
        """Return True if a cancel was written. Raises UnreachableError."""
        return self._find(CANCEL, client_order_id) is not None

    def cancel(self, client_order_id: str, at: datetime) -> None:
        """Write a cancel. Raises UnreachableError."""
        values = {"client_order_id": client_order_id, "submitted": at.isoformat()}
        try:
            self._write(CANCEL, client_order_id, self._form.file_of(CANCEL, values))
        except (NotSentError, OutcomeUnknownError) as error:
            raise UnreachableError(str(error)) from error

    def _name(self, kind: str, client_order_id: str) -> str:
        return f"{kind}-{client_order_id}.{self._form.format}"

    def _find(self, kind: str, client_order_id: str) -> Path | None:
        name = self._name(kind, client_order_id)
        for folder in self._folders:
            if _is_there(folder / name):
                return folder / name
        return None

    def _listed(self, prefix: str) -> Iterator[Path]:
        for folder in self._folders:
            try:
                names = [path.name for path in folder.iterdir()]
            except OSError as error:
                raise UnreachableError(f"{folder} can't be read: {error.strerror}") from error
            yield from (folder / n for n in names if n.startswith(prefix) and n.endswith(f".{self._form.format}"))

    def _order(self, path: Path) -> SentOrder:
        known = self._read.get(path.name)
        if known is None:
            known = self._read[path.name] = _order_of(self._one_row(path))
        return known

    def _one_row(self, path: Path) -> FolderRow:
        for folder in self._folders:  # it may be moved after it was found
            with suppress(FileNotFoundError):
                try:
                    rows = self._form.rows_of(ORDER, str(folder / path.name), (folder / path.name).read_bytes())
                except OSError as error:
                    if isinstance(error, FileNotFoundError):
                        raise
                    raise UnreachableError(f"{path} can't be read: {error.strerror}") from error
                if len(rows) != 1 or rows[0].text("client_order_id") != path.stem.removeprefix(f"{ORDER}-"):
                    raise UnreachableError(f"{path}: it is not the one order that its name says")
                return rows[0]
        raise UnreachableError(f"{path} was moved while it was read")

    def _write(self, kind: str, client_order_id: str, data: bytes) -> None:
        to = self._folder / self._name(kind, client_order_id)
        part = to.with_name(f"{to.name}.part")
        is_named = False
        try:
            with part.open("wb") as file:
                part.chmod(_MODE)  # whatever the umask is
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            is_named = True
            part.rename(to)
        except OSError as error:
            # A rename over a network may be done and fail: only a file that is still under its first name was not sent.
            if is_named and not _is_under(part):
                raise OutcomeUnknownError(f"{to} may be written: {error.strerror}") from error
            with suppress(OSError):
                part.unlink()
            raise NotSentError(f"{to} can't be written: {error.strerror}") from error
        try:
            # Order: data, name, folder. Else a power cut may leave an empty file under the name.
            sync_directory(to.parent)
        except OSError as error:
            raise OutcomeUnknownError(f"{to} is written, and its folder can't be flushed: {error.strerror}") from error


def _is_under(part: Path) -> bool:
    """Return True if a file is certainly still under its first name."""
    try:
        return part.exists()
    except OSError:
        return False


def _is_there(path: Path) -> bool:
    """Return True if a file exists. Raises UnreachableError for a folder that is not there: all would seem absent."""
    try:
        path.stat()
    except FileNotFoundError:
        if path.parent.is_dir():
            return False
        raise UnreachableError(f"{path.parent} is not there: is it mounted?") from None
    except OSError as error:
        raise UnreachableError(f"{path} can't be read: {error.strerror}") from error
    return True


def _order_of(row: FolderRow) -> SentOrder:
    try:
        kinds = OrderType(row.text("order_type")), TimeInForce(row.text("time_in_force"))
    except ValueError as error:
        raise UnreachableError(f"{row.at}: {error}") from error
    limit = row.number("limit") if row.text("limit") else None
    request = OrderRequest(
        client_order_id=row.name("client_order_id"),
        asset=row.name("asset"),
        side=row.side("side"),
        quantity=row.number("quantity"),
        order_type=kinds[0],
        limit=limit,
        time_in_force=kinds[1],
    )
    return SentOrder(request, row.instant("submitted"))
