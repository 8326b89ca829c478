"""`sigc backtest --orders`: the live stages over past dates, with the paper broker and a hand-turned clock.

    1. data and wanted weights of all rows, computed once (the same bits as date by date)
    2. for each row: turn the clock to just after its close; on a rebalance row a run as the schedule asks for it, and
       on the next row again where it traded nothing; else only fills and NAV
    3. returns from the NAV, costs and turnover from the fills: a `Result` like that of the simple accounting
    4. what the simple accounting leaves out, step by step, each with its effect on the total return

Ledger and paper book are scratch. An order decided after the close of t is filled at the close of t + 1.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sigc.calendar import Calendar
from sigc.clock import HandClock
from sigc.config import AuditSettings, Config
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Floats, Panel
from sigc.plan.strategy import Backtest, Portfolio
from sigc.store import action_rows, books, orders, runs
from sigc.store.action_rows import Entry
from sigc.store.ledger import Ledger
from sigc.store.records import BookKey, Fill, RunKind, Weight
from sigc_pipelines.backtest import Accounts, Result
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.closes import Closes, closes
from sigc_pipelines.compute import Loaded, Workspace, rows_between
from sigc_pipelines.feed import ReplayFeed
from sigc_pipelines.measuring import measured
from sigc_pipelines.outlook import Outlook, look
from sigc_pipelines.performance import exposures_of, total_return
from sigc_pipelines.rebalance import Due, due_rows, row_days
from sigc_pipelines.run import carry_out
from sigc_pipelines.session import instant_of
from sigc_pipelines.settle import settle
from sigc_pipelines.trading import Ended, Request, Trading
from sigc_pipelines.valuing import follow

_AFTER_ALL = "9999"  # any run's as-of date is before it


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the simple accounting leaves out. effect: on the total return; note: how often, how much."""

    name: str
    effect: float
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """result: of the orders. simple: total return of the simple accounting, before costs. runs: one a rebalance."""

    result: Result
    simple: float
    steps: tuple[Step, ...]
    runs: tuple[Ended, ...]


def replay(
    loaded: Loaded,
    workspace: Workspace,
    portfolio: Portfolio,
    config: Config,
    calendar: Calendar,
    *,
    capital: float,
    overrides: Mapping[str, object] | None = None,
) -> Replay:
    """Trade `portfolio` over its dates with orders. Raises E501 when no row of the range is a session."""
    settings = replace(portfolio.backtest or Backtest(), **(overrides or {}))  # type: ignore[arg-type]
    start, stop = rows_between(loaded.grid, settings.start, settings.end)
    outlook = look(loaded, workspace, portfolio.name, start, stop, capital=capital)
    prices = closes(loaded, workspace, outlook.days[0])
    execution = config.execution.model_copy(update={"capital": capital})
    config = config.model_copy(update={"execution": execution, "audit": AuditSettings(mirror=False)})
    days, odd = _sessions(outlook, calendar)
    key = BookKey(loaded.strategy.name, portfolio.name)
    with tempfile.TemporaryDirectory(prefix="sigc-replay-") as scratch:
        clock = HandClock(instant_of(calendar, days[0][1]))
        broker = PaperBroker(Path(scratch) / "paper.sqlite", config.broker.paper, clock, durable=False)
        try:
            with Ledger.open(Path(scratch), clock, durable=False) as ledger:
                trading = Trading(ledger, broker, clock, calendar, config)
                ended = _trade(
                    trading,
                    ReplayFeed(outlook, prices),
                    days,
                    due_rows(settings.rebalance, row_days(loaded, workspace, start, stop)),
                    key,
                )
                with ledger.reading() as connection:
                    fills = books.fills_of_book(connection, key)
                    entries = action_rows.entries_of_book(connection, key)
                    navs = {n.session: float(n.nav) for n in books.navs(connection, key)}
                    states = orders.counts(connection, key)
                    charges = {s: float(c) for s, c in books.charges_by_day(connection, key).items()}
        finally:
            broker.close()
    book = replace(portfolio, backtest=settings)
    accounts = Accounts(loaded, workspace, book, capital, start, stop)
    told = (*accounts.findings, *odd, *_not_done(ended))
    result = _result(accounts, outlook, prices, fills, entries, navs, charges, capital, told)
    simple, steps = _steps(accounts, outlook, result, ended, states)
    return Replay(result, simple, steps, ended)


