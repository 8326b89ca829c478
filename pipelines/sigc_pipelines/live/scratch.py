"""Runs of the past on paper: in one account time goes forward, so a run by hand before it trades a scratch account.

backwards    why a run would go back in time, '' if it does not
in_its_time  the account that a run by hand trades: the real one, or a scratch one that is thrown away
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sigc.private import make_private
from sigc.store.ledger import books, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import RunKind
from sigc.words import local_time
from sigc_pipelines.brokers.registry import PAPER, close_broker, open_broker
from sigc_pipelines.live.session import Moment, moment
from sigc_pipelines.live.trading import Ended, Request, Trading


@dataclass(frozen=True, slots=True)
class TradedAccount:
    """The account that a run trades. why: it is a scratch one; '' for the real one."""

    trading: Trading
    why: str = ""

    def told(self, ended: Ended) -> Ended:
        """Return a run of it as it is told: nothing of a scratch account waits for anything."""
        return replace(ended, scratch=self.why, waiting=None) if self.why else ended


def backwards(connection: sqlite3.Connection, at: Moment, zone: str = "UTC") -> str:
    """Return why a run would go back in the account's time: as the instants of closes; '' if it does not. zone: of
    the time in it.

    An account without fills takes the first session that is traded as its beginning.
    """
    newest = books.newest_fill(connection)
    if newest is None or at.session.close >= newest:
        return ""
    filled, day = local_time(newest, zone), at.session.day
    return f"time goes forward in an account: its newest fill is of {filled}, and the session {day} is before it"


@contextmanager
def in_its_time(trading: Trading, request: Request) -> Iterator[TradedAccount]:
    """Yield the account that a run by hand trades. A scratch one changes no book, and is gone afterwards."""
    why = _why_scratch(trading, request)
    if not why:
        yield TradedAccount(trading)
        return
    # Nothing of it is mirrored or anchored: these may lie elsewhere.
    quiet = trading.config.audit.model_copy(update={"mirror": False, "anchor": ""})
    config = trading.config.model_copy(update={"audit": quiet})
    with tempfile.TemporaryDirectory(prefix="sigc-scratch-") as folder:
        place = Path(folder) / "work"
        make_private(place)
        broker = open_broker(config.broker, place, trading.clock, durable=False, execution=config.execution)
        try:
            with Ledger.open(place, trading.clock, durable=False) as ledger:
                ledger.hide, ledger.zone = trading.ledger.hide, trading.ledger.zone
                scratch = replace(trading, ledger=ledger, broker=broker, config=config, render=None)
                yield TradedAccount(scratch, why)
        finally:
            close_broker(broker)


def _why_scratch(trading: Trading, request: Request) -> str:
    if request.kind is not RunKind.TRADE or request.is_scheduled or trading.config.broker.type != PAPER:
        return ""
    at = moment(trading.calendar, trading.clock.now(), trading.config.execution.cut_off)
    with trading.ledger.reading() as connection:
        why = backwards(connection, at, trading.ledger.zone)
        last = runs.last_session(connection, request.strategy, request.portfolio)
    if not why and last > str(at.session.day):
        why = f"{request.strategy} ({request.portfolio}) has traded for the session {last} already"
    return why and f"{why}: this run traded a scratch account, and changed no book"
