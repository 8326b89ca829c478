"""What a run is carried out with, and what comes of it: the values at the border of `run.py`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sigc.calendar.sessions import Calendar
from sigc.clock import Clock
from sigc.config.settings import Config
from sigc.errors import Diagnostic
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Intent, Run, RunKind, RunStage, StageName
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.live.send_orders import Desk
from sigc_pipelines.records.artifacts import Render

if TYPE_CHECKING:
    from sigc.panel import Floats
    from sigc_pipelines.compute import Loaded
    from sigc_pipelines.portfolio.rebalance_turn import RebalanceTurn
    from sigc_pipelines.prices.closes import Closes
    from sigc_pipelines.targets import Targets, TargetSnapshot


class TargetFeed(Protocol):
    """Where a run's data and weights come from: computed for its date, or for many dates at once (a replay)."""

    def accepting(self, by_hand: frozenset[tuple[str, str]]) -> TargetFeed:
        """The same, where prices (asset, ISO date) that a person has accepted count."""
        ...

    def load(self, until: str) -> Loaded:
        """The sources, no row after `until`."""
        ...

    def closes(self, loaded: Loaded, since: str) -> Closes:
        """Closing prices from a day on."""
        ...

    def look(self, loaded: Loaded, portfolio: str) -> Targets:
        """The wanted weights, at least of the last row."""
        ...

    @property
    def is_kept(self) -> bool:
        """Whether what was computed is written down beside the run, for people to look at."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run. id: of the run; who: asked for it; slot: the scheduled fire of an intraday job.

    is_scheduled: asked for by the schedule, not by a person: it trades on rebalance rows only.
    is_forced: although it was traded, or is paused; needs a reason. accepts_differences: between ledger and broker.
    digests: of strategy text, configuration and code.
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
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunWatch:
    """How others follow a run, and end it. stage: told the name of each; stop: set to send nothing more."""

    stage: Callable[[StageName], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Trading:
    """Where runs are carried out: the ledger, the broker, the clock, the calendar, all settings.

    has_files: whether a run leaves files for people to read; its weights are always written.
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
        """What execution needs of it."""
        return Desk(self.ledger, self.broker, self.clock, self.config.execution)


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """A run that has ended. problems: why it was refused or failed. orders: sent, or such as would have been.

    turn: of the book, where the run came to look at it. held: weights that it held when it decided, (assets,).
    """

    run: Run
    stages: tuple[RunStage, ...]
    orders: tuple[Intent, ...]
    sight: TargetSnapshot | None
    target: Floats | None
    problems: tuple[Diagnostic, ...]
    turn: RebalanceTurn | None = None
    held: Floats | None = None
