"""The messages about the past: requests and replies of `verbs/history.py`.

Lists come in pages, newest first: pass a reply's `before` with the next request to continue; '' (or 0) means that
nothing is left. Rows added meanwhile neither repeat nor hide one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated

from sigc.rpc.messages.requests import RunId, RunStatus
from sigc.rpc.schema import Bounds, Match, Name
from sigc.store.history.history import OrderTotals, PastFill, PastOrder
from sigc.store.history.holding import Holding
from sigc.store.history.recent import Record
from sigc.store.history.track import Figures

Page = Annotated[int, Bounds(1, 500)]
Portfolio = Annotated[str, Match(r"[A-Za-z0-9_-]{0,64}")]
Word = Annotated[str, Match(r"[a-z0-9_.]{0,64}")]
AnyRun = Annotated[str, Match(r"[A-Za-z0-9._-]{0,80}")]
Cursor = Annotated[str, Match(r"(\d{1,18}(\.\d{1,18}){0,2})?")]
RunCursor = Annotated[str, Match(r"([0-9T:.+-]{10,40}\|[A-Za-z0-9._-]{1,80})?")]
Number = Annotated[int, Bounds(0, 1 << 53)]


@dataclass(frozen=True, slots=True)
class NavRequest:
    """A book's NAV between two dates, inclusive. portfolio: '' for the strategy's first. points: at most so many.

    A longer range is thinned: the first and last point are kept, and of each bucket between them the extremes of NAV
    and
    drawdown, so that no high and no drawdown is lost.
    """

    strategy: Name
    portfolio: Portfolio = ""
    start: date | None = None
    end: date | None = None
    points: Annotated[int, Bounds(16, 2000)] = 1000


@dataclass(frozen=True, slots=True)
class NavReply:
    """A book by session, as columns; months and figures are over all its sessions.

    drawdown: 0 or negative; daily: return since the close before; gross, net: shares of NAV; turnover: what was ordered
    for the session as a share of NAV, None without orders; commission, slippage: money, cumulated.
    sessions: their number in the range; receivables: money owed by corporate actions; declared_until: the last session
    that an older sigc valued at prices as the strategy declared them, '' for none. A strategy that has not traded has
    no book: capital and opened are None.
    """

    strategy: str
    portfolio: str = ""
    capital: float | None = None
    cash: float | None = None
    opened: datetime | None = None
    sessions: int = 0
    session: tuple[str, ...] = ()
    nav: tuple[float, ...] = ()
    drawdown: tuple[float, ...] = ()
    daily: tuple[float, ...] = ()
    gross: tuple[float, ...] = ()
    net: tuple[float, ...] = ()
    turnover: tuple[float | None, ...] = ()
    commission: tuple[float, ...] = ()
    slippage: tuple[float, ...] = ()
    months: Mapping[str, float] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    totals: OrderTotals = field(default_factory=OrderTotals)
    receivables: float = 0.0
    declared_until: str = ""


@dataclass(frozen=True, slots=True)
class RunsPageRequest:
    """Runs by strategy, kind (trade, dry, compute, ...) and outcome (open, done, failed, ...)."""

    strategy: Name | None = None
    kind: Word = ""
    outcome: Word = ""
    before: RunCursor = ""
    most: Page = 50


@dataclass(frozen=True, slots=True)
class RunsPageReply:
    """Runs of the daemon, those under way included, and runs done without it."""

    runs: tuple[RunStatus, ...]
    before: str = ""


@dataclass(frozen=True, slots=True)
class OrdersRequest:
    """Orders by strategy, run, and state: one of them, or `open` for all that may still be filled."""

    strategy: Name | None = None
    state: Word = ""
    run: AnyRun = ""
    before: Cursor = ""
    most: Page = 100


@dataclass(frozen=True, slots=True)
class OrdersReply:
    """A page of orders."""

    orders: tuple[PastOrder, ...]
    before: str = ""


@dataclass(frozen=True, slots=True)
class FillsRequest:
    """Fills by strategy and run."""

    strategy: Name | None = None
    run: AnyRun = ""
    before: Cursor = ""
    most: Page = 100


@dataclass(frozen=True, slots=True)
class FillsReply:
    """A page of fills."""

    fills: tuple[PastFill, ...]
    before: str = ""


@dataclass(frozen=True, slots=True)
class PositionsRequest:
    """The largest positions of a book."""

    strategy: Name
    portfolio: Portfolio = ""
    most: Page = 50


@dataclass(frozen=True, slots=True)
class PositionsReply:
    """Positions at the accepted prices of `as_of`, the session of the newest NAV; `priced` marks older prices.

    Largest first, including those wanted but not held. total: their number; run: the run whose targets are shown;
    money: the amount that weights are shares of; receivables: money owed by corporate actions.
    """

    strategy: str
    portfolio: str = ""
    nav: float | None = None
    cash: float | None = None
    as_of: str = ""
    run: str = ""
    total: int = 0
    positions: tuple[Holding, ...] = ()
    money: float = 0.0
    receivables: float = 0.0


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """Audit records by event (`order` means `order.sent` and its like), strategy and run."""

    event: Word = ""
    strategy: Name | None = None
    run: AnyRun = ""
    before: Number = 0
    most: Annotated[int, Bounds(1, 200)] = 100


@dataclass(frozen=True, slots=True)
class AuditReply:
    """A page of records; payloads are JSON, cut where they are long."""

    records: tuple[Record, ...]
    before: int = 0


@dataclass(frozen=True, slots=True)
class OpenReply:
    """The number of orders that may still be filled, by strategy, then by state."""

    orders: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Stored:
    """Blocks of one source or signal in the cache."""

    name: str
    kind: str
    blocks: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CacheReply:
    """The cache as it was `age_seconds` ago. limit_bytes: 0 without a cache; hits, misses: since it was created.

    by_source: the largest sources and signals.
    """

    is_enabled: bool
    directory: str = ""
    bytes: int = 0
    limit_bytes: int = 0
    blocks: int = 0
    hits: int = 0
    misses: int = 0
    age_seconds: float = 0.0
    by_source: tuple[Stored, ...] = ()


@dataclass(frozen=True, slots=True)
class DetailRequest:
    """A run by its id."""

    id: RunId


@dataclass(frozen=True, slots=True)
class FindingLine:
    """A finding of a check. assets: the first ones; more: the number of others."""

    check: str
    severity: str
    message: str
    assets: tuple[str, ...] = ()
    more: int = 0
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class StageLine:
    """A stage of a run. outcome: done, failed, refused, late, or running; started: None if unknown."""

    name: str
    seconds: float
    outcome: str
    started: datetime | None = None
    findings: tuple[FindingLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a run."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of the plan. label: `operator` with its numbers; name: as in the strategy, if it has one there.

    kind: source, column, or the axis along which it computes (time, cross, cell, ...). seconds: spent in it; None if it
    was
    not computed, or computed together with the node that uses it. computed, cached: blocks, of a node that is stored.
    """

    label: str
    operator: str
    kind: str
    name: str = ""
    line: int = 0
    column: int = 0
    seconds: float | None = None
    is_stored: bool = False
    computed: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class PlanLine:
    """The DAG that a run computed. edges: pairs of node numbers, input first. more: nodes left out.

    blocks: computed, joined to a stored beginning, cached. file: of the lines that nodes name.
    """

    nodes: tuple[PlanNode, ...] = ()
    edges: tuple[tuple[int, ...], ...] = ()
    file: str = ""
    blocks: Mapping[str, int] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    assets: int = 0
    rows: int = 0
    tasks: int = 0
    seconds: float = 0.0
    incidents: tuple[str, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class DetailReply:
    """A run in full, except the lists of its orders and fills. plan: None before it has computed."""

    status: RunStatus
    portfolio: str = ""
    broker: str = ""
    revision: int = 0
    digests: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[StageLine, ...] = ()
    totals: OrderTotals = field(default_factory=OrderTotals)
    orders: Mapping[str, int] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    plan: PlanLine | None = None


@dataclass(frozen=True, slots=True)
class SignalsRequest:
    """The signals of a strategy's runs that traded."""

    strategy: Name
    portfolio: Portfolio = ""
    before: Number = 0
    most: Page = 250


@dataclass(frozen=True, slots=True)
class SignalLine:
    """A signal's distribution over assets. quantiles: at 0, 5, 25, 50, 75, 95, 100 %.

    name: `weights` for the wanted weights. ic: its rank correlation with the returns of the session that followed; None
    before these are known.
    """

    name: str
    count: int
    quantiles: tuple[float, ...] = ()
    mean: float | None = None
    deviation: float | None = None
    ic: float | None = None


@dataclass(frozen=True, slots=True)
class SignalDay:
    """The signals of a run. universe: assets with a price; count over universe is a signal's coverage."""

    run: str
    session: str
    as_of: str
    universe: int
    signals: tuple[SignalLine, ...]
    slippage_bps: float | None = None
    commission: float = 0.0
    traded: float = 0.0


@dataclass(frozen=True, slots=True)
class SignalsReply:
    """Runs, newest first. fifths: by signal, the mean return of the following session in each fifth of the assets.

    Lowest values first, over the runs of this page. slippage_bps: None without fills.
    """

    days: tuple[SignalDay, ...]
    fifths: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    before: int = 0
