"""The bench of Alpaca's twin for the contract: the market opens and closes when a test says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sigc.clock import HandClock
from sigc.config.broker_settings import AlpacaSettings
from sigc_pipelines.brokers.alpaca.broker import AlpacaBroker
from sigc_pipelines.brokers.alpaca.opening import open_alpaca
from sigc_pipelines.brokers.faulty import Fault, Faults
from sigc_pipelines.brokers.protocol import Broker
from tests.brokers.twin.book import TwinAccount
from tests.brokers.twin.server import KEYS, TwinServer

START = datetime(2024, 1, 2, 13, tzinfo=UTC)  # before the open: orders are queued
LATE_S, LAG_S = 4.0, 8.0

GOOD = Faults(late_s=LATE_S)


@dataclass(frozen=True, slots=True)
class Kind:
    """What kind of account the twin keeps."""

    step: str = "1"
    lag_s: float = 0.0
    fee: Decimal = Decimal(0)
    parts: int = 1
    faults: Faults = GOOD


def settings(url: str, **given: object) -> AlpacaSettings:
    """Settings with the twin's keys."""
    key_id, secret_key = KEYS
    keys = {"key_id": key_id, "secret_key": secret_key, "requests_per_minute": 1_000_000}
    return AlpacaSettings.model_validate({**keys, "base_url": url, **given})


class AlpacaBench:
    """A million in the account; orders wait for the open, and each session is one moment."""

    assets = ("ALPHA", "BETA")
    nowhere = "NOWHERE"
    faults = frozenset(Fault)

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.clock = HandClock(START)
        prices = dict.fromkeys(self.assets, Decimal(100))
        self.account = TwinAccount(self.clock.now, prices, lag_s=kind.lag_s, fee=kind.fee, parts=kind.parts)
        self.server = TwinServer(self.account)
        self.server.faults = kind.faults
        self._broker = self._open()

    @property
    def broker(self) -> Broker:
        return self._broker

    def now(self) -> datetime:
        return self.clock.now()

    def settle(self) -> None:
        self.server.listen()
        self.clock.sleep(LATE_S)
        self.server.deliver()
        self.clock.sleep(self._kind.lag_s + 1)

    def close(self, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]) -> None:
        self.clock.turn(self.clock.now().replace(hour=14, minute=30, second=0))
        self.server.deliver()
        self.account.trade(prices, volumes)
        self.clock.turn(self.clock.now().replace(hour=21, minute=0))
        self.account.end_day()
        self.clock.turn((self.clock.now() + timedelta(days=1)).replace(hour=START.hour))

    def restart(self) -> None:
        self._broker.close()
        self._broker = self._open()

    def fail_next(self, fault: Fault) -> None:
        if fault is Fault.REFUSED:
            self.server.hang_up()
        else:
            self.server.planned.append(fault)

    def end(self) -> None:
        """Close both sides."""
        self._broker.close()
        self.server.hang_up()

    def _open(self) -> AlpacaBroker:
        given = settings(self.server.url, quantity_step=self._kind.step)
        return open_alpaca(given, self.clock, timeout_s=5.0, connections=4)
