"""Inputs and result of a run: the values at the border of `run.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sigc.calendar.sessions import Calendar
from sigc.clock import Clock
from sigc.config.settings import Config
from sigc.errors import Diagnostic
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Intent, Run, RunKind, RunStage
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.live.run_watch import RunWatch as RunWatch
from sigc_pipelines.live.send_orders import Desk
from sigc_pipelines.records.artifacts import Render

if TYPE_CHECKING:
    from sigc.panel import Floats
    from sigc_pipelines.compute import Loaded
    from sigc_pipelines.portfolio.rebalance_turn import RebalanceTurn
    from sigc_pipelines.prices.closes import Closes
    from sigc_pipelines.targets import Targets, TargetSnapshot


class TargetFeed(Protocol):
    """Source of a run's data and weights: computed for its date, or for many dates at once (a replay)."""

    def accepting(self, by_hand: frozenset[tuple[str, str]]) -> TargetFeed:
        """Return the same feed with prices (asset, ISO date) that a person has accepted."""
        ...

    def load(self, until: str) -> Loaded:
        """Load the sources, without rows after `until`."""
        ...

    def closes(self, loaded: Loaded, since: str) -> Closes:
        """Return closing prices from a day on."""
        ...

    def look(self, loaded: Loaded, portfolio: str) -> Targets:
        """Return the wanted weights, at least of the last row."""
        ...

    @property
    def is_kept(self) -> bool:
        """True if computed values are written beside the run for people to read."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """Request for a run. id: of the run; who: the requester; slot: the scheduled fire of an intraday job.

    is_scheduled: started by the schedule, not by a person: it trades on rebalance rows only. is_forced: run even if the
    session was traded or the strategy is paused; needs a reason. accepts_differences: between ledger and broker.
    digests: of strategy text, configuration and code. configured: the strategies of the configuration, if it has any.
    """

    id: str
    strategy: str
    portfolio: str
    kind: RunKind
    who: str
    reason: str = ""
    slot: str = ""
    is_forced: bool = False
    accepts_differences: bool = False
    is_scheduled: bool = False
    configured: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trading:
    """The environment of runs: ledger, broker, clock, calendar, settings.

    has_files: a run leaves files for people to read; its weights are always written.
    """

    ledger: Ledger
    broker: Broker
    clock: Clock
    calendar: Calendar
    config: Config
    render: Render | None = None
    has_files: bool = True

    @property
    def desk(self) -> Desk:
        """The parts that execution needs."""
        return Desk(self.ledger, self.broker, self.clock, self.config.execution)


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """A run that has ended. problems: reasons of a refusal or failure. orders: sent, or (dry run) that would be sent.

    turn: of the book, None if the run ended before. held: weights that it held when it decided, (assets,). waiting: its
    orders that are at the broker and wait for the open. scratch: why it traded a scratch account, '' if it did not.
    """

    run: Run
    stages: tuple[RunStage, ...]
    orders: tuple[Intent, ...]
    sight: TargetSnapshot | None
    target: Floats | None
    problems: tuple[Diagnostic, ...]
    turn: RebalanceTurn | None = None
    held: Floats | None = None
    waiting: WaitingOrders | None = None
    scratch: str = ""
