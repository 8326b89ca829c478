"""Verification of the audit chain: the first record that was altered, and the reason.

Records are checked one by one, in constant memory. For each:

    1. its number follows the last one              else: a record was dropped, doubled, swapped
    2. its text is canonical, and agrees with the columns beside it
    3. its digest is that of its text and the digest before
    4. its signature is of that digest, by a trusted key (if keys are given)
    5. an anchor of its number has its digest       else: the chain was rewritten from some record on
    6. no anchor has a later number                 else: the end was cut off
    7. no anchor of another ledger has its digest   else: the ledger's id was changed, so that its anchors are not found

Anyone who can write the ledger can write a new chain that is consistent in itself: only signatures (4) and anchors kept
elsewhere (5, 6) expose that. A wrong signature names the record itself; an anchor only tells that one of the records
since the last good anchor was replaced.

Neighbours: `chain.py` appends, `sign.py` signs, `anchor.py` anchors, `mirror.py` keeps the lines.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any

from sigc.store.audit.anchor import Anchor
from sigc.store.audit.chain import GENESIS, canonical, digest_of, ledger_id

# (digest, signature) -> True if the signature is by a trusted key.
IsSigned = Callable[[str, str], bool]
_FIELDS = frozenset({"seq", "at", "event", "run", "strategy", "portfolio", "who", "payload"})
_COLUMNS = ("at", "event", "run", "strategy")
_LINE = frozenset({"seq", "digest", "signature", "record"})


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """One record as found. columns: the values beside its text; damage: the reason if it can't be read."""

    seq: int
    record: str
    digest: str
    signature: str
    columns: Mapping[str, str] | None = None
    damage: str = ""


@dataclass(frozen=True, slots=True)
class ChainPosition:
    """A position in a chain: number and digest of a record; 0 and GENESIS before the first."""

    seq: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """The result of a verification. records: the number of good ones; head: the last good one; bad: the first bad one,
    0 without.

    anchors: the number that agree; signed: the number of good signatures (0 if no key was given).
    """

    records: int
    head: ChainPosition
    bad: int = 0
    reason: str = ""
    anchors: int = 0
    signed: int = 0

    @property
    def is_whole(self) -> bool:
        """Return True if no record is bad."""
        return not self.bad


def verify(
    connection: sqlite3.Connection,
    anchors: Sequence[Anchor] = (),
    is_signed: IsSigned | None = None,
    signed_from: int = 1,
) -> ChainVerdict:
    """Verify the chain of a ledger. signed_from: the first signed record, if signing began later than the ledger.

    Raise E310 if the file is damaged beyond reading.
    """
    ledger = ledger_id(connection)
    ours = [a for a in anchors if a.ledger == ledger]
    renamed = _of_another_id(connection, [a for a in anchors if a.ledger != ledger])
    if renamed is not None:
        reason = (
            f"the ledger's id was changed: this record was anchored at {renamed.at} for the ledger {renamed.ledger}"
        )
        return ChainVerdict(0, ChainPosition(), renamed.seq, reason)
    verdict = verify_links(_rows(connection), ours, is_signed, signed_from)
    if verdict.is_whole and not verdict.records and _has_runs(connection):
        return ChainVerdict(0, ChainPosition(), 1, "the ledger has runs, and no record of any")
    return verdict


def _of_another_id(connection: sqlite3.Connection, others: Iterable[Anchor]) -> Anchor | None:
    """Return an anchor of another ledger's id that has one of this chain's digests, which no other chain can have."""
    for anchor in others:
        row = connection.execute("SELECT digest FROM audit WHERE seq = ?", (anchor.seq,)).fetchone()
        if row is not None and row[0] == anchor.digest:
            return anchor
    return None


