"""Rehearsal of a trade by a dry run: on copies of the ledger and of a simulated broker's book, which are thrown away.

    rehearsal = Rehearsal(trading, request, run)
    rehearsal.begin(at, take_in)     copies; the run is opened there as a trade, and the broker's fills are taken in
    rehearsal.judged(run, ...)       the orders, planned there and judged as each would be before it is sent

The copies have the fills that a trade would take in first, so the orders are judged against the book as it will be. A
broker that trades is only read. Where the fills can't be known, `unknown` says why, and nothing is judged.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from sigc.errors import SigcError
from sigc.host import kill_file
from sigc.private import make_private
from sigc.store.ledger import books, orders, price_marks, runs
from sigc.store.ledger.connection import FILE, told
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Finding, Intent, IntentState, Run, RunKind
from sigc_pipelines.brokers.protocol import Broker, Copied, UnreachableError, simulation
from sigc_pipelines.brokers.registry import close_broker
from sigc_pipelines.checks.account import is_later
from sigc_pipelines.live.judging import denial, judge_of
from sigc_pipelines.live.open_run import open_run
from sigc_pipelines.live.scratch import backwards
from sigc_pipelines.live.session import Moment
from sigc_pipelines.live.sizing import decimal
from sigc_pipelines.live.trading import Request, Trading

_TRADE = "-rehearsed"  # behind the id of the dry run: the id of the trade in the copy


@dataclass(slots=True)
class Rehearsal:
    """The copies of a dry run, and what a trade now would meet there. trading: None where nothing is judged.

    unknown: why not, '' where it is. refused: why a trade now would be refused, '' where it would begin.
    """

    unknown: str = ""
    refused: str = ""
    trading: Trading | None = None
    _run: Run | None = None
    _ends: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Throw the copies away. Idempotent."""
        self.trading = None
        self._ends.close()

    def begin(
        self, trading: Trading, request: Request, run: Run, at: Moment, take_in: Callable[[Trading], None]
    ) -> None:
        """Copy, open the trade, and take in what the broker did since. Raises SigcError of the data."""
        with trading.ledger.reading() as connection:
            past = runs.last_session(connection, request.strategy, request.portfolio) > run.key.session
            if past or backwards(connection, at, trading.ledger.zone):
                self.unknown = "its session is past: the orders are not judged by the limits of orders"
                return
        try:
            copies = self._copied(trading)
            self._run = self._opened(copies, replace(request, id=run.id + _TRADE, kind=RunKind.TRADE), run, at)
            take_in(copies)
        except UnreachableError as silent:
            self.unknown = _unknown(str(silent))
        except SigcError as no:
            if not no.diagnostics[0].code.startswith(("E3", "E6")):
                raise
            self.unknown = _unknown(no.diagnostics[0].message)
        else:
            self.trading = copies

    def judged(
        self,
        intents: Sequence[Intent],
        marks: Mapping[str, price_marks.Mark],
        decision: Mapping[str, object],
    ) -> tuple[tuple[Intent, ...], tuple[Finding, ...]]:
        """Return the orders with those denied that a trade would deny, and the findings. decision: its record."""
        if self.trading is None or self._run is None:
            return tuple(intents), ()
        ledger, clock, run = self.trading.ledger, self.trading.clock, self._run
        # Ids of their own: an order of the session that was sent already may have the same one.
        planned = [
            replace(
                intent,
                client_order_id=intent.client_order_id + _TRADE,
                parent=intent.parent and intent.parent + _TRADE,
                run=run.id,
                key=run.key,
            )
            for intent in intents
        ]
        with ledger.transaction("intents") as tx:
            runs.mark_decided(tx, run)
            price_marks.put_marks(tx, run.id, marks)
            orders.plan(tx, planned)
            tx.audit(runs.event("run.decided", run, dict(decision)))
        judge = judge_of(ledger, run, clock, self.trading.broker, honours_halts=False)
        ended, findings = [], list[Finding]()
        for intent, copy in zip(intents, planned, strict=True):
            with ledger.transaction("send") as tx:
                found = () if is_later(found := judge(tx, copy)) else found
                if found:
                    why = denial(found)
                    orders.moved(tx, copy, IntentState.DENIED, why)
                    intent = replace(intent, state=IntentState.DENIED, message=why)
                else:
                    orders.sending(tx, copy, clock.now())
            ended.append(intent)
            findings += found
        return tuple(ended), tuple(findings)

    def _copied(self, trading: Trading) -> Trading:
        place = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="sigc-dry-"))) / "work"
        make_private(place)
        with told(place), closing(trading.ledger.reader()) as source, closing(sqlite3.connect(place / FILE)) as target:
            source.backup(target)
        (place / FILE).chmod(0o600)
        halt = trading.ledger.directory / kill_file.FILE
        if halt.is_file():
            shutil.copyfile(halt, place / kill_file.FILE)
        ledger = self._ends.enter_context(Ledger.open(place, trading.ledger.clock, durable=False))
        ledger.hide, ledger.zone = trading.ledger.hide, trading.ledger.zone
        return replace(trading, ledger=ledger, broker=self._broker(trading.broker, place), render=None, has_files=False)

    def _broker(self, broker: Broker, place: Path) -> Broker:
        if simulation(broker) is None:
            return broker  # only read: nothing here sends or cancels
        if not isinstance(broker, Copied):
            raise UnreachableError(f"the book of {broker.capabilities().name} can't be copied")
        copy = broker.copied(place)
        self._ends.callback(close_broker, copy)
        return copy

    def _opened(self, copies: Trading, request: Request, dry: Run, at: Moment) -> Run:
        """Open the trade in the copy; one that would be refused is opened all the same, and `refused` says why."""
        try:
            return open_run(copies, request, at)
        except SigcError as no:
            if not no.diagnostics[0].code.startswith("E8"):
                raise
            self.refused = no.diagnostics[0].message
        with copies.ledger.transaction("run-open") as tx:
            key = replace(dry.key, kind=RunKind.TRADE)
            latest = runs.latest_revision(tx.connection, key)
            run = replace(dry, id=request.id, key=key, revision=0 if latest is None else latest + 1)
            runs.open_run(tx, run, copies.config.safety.model_dump(mode="json"))
            book, capital = BookKey(request.strategy, request.portfolio), decimal(copies.config.execution.capital)
            if books.book(tx.connection, book) is None:
                books.open_book(tx, book, capital, dry.started, dry.as_of)
        return run


def _unknown(why: str) -> str:
    return f"the fills since are not known, so the orders are not judged by the limits of orders: {why}"