def _sessions(outlook: Outlook, calendar: Calendar) -> tuple[tuple[tuple[int, str], ...], tuple[Diagnostic, ...]]:
    """The rows that are sessions, with their dates, and a warning of those that are not."""
    days = [np.datetime64(d, "D").astype(object) for d in outlook.days]
    known = {s.day for s in calendar.sessions(days[0], days[-1])}
    found = tuple((i, str(day)) for i, day in enumerate(days) if day in known)
    strange = [str(day) for day in days if day not in known]
    hint = "set schedule.calendar to the calendar of the data (weekdays, always, or an exchange)"
    if not found:
        raise SigcError(Diagnostic("E501", f"no row is a session of the calendar '{calendar.name}'", hint=hint))
    if not strange:
        return found, ()
    message = f"{len(strange)} rows are no sessions of the calendar '{calendar.name}', such as {strange[0]}: not traded"
    return found, (Diagnostic("W002", message, severity=Severity.WARNING, hint=hint),)


def _not_done(ended: tuple[Ended, ...]) -> tuple[Diagnostic, ...]:
    """A warning for each reason why runs were not carried out, with the first date of it."""
    reasons: dict[str, list[str]] = {}
    for one in ended:
        if not one.run.outcome.is_success:
            check = next((f.check for s in one.stages for f in s.findings if f.weight is Weight.ERROR), one.run.outcome)
            reasons.setdefault(check, []).append(f"{one.run.as_of}: {one.run.message}")
    return tuple(
        Diagnostic("W002", f"{len(found)} runs were not done by '{check}', first {found[0]}", severity=Severity.WARNING)
        for check, found in sorted(reasons.items())
    )


def _trade(
    trading: Trading, feed: ReplayFeed, days: tuple[tuple[int, str], ...], due: Due, key: BookKey
) -> tuple[Ended, ...]:
    ended, is_due, looked = [], False, 0
    clock = trading.clock
    for row, day in days:
        if isinstance(clock, HandClock):
            clock.turn(instant_of(trading.calendar, day))
        is_due = is_due or bool(due[looked : row + 1].any())  # a row that is no session is made up for by the next
        looked = row + 1
        if is_due or _is_ready(trading, feed, key, row):
            id = f"{key.strategy}-{day}"
            request = Request(id, key.strategy, key.portfolio, RunKind.TRADE, "replay", is_scheduled=True)
            ended.append(carry_out(trading, request, feed))
            with trading.ledger.reading() as connection:
                is_due = runs.traded_before(connection, key.strategy, key.portfolio, _AFTER_ALL) < day
        else:
            as_of = trading.calendar.last_complete(clock.now())
            follow(
                *(trading.ledger, trading.broker, trading.calendar, key, as_of, lambda _: feed.prices),
                lambda: settle(trading.ledger, trading.broker),
                feed.outlook.loaded.actions,
            )
    return tuple(ended)


def _is_ready(trading: Trading, feed: ReplayFeed, key: BookKey, row: int) -> bool:
    """True where a change that waited for a price can be made."""
    with trading.ledger.reading() as connection:
        waiting = runs.pending(connection, key.strategy, key.portfolio)
    priced = np.isfinite(feed.prices.prices[row])
    return any(is_there and name in waiting for name, is_there in zip(feed.prices.names, priced.tolist(), strict=True))


