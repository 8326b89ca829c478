"""Benches of the paper broker for the contract: as it is, opened anew for each request, behind a faulty wire."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc_pipelines.brokers.faulty import Fault, Faults, FaultyBroker
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import Broker

START = datetime(2024, 1, 2, 15, tzinfo=UTC)
COSTS = PaperSettings(
    slippage_bps=7, commission_bps=3, commission_per_share=0.005, min_commission=1, borrow_bps=400, quantity_step="0.5"
)


class PaperBench:
    """Half past nothing on a Tuesday, ten thousand in the account; each session closes at nine in the evening."""

    assets = ("ALPHA", "BETA")
    nowhere = "NOWHERE"
    faults: frozenset[Fault] = frozenset()

    def __init__(self, path: Path, settings: PaperSettings, *, reopened: bool = False) -> None:
        self._path = path
        self._settings = settings
        self._reopened = reopened
        self.clock = HandClock(START)
        self._paper = self._open()
        self._paper.deposit("start", Decimal(1_000_000))
        self._mark(START - timedelta(days=1), dict.fromkeys(self.assets, Decimal(100)), {})

    @property
    def broker(self) -> Broker:
        return self.paper()

    def paper(self) -> PaperBroker:
        """The broker itself."""
        if self._reopened:
            self._reopen()
        return self._paper

    def now(self) -> datetime:
        return self.clock.now()

    def settle(self) -> None:
        self.clock.sleep(10.0)

    def close(self, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]) -> None:
        self._mark(self.clock.now(), prices, volumes)
        self.clock.turn((self.clock.now() + timedelta(days=1)).replace(hour=START.hour, minute=0, second=0))

    def restart(self) -> None:
        self._reopen()

    def fail_next(self, fault: Fault) -> None:
        raise NotImplementedError(fault)

    def end(self) -> None:
        """Let all files go."""
        self._paper.close()

    def _mark(self, day: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]) -> None:
        at = day.replace(hour=21, minute=0, second=0)
        self.clock.turn(at)
        self.paper().mark(at.date().isoformat(), at, prices, volumes)

    def _open(self) -> PaperBroker:
        return PaperBroker(self._path, self._settings, self.clock, durable=False)

    def _reopen(self) -> None:
        self._paper.close()
        self._paper = self._open()


class FaultyBench(PaperBench):
    """The same behind a wire that fails as told, and by rates."""

    faults = frozenset(Fault)

    def __init__(self, path: Path, settings: PaperSettings, faults: Faults, seed: int) -> None:
        super().__init__(path, settings)
        self._rates = faults
        self._seed = seed
        self._faulty = self._wire()

    @property
    def broker(self) -> FaultyBroker:
        return self._faulty

    def settle(self) -> None:
        self.clock.sleep(self._rates.late_s)
        self._faulty.deliver()
        self.clock.sleep(self._rates.lag_s)

    def restart(self) -> None:
        self._faulty.close()
        super().restart()
        self._faulty = self._wire()

    def fail_next(self, fault: Fault) -> None:
        self._faulty.fail_next(fault)

    def end(self) -> None:
        self._faulty.close()
        super().end()

    def _wire(self) -> FaultyBroker:
        memory = self._path.with_name("wire.jsonl")
        return FaultyBroker(self.paper(), self._rates, self.clock, seed=self._seed, memory=memory)
