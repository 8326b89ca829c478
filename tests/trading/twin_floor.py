"""A trading floor at Alpaca's twin: real stages and ledger, the client over real sockets, one hand-turned clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sigc.clock import HandClock
from sigc.store.ledger import books
from sigc.store.ledger.records import BookKey, Intent
from sigc_pipelines.brokers.alpaca.broker import AlpacaBroker
from sigc_pipelines.brokers.alpaca.opening import open_alpaca
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Ended, Trading
from tests.brokers.alpaca_bench import settings
from tests.brokers.twin.book import TwinAccount
from tests.brokers.twin.server import TwinServer
from tests.trading.floor import Floor, all_orders


@dataclass(slots=True)
class Street:
    """An account that outlives processes, and the clock of all."""

    account: TwinAccount
    server: TwinServer
    clock: HandClock

    @contextmanager
    def open(self, floor: Floor, day: str, at: datetime | None = None, **given: object) -> Iterator[TwinDesk]:
        """A process that begins just after the close of a day, or at an instant."""
        at = at or instant_of(floor.calendar, day)
        if at > self.clock.now():
            self.clock.turn(at)
        broker = open_alpaca(settings(self.server.url, **given), self.clock, timeout_s=5.0, connections=4)
        try:
            with floor.open(day, broker, self.clock) as trading:
                yield TwinDesk(floor, trading, broker, self)
        finally:
            broker.close()


@dataclass(frozen=True, slots=True)
class TwinDesk:
    """A process' worth of trading at the twin."""

    floor: Floor
    trading: Trading
    broker: AlpacaBroker
    street: Street

    def run(self, id: str) -> Ended:
        """One run."""
        return self.floor.run(self.trading, id)

    def orders(self, run: str) -> list[Intent]:
        """The orders of a run, in their places."""
        found = [i for i in all_orders(self.trading) if i.run == run]
        return sorted(found, key=lambda i: i.place)

    def held(self) -> dict[str, Decimal]:
        """What the book holds."""
        with self.trading.ledger.reading() as connection:
            return books.quantities(connection, BookKey(self.floor.strategy.name, "main"))


@contextmanager
def street(at: datetime, prices: dict[str, Decimal], **given: object) -> Iterator[Street]:
    """The twin from an instant on, with a million in the account."""
    clock = HandClock(at)
    account = TwinAccount(clock.now, dict(prices), **given)  # type: ignore[arg-type]
    server = TwinServer(account)
    try:
        yield Street(account, server, clock)
    finally:
        server.hang_up()
