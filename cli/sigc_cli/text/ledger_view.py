"""Runs, orders, positions and audit records of the ledger, as tables and as plain data."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sigc.errors import Severity, SigcError
from sigc.rpc.messages.books import AdjustmentTold
from sigc.rpc.messages.status import told_as, unfilled, waits
from sigc.store.history.history import PastRun
from sigc.store.ledger import books as store_books
from sigc.store.ledger import control, jobs, price_marks
from sigc.store.ledger import runs as store_runs
from sigc.store.ledger.records import ZERO, Finding, Intent, Nav, Outcome, Position, Run
from sigc.store.ledger.waiting import waiting_of
from sigc.why.words import named, when
from sigc_cli.text.daemon_text import moment
from sigc_pipelines.records.artifacts import RunArtifacts, plain
from sigc_pipelines.text.table import table

_MOST = 40


def dump(data: Any) -> str:
    """Return records as JSON."""
    return json.dumps(plain(data), indent=2, allow_nan=False)


def listed(connection: sqlite3.Connection, page: Sequence[PastRun]) -> list[tuple[PastRun, Run | None]]:
    """Return a page of runs, each with the ledger's facts of a trade or dry run; newest first, then the newer
    revision.
    """
    found = [(run, _known(connection, run.id)) for run in page]
    return sorted(found, key=lambda pair: (pair[0].at, pair[1].revision if pair[1] is not None else 0), reverse=True)


def _known(connection: sqlite3.Connection, id: str) -> Run | None:
    try:
        found = store_runs.find(connection, id)
    except SigcError:
        return None
    return found if found.id == id else None


def run_data(run: PastRun, more: Run | None) -> dict[str, Any]:
    """Return a run as plain data: the fields of every run, and the record of a trade or dry run."""
    own: dict[str, Any] = plain(run)
    return own if more is None else own | plain(more)


def runs(found: Sequence[PastRun], zone: str) -> str:
    """Return runs as a table, with start times in a zone."""
    if not found:
        return "no runs"
    rows = [("run", "strategy", "job", "kind", "began", "as of", "session", "outcome", "filled", "message")]
    for r in found:
        what, days = (r.strategy or "-", r.job or "-"), (r.as_of or "-", r.session or "-")
        outcome, message = told_as(r.outcome, r.waiting), r.message
        if r.waiting is not None:
            said = waits(r.waiting, moment(r.waiting.at, zone))
            message = said if outcome != r.outcome else f"{message}; {said}"
        rows.append((r.id, *what, r.kind, when(r.at, zone), *days, outcome, r.filled or "-", message[:80]))
    return table(rows)


def account(found: RunArtifacts, zone: str = "UTC") -> str:
    """Return all about a run."""
    run = found.run
    began = f"began {when(run.started, zone)}" + (f", ended {when(run.finished, zone)}" if run.finished else "")
    lines = [
        f"{run.key.strategy} ({run.key.portfolio}), {run.broker} {run.key.kind} {run.id}, revision {run.revision}",
        f"as of {run.as_of}, for the session {run.key.session}: {run.outcome}, {run.message}" + unfilled(found.filled),
        f"by {run.who}" + (f": {run.reason}" if run.reason else "") + f"; {began}",
    ]
    for stage in found.stages:
        lines.append(f"  {stage.name:<9} {stage.outcome:<8} {1000 * stage.seconds:8.1f} ms")
        lines += [f"    {f.severity}: {told(f)}" for f in stage.findings if f.severity is not Severity.INFO]
    lines += [f"  {name}: {digest}" for name, digest in sorted(run.digests.items())]
    if found.intents:
        lines += ["", orders(found.intents)]
    return "\n".join(lines)


def held(connection: sqlite3.Connection, id: str, zone: str, now: datetime) -> str:
    """Return lines on what holds the orders of a run, each with a break before it: the open, or a pause; or ''."""
    run = store_runs.find(connection, id)
    waiting = waiting_of(connection, [run.id], now).get(run.id)
    said = "" if waiting is None else f"\nwaiting: {waits(waiting, moment(waiting.at, zone))}"
    if run.outcome is not Outcome.OPEN:
        return said
    pause = control.pause_of(connection, run.key.strategy, store_runs.opened_at(connection, run))
    return said if pause is None else f"{said}\nheld: paused {pause.by}"


def told(found: Finding) -> str:
    """Return a finding as text, with its assets where its own words do not name them."""
    unnamed = [asset for asset in found.assets if asset not in found.message]
    return f"{found.check}: {found.message}" + (f" ({named(found.assets)})" if unnamed else "")


def orders(found: Sequence[Intent], most: int = _MOST) -> str:
    """Return orders as a table, with the reasons of their states where there are any."""
    if not found:
        return "no orders"
    has_reasons = any(o.message for o in found[:most])
    heads = ("strategy", "session", "asset", "side", "quantity", "price", "state", "filled", "client order id")
    rows = [(*heads, "reason") if has_reasons else heads]
    for o in found[:most]:
        price = o.reference if o.limit is None else o.limit
        of = (o.key.strategy, o.key.session, o.asset, str(o.side))
        row = (*of, str(o.quantity), str(price), str(o.state), str(o.filled), o.client_order_id)
        rows.append((*row, o.message) if has_reasons else row)
    more = f"\n... and {len(found) - most} more (--json prints all)" if len(found) > most else ""
    return table(rows) + more


@dataclass(frozen=True, slots=True)
class BookView:
    """A book: its money, what it holds, the price of each in its NAV with its date, its worth at its last close."""

    book: store_books.Book
    positions: tuple[Position, ...]
    prices: dict[str, price_marks.Priced]
    nav: Nav | None


def books_of(connection: sqlite3.Connection, strategy: str = "") -> tuple[BookView, ...]:
    """Return every book, or those of one strategy."""
    return tuple(
        BookView(
            book,
            store_books.positions(connection, book.key),
            price_marks.prices_of(connection, book.key),
            store_books.last_nav(connection, book.key),
        )
        for book in store_books.books(connection)
        if strategy in ("", book.key.strategy)
    )


@dataclass(frozen=True, slots=True)
class ListedBook:
    """A book in a list. capital, cash, nav: money; positions: how many; session: of the NAV, '' before the first.

    is_owned: a strategy of the configuration has its name.
    """

    strategy: str
    portfolio: str
    capital: str
    cash: str
    positions: int
    nav: str
    session: str
    is_owned: bool


def listed_books(connection: sqlite3.Connection, owners: Collection[str]) -> tuple[ListedBook, ...]:
    """Return every book. owners: the strategies of the configuration."""
    found = []
    for one in books_of(connection):
        key, nav = one.book.key, one.nav
        value, session = ("", "") if nav is None else (str(nav.nav), nav.session)
        money = (str(one.book.capital), str(one.book.cash), len(one.positions), value, session)
        found.append(ListedBook(key.strategy, key.portfolio, *money, key.strategy in owners))
    return tuple(found)


def book_list(found: Sequence[ListedBook]) -> str:
    """Return listed books as a table."""
    if not found:
        return "no books: nothing was traded"
    rows = [("book", "capital", "cash", "positions", "NAV", "session", "owner")]
    for one in found:
        numbers = (f"{float(one.capital):,.2f}", f"{float(one.cash):,.2f}", str(one.positions))
        nav = f"{float(one.nav):,.2f}" if one.nav else "-"
        owner = one.strategy if one.is_owned else "none"
        rows.append((f"{one.strategy}/{one.portfolio}", *numbers, nav, one.session or "-", owner))
    return table(rows)


def entries(found: Sequence[AdjustmentTold]) -> str:
    """Return adjusting entries as a table."""
    rows = [("entry", "book", "asset", "change", "cash", "cause", "counts from")]
    for one in found:
        book = f"{one.strategy}/{one.portfolio}"
        rows.append((str(one.number), book, one.asset or "-", one.change, one.cash, one.cause, one.session))
    return table(rows)


def books(found: Sequence[BookView]) -> str:
    """Return books as text."""
    if not found:
        return "no books: nothing was traded"
    texts = []
    for one in found:
        nav = f", NAV {one.nav.nav} at the close of {one.nav.session}" if one.nav else ""
        owed = f", receivables {one.book.receivables:.2f}" if one.book.receivables else ""
        head = f"{one.book.key.strategy} ({one.book.key.portfolio}): cash {one.book.cash:.2f}{owed}{nav}"
        rows = [("asset", "quantity", "average price", "price", "of", "value")]
        rows += [_held(p, one.prices.get(p.asset)) for p in one.positions]
        texts.append(head + ("\n" + table(rows) if one.positions else "\n  no positions"))
    return "\n\n".join(texts)


def _held(position: Position, priced: price_marks.Priced | None) -> tuple[str, str, str, str, str, str]:
    """Return a position as a line; one without a price counts at its average price, and says so."""
    price, day = (str(priced.price), priced.day) if priced is not None else ("none: at its average", "-")
    value = position.quantity * (position.average_price if priced is None else priced.price)
    return (position.asset, str(position.quantity), f"{position.average_price:.4f}", price, day, f"{value:.2f}")


def differences(one: RunArtifacts, two: RunArtifacts) -> list[tuple[str, str, str]]:
    """Return the differences between two runs: name, and the value in each."""
    first, second = _facts(one), _facts(two)
    return [
        (name, first.get(name, "-"), second.get(name, "-"))
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    ]


def _facts(account: RunArtifacts) -> dict[str, str]:
    run = account.run
    facts = {
        "as of": run.as_of,
        "session": run.key.session,
        "outcome": str(run.outcome),
        "broker": run.broker,
    }
    facts |= {f"digest {name}": value for name, value in run.digests.items()}
    facts |= {f"wanted {asset}": repr(w["wanted"]) for asset, w in account.weights.items() if w["wanted"]}
    orders: dict[str, Decimal] = {}
    for intent in account.intents:
        orders[intent.asset] = orders.get(intent.asset, ZERO) + intent.side.sign * intent.quantity
    return facts | {f"ordered {asset}": str(quantity) for asset, quantity in orders.items()}


def id_of(connection: sqlite3.Connection, id: str) -> str:
    """Return the id of a run of any kind; a trade or dry run may be given by the beginning of its id. Raises E312."""
    order = jobs.find(connection, id)
    return store_runs.find(connection, id).id if order is None else order.id


def records_of(connection: sqlite3.Connection, id: str) -> list[dict[str, Any]]:
    """Return the audit records of a run of any kind, in order. Raises E312."""
    run = id_of(connection, id)
    rows = connection.execute("SELECT record FROM audit WHERE run = ? AND run <> '' ORDER BY seq", (run,))
    return [json.loads(record) for (record,) in rows]


def record_line(record: dict[str, Any]) -> str:
    """Return an audit record as one line."""
    said = " ".join(f"{k}={_short(v)}" for k, v in record["payload"].items() if v not in ("", None, [], {}))
    at = datetime.fromisoformat(record["at"]).isoformat(timespec="milliseconds")[:23]  # of UTC, as all of the ledger
    return f"{record['seq']:>7} {at}Z {record['event']:<20} {said}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
