"""What strategies list of corporate actions, kept in the ledger: only of assets that some book holds or held.

An asset's list has one owner, the first book that listed it: two vendors' lists of one dividend must not pay it twice.
Another book's list that says otherwise is told once (`actions.disagree`) and not followed; it takes over, from then on,
when the owner's book does not hold the asset any more and its own does.

A list that is as it was costs one digest an asset. What vanished from it is told once (`actions.vanished`) and not
taken back, unless nothing was booked of it and its session has not come.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sigc.actions import Action
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import action_rows as rows
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import BookKey

BY_HAND = "by hand"  # how the id of an action begins that no list has


@dataclass(frozen=True, slots=True)
class _Listed:
    lister: BookKey
    digest: str
    is_owner: bool
    since: str


def touched(connection: sqlite3.Connection) -> frozenset[str]:
    """The assets that are held, were ever traded, or are ordered now."""
    traded = connection.execute(
        "WITH RECURSIVE e(name) AS (SELECT min(asset) FROM fills"
        " UNION ALL SELECT (SELECT min(asset) FROM fills WHERE asset > e.name) FROM e WHERE e.name IS NOT NULL)"
        " SELECT name FROM e WHERE name IS NOT NULL"
    )
    held = connection.execute("SELECT DISTINCT asset FROM positions")
    ordered = connection.execute(
        "SELECT DISTINCT asset FROM intents"
        " WHERE state IN ('planned', 'sending', 'unknown', 'acknowledged', 'partially_filled')"
    )
    return frozenset(asset for rows in (traded, held, ordered) for (asset,) in rows)


class Listing:
    """A file's actions by asset. schedule: places an action in time, None for one beyond the calendar.

    What is asked of an asset is computed once, and only of assets that are asked for.
    """

    def __init__(self, actions: Iterable[Action], schedule: Callable[[Action], DueAction | None]) -> None:
        self._actions: dict[str, list[Action]] = {}
        self._into: dict[str, set[str]] = {}
        for action in actions:
            self._actions.setdefault(action.asset, []).append(action)
            if action.into:
                self._into.setdefault(action.asset, set()).add(action.into)
        self._schedule = schedule
        self._known: dict[str, tuple[tuple[DueAction, ...], str]] = {}

    @property
    def is_any(self) -> bool:
        """Whether anything is listed at all."""
        return bool(self._actions)

    def of(self, asset: str) -> tuple[tuple[DueAction, ...], str]:
        """The actions of an asset and their digest; nothing and '' where there are none."""
        found = self._known.get(asset)
        if found is None:
            placed = (self._schedule(action) for action in self._actions.get(asset, ()))
            dues = tuple(due for due in placed if due is not None)
            found = self._known[asset] = (dues, _digest(dues))
        return found

    def concerned(self, assets: Iterable[str]) -> frozenset[str]:
        """These assets, and those that they become, as far as anything is listed of them."""
        coming, names = list(assets), set[str]()
        while coming:
            name = coming.pop()
            if name in self._actions and name not in names:
                names.add(name)
                coming += self._into.get(name, ())
        return frozenset(names)


def changed(connection: sqlite3.Connection, lister: BookKey, listing: Listing) -> dict[str, tuple[DueAction, ...]]:
    """The lists, by asset, that are not as this book listed them last; an asset that has vanished has an empty one.

    Looked at are the assets that are touched, and those that they become.
    """
    found = connection.execute(
        "SELECT asset, digest FROM action_lists WHERE strategy = ? AND portfolio = ?",
        (lister.strategy, lister.portfolio),
    )
    known: dict[str, str] = dict(found.fetchall())
    concerned = listing.concerned(touched(connection)) if listing.is_any else frozenset[str]()
    assets = sorted(concerned | known.keys())
    listed = {asset: listing.of(asset) for asset in assets}
    return {asset: dues for asset, (dues, digest) in listed.items() if known.get(asset, "") != digest}


def take(tx: Transaction, lister: BookKey, lists: dict[str, tuple[DueAction, ...]]) -> None:
    """Keep these lists, and have looked at again what is new or changed in them."""
    marks = rows.watermarks(tx.connection)
    for asset, dues in lists.items():
        listed = _listed(tx.connection, asset)
        owner = next((one for one in listed if one.is_owner), None)
        if owner is not None and owner.lister != lister and not _passes(tx, asset, owner.lister, lister):
            if _digest(dues) != owner.digest:
                _say(tx, "actions.disagree", lister, {"asset": asset, "owner": owner.lister.strategy})
            _put(tx, asset, _Listed(lister, _digest(dues), False, ""))
            continue
        since = owner.since if owner is not None else ""
        if owner is not None and owner.lister != lister:
            since, _ = rows.progress(tx.connection)
            _put(tx, asset, _Listed(owner.lister, owner.digest, False, ""))
        _put(tx, asset, _Listed(lister, _digest(dues), True, since))
        _merge(tx, lister, asset, dues, max(since, _least(marks, asset)))


def _merge(tx: Transaction, lister: BookKey, asset: str, dues: Sequence[DueAction], since: str) -> None:
    """Lay a list over what is kept of the asset after a session."""
    through, _ = rows.progress(tx.connection)
    kept = {k.due.key: k for k in rows.listed(tx.connection, asset) if k.due.session > since}
    wanted = {d.key: d for d in dues if d.session > since}
    added, amended, gone = [], [], []
    for key, due in wanted.items():
        before = kept.get(key)
        if before is None:
            rows.put_action(tx, due, due.session)
            added.append(key)
        elif _told(before.due) != _told(due):
            same_day = before.due.session == due.session
            rows.put_action(tx, _priced(due, before.due) if same_day else due, due.session)
            amended.append(key)
        elif before.vanished:
            rows.put_action(tx, before.due, before.next)
    for key, before in kept.items():
        if key in wanted or before.vanished or before.due.action.id.startswith(BY_HAND):
            continue
        gone.append(key)
        if before.due.session > through and not rows.entries_of(tx.connection, key):
            rows.drop_action(tx, key)
        else:
            rows.put_action(tx, before.due, before.next, tx.at.isoformat())
    said = {"asset": asset, "added": len(added), "amended": amended, "ignored": len(dues) - len(wanted)}
    _say(tx, "actions.listed", lister, said)
    if gone:
        _say(tx, "actions.vanished", lister, {"asset": asset, "actions": gone})


def _priced(due: DueAction, before: DueAction) -> DueAction:
    return DueAction(due.action, due.session, due.before, due.pay_session, before.price)


def _passes(tx: Transaction, asset: str, owner: BookKey, to: BookKey) -> bool:
    """Whether a list changes hands: its owner does not hold the asset, the other does."""
    holders = tx.connection.execute("SELECT strategy, portfolio FROM positions WHERE asset = ?", (asset,)).fetchall()
    books = {BookKey(s, p) for s, p in holders}
    return owner not in books and to in books


def _least(marks: dict[tuple[BookKey, str], str], asset: str) -> str:
    """The session up to which actions of an asset do nothing to any book; '' where some book has no bound."""
    books = {book for book, _ in marks}
    bounds = [max(marks.get((book, ""), ""), marks.get((book, asset), "")) for book in books]
    return min(bounds, default="")


def _listed(connection: sqlite3.Connection, asset: str) -> tuple[_Listed, ...]:
    found = connection.execute(
        "SELECT strategy, portfolio, digest, is_owner, since FROM action_lists WHERE asset = ?", (asset,)
    )
    return tuple(_Listed(BookKey(s, p), digest, bool(owns), since) for s, p, digest, owns, since in found)


def _put(tx: Transaction, asset: str, one: _Listed) -> None:
    tx.connection.execute(
        "INSERT OR REPLACE INTO action_lists (asset, strategy, portfolio, digest, is_owner, since)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (asset, one.lister.strategy, one.lister.portfolio, one.digest, int(one.is_owner), one.since),
    )


def _told(due: DueAction) -> tuple[object, ...]:
    """What a list says of an action."""
    return due.action, due.session, due.pay_session


def _digest(dues: Iterable[DueAction]) -> str:
    text = "\n".join(sorted(repr(_told(due)) for due in dues))
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _say(tx: Transaction, name: str, lister: BookKey, said: dict[str, object]) -> None:
    tx.audit(AuditEvent(name, said, strategy=lister.strategy, portfolio=lister.portfolio))