def _result(
    accounts: Accounts,
    outlook: Outlook,
    prices: Closes,
    fills: tuple[Fill, ...],
    entries: tuple[Entry, ...],
    navs: Mapping[str, float],
    charges: Mapping[str, float],
    capital: float,
    odd: tuple[Diagnostic, ...],
) -> Result:
    """NAV, fills, corporate actions and charges as a backtest's result: rates against the NAV of the row before."""
    rows, names = len(outlook.days), outlook.names
    at = {day: i for i, day in enumerate(outlook.days)}
    column = {name: i for i, name in enumerate(names)}
    change, traded, paid = np.zeros((rows, len(names))), np.zeros(rows), np.zeros(rows)
    for fill in fills:
        row, quantity = at[fill.at.date().isoformat()], float(fill.quantity)
        change[row, column[fill.asset]] += fill.side.sign * quantity
        traded[row] += quantity * float(fill.price)
        paid[row] += float(fill.commission)
    for entry in entries:
        row = bisect_left(outlook.days, entry.session)  # of a session without a row: the next one
        for asset, moved in ((entry.asset, entry.amounts.change), (entry.into, entry.amounts.into_change)):
            if moved and asset in column and row < rows:
                change[row, column[asset]] += float(moved)
    for day, amount in charges.items():
        paid[at[day]] -= amount
    nav = _filled(np.array([navs.get(day, np.nan) for day in outlook.days]), capital)
    before = np.concatenate([[capital], nav[:-1]])
    worth = np.cumsum(change, axis=0) * _filled_panel(prices.prices[:rows])
    nav, before, worth, traded, paid = _until_ruin(nav, before, worth, traded, paid)
    with np.errstate(divide="ignore", invalid="ignore"):
        net = np.where(before > 0.0, nav / before - 1.0, 0.0)
        held = np.where(nav[:, None] > 0.0, worth / nav[:, None], 0.0)
        costs, traded = (np.where(before > 0.0, x / before, 0.0) for x in (paid, traded))
    wanted, periods = Panel(outlook.dates, names, outlook.wanted), accounts.loaded.periods
    first = accounts.first(outlook.wanted, accounts.portfolio)
    metrics, against = measured(
        *(outlook.dates, net, traded, costs, exposures_of(held), accounts.benchmark),
        first=first,
        periods=periods.a_year,
    )
    return Result(
        strategy=accounts.loaded.strategy.name,
        portfolio=outlook.portfolio,
        params=dict(accounts.loaded.strategy.params),
        settings=accounts.settings,
        dates=outlook.dates,
        returns=net,
        gross=net + costs,
        costs=costs,
        turnover=traded,
        weights=Panel(outlook.dates, names, held),
        wanted=wanted,
        metrics=metrics,
        benchmark=accounts.benchmark,
        against=against,
        findings=(*outlook.loaded.findings, *odd),
        digests=outlook.digests,
        report=outlook.report,
        periods=periods,
        left_out=first,
    )


def _until_ruin(nav: Floats, *others: Floats) -> tuple[Floats, ...]:
    """From the row on which the NAV reaches 0 all is 0, whatever the orders went on to do."""
    ruined = np.minimum.accumulate(nav) <= 0.0
    before = np.concatenate([[False], ruined[:-1]])
    columns = (np.where(before if at == 0 else ruined, 0.0, x.T).T for at, x in enumerate(others))
    return np.where(ruined, 0.0, nav), *columns


def _filled(values: Floats, first: float) -> Floats:
    """Missing values as the last one before."""
    out = values.copy()
    for i in range(len(out)):
        if np.isnan(out[i]):
            out[i] = first if i == 0 else out[i - 1]
    return out


def _filled_panel(values: Floats) -> Floats:
    """The last price of each asset down the rows, 0 before the first."""
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], -1), axis=0)
    return np.where(last >= 0, np.take_along_axis(values, np.maximum(last, 0), axis=0), 0.0)


def _steps(
    accounts: Accounts, outlook: Outlook, result: Result, ended: tuple[Ended, ...], states: Mapping[str, int]
) -> tuple[float, tuple[Step, ...]]:
    """From the simple accounting to the orders: drift, the delay of a row, shares and fills, costs."""
    clean = outlook.wanted
    simple = total_return(accounts.held(clean, drift=accounts.settings.drift).gross)
    drifting = total_return(accounts.held(clean, drift=True).gross)
    delayed = total_return(accounts.held(clean, drift=True, delay=1).gross)
    traded = total_return(result.gross)
    net = total_return(result.returns)
    missing = int(accounts.held(clean, drift=True, delay=1).missing.sum())
    told = ", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "no orders"
    failed = sum(not e.run.outcome.is_success for e in ended)
    return simple, (
        Step("drift", drifting - simple, "weights move with prices between rebalances"),
        Step("delay", delayed - drifting, "decided after a close, filled at the next one"),
        Step(
            "shares",
            traded - delayed,
            f"whole shares of a fixed capital or the NAV, unfilled orders, {missing} missing returns: {told}"
            + (f"; {failed} of {len(ended)} runs not done" if failed else ""),
        ),
        Step("costs", net - traded, "commissions and fees of the paper broker, instead of the costs of the strategy"),
    )
