"""The bench of the broker of folders for the contract: a desk answers whenever the customer waits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sigc.clock import HandClock
from sigc.config.broker_settings import FilesSettings
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.brokers.files.broker import FolderBroker
from sigc_pipelines.brokers.files.opening import open_files
from sigc_pipelines.brokers.protocol import Broker
from tests.brokers.desk import FormDesk

START = datetime(2024, 1, 2, 15, tzinfo=UTC)
THEIRS = {"client_order_id": "ClOrdID", "quantity": "Shares", "asset": "Symbol", "time": "TransactTime", "side": "Side"}


@dataclass(frozen=True, slots=True)
class FolderKind:
    """How the folders are used. scattered: a file for each row; moves: orders are moved away when they are taken."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    scattered: bool = False
    moves: bool = False
    commission: Decimal = Decimal(0)


class WaitedClock(HandClock):
    """A clock that lets others act while somebody waits."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.meanwhile()


class FolderBench:
    """A million in the account; a desk that looks whenever time passes, and fills at the close."""

    assets = ("ALPHA", "BETA")
    nowhere = "NOWHERE"
    faults = frozenset({Fault.REFUSED, Fault.UNKNOWN, Fault.UNREACHABLE})

    def __init__(self, folder: Path, kind: FolderKind = FolderKind()) -> None:
        self.folder = folder / "srv"
        for name in ("outbox", "inbox", "taken"):
            (self.folder / name).mkdir(parents=True)
        places = {name: str(self.folder / name) for name in ("outbox", "inbox", *(["taken"] if kind.moves else []))}
        self.settings = FilesSettings.model_validate({**places, **kind.settings})
        self.clock = WaitedClock(START)
        self.clock.meanwhile = self._meanwhile
        step = Decimal(self.settings.quantity_step)
        self.desk = FormDesk(
            *(self.settings, dict.fromkeys(self.assets, Decimal(100)), Decimal(1_000_000)),
            now=self.clock.now,
            commission=kind.commission,
            step=step,
            shorting=self.settings.shorting,
            scattered=kind.scattered,
        )
        self.desk.tell()
        self.is_garbled = False
        self._broker = self._open()

    @property
    def broker(self) -> Broker:
        return self._broker

    def now(self) -> datetime:
        return self.clock.now()

    def settle(self) -> None:
        if not self.folder.exists():
            self._aside.rename(self.folder)
        self._garbage.unlink(missing_ok=True)
        self.is_garbled = False
        self.clock.sleep(1.0)

    def close(self, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]) -> None:
        self.settle()
        self.clock.turn(self.clock.now().replace(hour=21, minute=0, second=0, microsecond=0))
        self._round()
        known = self.desk.prices
        self.desk.prices = {asset: price for asset, price in prices.items() if price is not None}
        self.desk.trade({asset: volume for asset, volume in volumes.items() if volume is not None})
        self.desk.prices = known | self.desk.prices
        self.desk.end_day()
        self.clock.turn((self.clock.now() + timedelta(days=1)).replace(hour=START.hour))
        self._round()

    def restart(self) -> None:
        self._broker = self._open()

    def fail_next(self, fault: Fault) -> None:
        if fault is Fault.UNKNOWN:
            self.is_garbled = True
        else:
            self.folder.rename(self._aside)

    def end(self) -> None:
        """Let the folders go."""
        shutil.rmtree(self.folder)

    @property
    def _aside(self) -> Path:
        return self.folder.with_name("not-mounted")

    @property
    def _garbage(self) -> Path:
        return self.folder / "inbox" / f"acks-garbage.{self.settings.format}"

    def _meanwhile(self) -> None:
        if self.is_garbled:
            self._garbage.write_text("@@@\n@@@\n")
        elif self.folder.exists():
            self._round()

    def _round(self) -> None:
        self.desk.take()
        self.desk.tell()

    def _open(self) -> FolderBroker:
        return open_files(self.settings, self.clock)