def _has_runs(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM runs ORDER BY number LIMIT 1").fetchone() is not None


def verify_lines(
    lines: Iterable[bytes],
    anchors: Sequence[Anchor] = (),
    is_signed: IsSigned | None = None,
    signed_from: int = 1,
    since: ChainPosition | None = None,
) -> ChainVerdict:
    """Verify the chain of a mirror's lines, in order. anchors: those of this chain only.

    since: the record before the first line, if older files were deleted; lines up to it are skipped. None: the lines
    are part of a chain, and the first one is trusted (unless it is record 1).
    """
    links: Iterator[FoundRecord] = (_line(line) for line in lines)
    if since is None:
        first = next(links, None)
        if first is None:
            return ChainVerdict(0, ChainPosition())
        since = ChainPosition() if first.seq <= 1 or first.damage else ChainPosition(first.seq, first.digest)
        links = _with(first, links, since)
    else:
        passed = since.seq
        links = dropwhile(lambda link: not link.damage and link.seq <= passed, links) if passed else links
    return verify_links(links, anchors, is_signed, signed_from, since)


def verify_links(
    links: Iterable[FoundRecord],
    anchors: Sequence[Anchor] = (),
    is_signed: IsSigned | None = None,
    signed_from: int = 1,
    since: ChainPosition | None = None,
) -> ChainVerdict:
    """Verify the chain of `links` after `since`."""
    head = since or ChainPosition()
    anchored: dict[int, list[Anchor]] = {}
    for anchor in anchors:
        anchored.setdefault(anchor.seq, []).append(anchor)
    records = agreed = signed = 0
    # The last record that an anchor confirmed: a later disagreement means that one of the records after it was
    # replaced.
    vouched = head.seq
    for link in links:
        number = head.seq + 1
        reason = _fault(link, head, is_signed if number >= signed_from else None)
        if reason:
            return ChainVerdict(records, head, number, reason, agreed, signed)
        for anchor in anchored.pop(number, ()):
            if anchor.digest != link.digest:
                return ChainVerdict(records, head, vouched + 1, _replaced(vouched + 1, anchor), agreed, signed)
            agreed, vouched = agreed + 1, number
        head = ChainPosition(number, link.digest)
        records += 1
        signed += is_signed is not None and number >= signed_from
    later = [a for number, all in anchored.items() if number > head.seq for a in all]
    if later:
        reason = f"the end was cut off: record {max(a.seq for a in later)} was anchored at {later[-1].at}"
        return ChainVerdict(records, head, head.seq + 1, reason, agreed, signed)
    return ChainVerdict(records, head, 0, "", agreed, signed)


def _fault(link: FoundRecord, before: ChainPosition, is_signed: IsSigned | None) -> str:
    """Return why a record is not the successor of `before`; '' if it is."""
    if link.damage:
        return link.damage
    if link.seq != before.seq + 1:
        return f"it is missing: record {link.seq} stands in its place"
    reason = _text_fault(link)
    if reason:
        return reason
    if link.digest != digest_of(before.digest, link.record):
        return "its digest is not that of its text and of the record before"
    if is_signed is not None and not is_signed(link.digest, link.signature):
        return "its signature is wrong" if link.signature else "it is not signed"
    return ""


def _text_fault(link: FoundRecord) -> str:
    told = parsed(link.record)
    if told is None or set(told) != _FIELDS:
        return "its text is not an audit record"
    try:
        if canonical(told) != link.record:
            return "its text is not canonical"
    except ValueError:
        return "its text holds a number that is not finite"
    if type(told["seq"]) is not int or told["seq"] != link.seq:
        return f"its text says it is record {told['seq']}"
    for name, value in (link.columns or {}).items():
        if told[name] != value:
            return f"the column {name} says {value!r}, its text {told[name]!r}"
    return ""


def _replaced(first: int, anchor: Anchor) -> str:
    which = f"record {first}" if first == anchor.seq else f"one of the records {first} to {anchor.seq}"
    return f"{which} was replaced: record {anchor.seq} had another digest when it was anchored at {anchor.at}"


def parsed(text: str) -> dict[str, Any] | None:
    """Return the JSON object of a text; None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _with(first: FoundRecord, rest: Iterator[FoundRecord], since: ChainPosition) -> Iterator[FoundRecord]:
    if not since.seq:
        yield first
    yield from rest


def _rows(connection: sqlite3.Connection) -> Iterator[FoundRecord]:
    """Yield the records by number. An unreadable one is a bad record, not an exception."""
    texts = ", ".join(f"CAST({name} AS BLOB)" for name in ("record", "digest", "signature", *_COLUMNS))
    try:
        # Read bytes: SQLite stores whatever it is given, and that need not be UTF-8.
        for seq, *raw in connection.execute(f"SELECT seq, {texts} FROM audit ORDER BY seq"):  # noqa: S608
            try:
                record, digest, signature, *beside = (bytes(r).decode() for r in raw)
            except (UnicodeDecodeError, TypeError):
                yield FoundRecord(seq, "", "", "", damage="its text is not UTF-8")
                continue
            yield FoundRecord(seq, record, digest, signature, dict(zip(_COLUMNS, beside, strict=True)))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        yield FoundRecord(0, "", "", "", damage=f"the file is damaged there: {error}")


def _line(line: bytes) -> FoundRecord:
    damaged = FoundRecord(0, "", "", "", damage="its line is not a line of a mirror")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return damaged
    told = parsed(text)
    if told is None or set(told) != _LINE or not isinstance(told["record"], dict):
        return damaged
    seq, digest, signature = told["seq"], told["digest"], told["signature"]
    if type(seq) is not int or not isinstance(digest, str) or not isinstance(signature, str):
        return damaged
    try:
        record = canonical(told["record"])
        if canonical(told) + "\n" != text:
            return damaged
    except ValueError:
        return damaged
    return FoundRecord(seq, record, digest, signature)
