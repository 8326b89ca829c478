"""Lists of corporate actions by strategy, kept in the ledger: only for assets that some book holds, held or ordered.

An asset's list has one owner, the first book that listed it: two vendors' lists of one dividend must not pay it twice.
Another book's list that differs is reported once (`actions.disagree`) and not applied. It becomes the owner, from then
on, when the owner's book no longer holds the asset and its own does.

An unchanged list costs one digest per asset. An action that vanished from its list is reported once
(`actions.vanished`). It stays booked; it is deleted only if nothing was booked of it and its session is in the future.
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


@dataclass(frozen=True, slots=True)
class _Listed:
    lister: BookKey
    digest: str
    is_owner: bool
    since: str


def touched(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the assets that are held, were ever traded, or have an open order."""
    # Distinct assets of all fills by a loose index scan: one seek per asset. SELECT DISTINCT would read every fill.
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
    """A file's actions by asset. schedule: places an action in time; None for one beyond the calendar.

    Dues and digests are computed on first use, for requested assets only, and cached.
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
        """Return True if anything is listed."""
        return bool(self._actions)

    def of(self, asset: str) -> tuple[tuple[DueAction, ...], str]:
        """Return (actions of an asset, their digest); an empty tuple and '' if none is listed."""
        found = self._known.get(asset)
        if found is None:
            placed = (self._schedule(action) for action in self._actions.get(asset, ()))
            dues = tuple(due for due in placed if due is not None)
            found = self._known[asset] = (dues, _digest(dues))
        return found

    def concerned(self, assets: Iterable[str]) -> frozenset[str]:
        """Return these assets and those that they become by actions, as far as the file lists any of them."""
        coming, names = list(assets), set[str]()
        while coming:
            name = coming.pop()
            if name in self._actions and name not in names:
                names.add(name)
                coming += self._into.get(name, ())
        return frozenset(names)


def changed(connection: sqlite3.Connection, lister: BookKey, listing: Listing) -> dict[str, tuple[DueAction, ...]]:
    """Return, by asset, the lists that differ from this book's last ones; a vanished list is empty.

    Only touched assets, and those that they become, are compared.
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
    """Store these lists, and mark their new or changed actions as due."""
    marks = rows.watermarks(tx.connection)
    for asset, dues in lists.items():
        listed = _listed(tx.connection, asset)
        owner = next((one for one in listed if one.is_owner), None)
        # A list of another owner is kept with its digest, so that the same difference is not reported again.
        if owner is not None and owner.lister != lister and not _passes(tx, asset, owner.lister, lister):
            if _digest(dues) != owner.digest:
                _say(tx, "actions.disagree", lister, {"asset": asset, "owner": owner.lister.strategy})
            _put(tx, asset, _Listed(lister, _digest(dues), False, ""))
            continue
        since = owner.since if owner is not None else ""
        if owner is not None and owner.lister != lister:
            # The new owner decides about later sessions only: what the old one had booked stays.
            since, _ = rows.progress(tx.connection)
            _put(tx, asset, _Listed(owner.lister, owner.digest, False, ""))
        _put(tx, asset, _Listed(lister, _digest(dues), True, since))
        least = _least(marks, asset)
        _merge(tx, lister, asset, dues, max(since, least))
        _tell_adopted(tx, lister, asset, dues, least)


def _merge(tx: Transaction, lister: BookKey, asset: str, dues: Sequence[DueAction], since: str) -> None:
    """Apply a list to the stored actions of the asset, for sessions after `since`."""
    through, _ = rows.progress(tx.connection)
    kept = {k.due.key: k for k in rows.listed(tx.connection, asset) if k.due.session > since}
    wanted = {d.key: d for d in dues if d.session > since}
    added, amended, gone = [], [], []
    for key, due in wanted.items():
        before = kept.get(key)
        if before is None:
            rows.put_action(tx, due, due.session)
            # Due at its own session: in the past if the action is late, and then it is booked at once.
            added.append(key)
        elif _told(before.due) != _told(due):
            same_day = before.due.session == due.session
            rows.put_action(tx, _priced(due, before.due) if same_day else due, due.session)
            amended.append(key)
        # Listed again after it had vanished: clear the mark, nothing else changed.
        elif before.vanished:
            rows.put_action(tx, before.due, before.next)
    for key, before in kept.items():
        if key in wanted or before.vanished or before.due.action.id.startswith(rows.BY_HAND):
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
    """Return True if the list changes its owner: the old owner does not hold the asset and the other book does."""
    holders = tx.connection.execute("SELECT strategy, portfolio FROM positions WHERE asset = ?", (asset,)).fetchall()
    books = {BookKey(s, p) for s, p in holders}
    return owner not in books and to in books


def _least(marks: dict[tuple[BookKey, str], str], asset: str) -> str:
    """Return the session up to which actions of an asset affect no book; '' if some book has no watermark."""
    books = {book for book, _ in marks}
    bounds = [max(marks.get((book, ""), ""), marks.get((book, asset), "")) for book in books]
    return min(bounds, default="")


def _tell_adopted(tx: Transaction, lister: BookKey, asset: str, dues: Iterable[DueAction], least: str) -> None:
    """Tell of actions that are not applied because the position was taken over from the broker after them."""
    opened = _least({(book, name): day for (book, name), day in rows.watermarks(tx.connection).items() if not name}, "")
    stored = {kept.due.key for kept in rows.listed(tx.connection, asset)}
    late = [due.key for due in dues if opened < due.session <= least and due.key not in stored]
    if late:
        _say(tx, "actions.adopted", lister, {"asset": asset, "until": least, "actions": late})


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
    """Return the fields of an action that a list determines."""
    return due.action, due.session, due.pay_session


def _digest(dues: Iterable[DueAction]) -> str:
    text = "\n".join(sorted(repr(_told(due)) for due in dues))
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _say(tx: Transaction, name: str, lister: BookKey, said: dict[str, object]) -> None:
    tx.audit(AuditEvent(name, said, strategy=lister.strategy, portfolio=lister.portfolio))
