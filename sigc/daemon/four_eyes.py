"""Four eyes: what one token asks for, another one confirms (`safety.four_eyes`).

safety/reset, book/adopt, moves and closing of books, safety/flatten, reload with a limit that is raised
    asked     kept in the ledger under an id, with who asked, for ten minutes; nothing else happens
    confirmed by another token: it is done, as both
The one who asked can't confirm it, whatever name he gives: a token is proven, a name is not.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sigc.daemon.ordering import refusal
from sigc.errors import SigcError
from sigc.rpc.schema import encode
from sigc.store.ledger import control

if TYPE_CHECKING:
    from sigc.config.settings import Config
    from sigc.daemon.controller import Controller
    from sigc.rpc.verb import VerbCall
    from sigc.store.ledger.ledger import Transaction

PENDING = "pending"
LASTS = timedelta(minutes=10)
_LEAST = frozenset({"min_cash", "min_cash_in_flight", "min_rows", "min_history"})  # limits that are raised downwards
_SAFE_BOOLEANS = {"four_eyes": True, "neutral": True, "allow_short": False}


@dataclass(frozen=True, slots=True)
class AwaitedCall:
    """A call that waits for a second token. who: who asked; token: his; what: it in words."""

    id: str
    verb: str
    fields: Mapping[str, Any]
    what: str
    token: str
    who: str
    reason: str
    at: datetime

    @property
    def until(self) -> datetime:
        """Return the instant from which on it can't be confirmed any more."""
        return self.at + LASTS


async def ask(call: VerbCall[Controller], request: object, what: str, reason: str) -> SigcError:
    """Keep a call until another token confirms it. Return the error that tells its caller so."""
    id, who = secrets.token_hex(3), f"{call.token} ({call.who or call.peer})"
    said = {"verb": call.verb, "fields": encode(request), "what": what, "token": call.token}
    await call.daemon.books.write(lambda tx: _keep(tx, id, json.dumps(said, sort_keys=True), who, reason))
    minutes = int(LASTS.total_seconds()) // 60
    return refusal(
        f"{what} waits for a second person: nothing was changed",
        f"another token confirms it within {minutes} minutes: sigc safety confirm {id}",
    )


def _keep(tx: Transaction, id: str, value: str, who: str, reason: str) -> None:
    for old in pending(tx.connection):
        if old.until <= tx.at:
            control.drop(tx, PENDING, old.id, "sigc", "nobody confirmed it in time")
    control.put(tx, PENDING, id, value, who, reason)


def pending(connection: sqlite3.Connection) -> tuple[AwaitedCall, ...]:
    """Return the calls that wait, expired ones too."""
    found = []
    for row in control.every(connection, PENDING):
        said = json.loads(row.value)
        told = (str(said["what"]), str(said["token"]), row.who, row.reason)
        found.append(AwaitedCall(row.scope, str(said["verb"]), said["fields"], *told, row.at))
    return tuple(found)


def take(tx: Transaction, id: str, token: str, who: str) -> AwaitedCall:
    """Take a call out that is confirmed. Raise E901: unknown, too late, or asked for with the same token."""
    known = {one.id: one for one in pending(tx.connection)}
    found = known.get(id)
    if found is None or found.until <= tx.at:
        there = [one.id for one in known.values() if one.until > tx.at]
        hint = f"there are: {', '.join(there)}" if there else "nothing waits; it is kept for ten minutes"
        raise refusal(f"nothing waits for a confirmation as '{id}'", hint)
    if found.token == token:
        raise refusal(f"{found.what} was asked for with the token '{token}' itself", "another token confirms it")
    control.drop(tx, PENDING, id, who, "confirmed")
    return found


def raised(old: Config, new: Config) -> Iterator[str]:
    """Yield the settings by which a new configuration allows more than the old one, and changed tokens."""
    yield from _raised(old.safety, new.safety, "safety.")
    if old.daemon.rpc.tokens != new.daemon.rpc.tokens or old.daemon.rpc.token != new.daemon.rpc.token:
        yield "daemon.rpc.tokens"


def _raised(old: Any, new: Any, prefix: str) -> Iterator[str]:
    for name, field in type(old).model_fields.items():
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if hasattr(before, "model_fields_set"):
            yield from _raised(before, after, f"{prefix}{name}.")
        elif isinstance(before, bool):
            if after is not _SAFE_BOOLEANS.get(name):
                yield prefix + name
        elif isinstance(before, int | float):
            is_off = "0: off" in (field.description or "")
            if _is_more(before, after, is_off=is_off, is_least=name in _LEAST):
                yield prefix + name
        elif isinstance(before, tuple):
            if not set(map(_text, before)) <= set(map(_text, after)):
                yield prefix + name
        else:  # a policy: nobody knows which is stricter
            yield prefix + name


def _is_more(before: float, after: float, *, is_off: bool, is_least: bool) -> bool:
    if is_least:
        return after < before
    if is_off and 0 in (before, after):
        return after == 0
    return after > before


def _text(value: object) -> str:
    return str(value)
