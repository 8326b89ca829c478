"""`sigc backtest --orders`: the live stages over past dates, with the paper broker and a hand-turned clock.

    1. data and wanted weights of all rows, computed once (the same bits as date by date)
    2. for each row: set the clock to just after its close; on a rebalance row carry out a scheduled run, again on the
       next row if it traded nothing; on other rows only fills and NAV
    3. returns from the NAV, costs and turnover from the fills: a `BacktestRun` like that of the simple accounting
    4. the causes of the difference to the simple accounting, step by step, each with its effect on the total return

Ledger and paper book are temporary. An order decided after the close of t is filled at the close of t + 1.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from sigc.calendar.sessions import Calendar
from sigc.clock import HandClock
from sigc.config.settings import AuditSettings, Config
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Floats, Panel
from sigc.plan.strategy import Backtest, Portfolio
from sigc.store.ledger import action_rows, books, breakers, orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Outcome, RunKind
from sigc_pipelines.backtest.backtest import Accounts, BacktestRun
from sigc_pipelines.backtest.causes import Cause, ReplayRows, ReplayTrades, decided, steps
from sigc_pipelines.backtest.measuring import measured
from sigc_pipelines.backtest.performance import exposures_of, total_return
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.compute import Loaded, Workspace, rows_between
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.sizing import lot_of
from sigc_pipelines.live.trading import Ended, Request, Trading
from sigc_pipelines.live.tripping import judge_breakers
from sigc_pipelines.live.valuing import follow
from sigc_pipelines.portfolio.rebalance import Due, due_rows, row_days
from sigc_pipelines.prices.closes import closes
from sigc_pipelines.stopping.breaker_closing import close_by_breakers
from sigc_pipelines.target_feeds import ReplayFeed
from sigc_pipelines.targets import Targets, look

_AFTER_ALL = "9999"  # sorts after every ISO date


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """result: of the orders. simple: total return of the simple accounting, before costs. runs: one a rebalance.

    traded: the book's trades in the ledger.
    """

    result: BacktestRun
    simple: float
    steps: tuple[Cause, ...]
    runs: tuple[Ended, ...]
    traded: ReplayTrades


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
                trading = Trading(ledger, broker, clock, calendar, config, has_files=False)
                ended = _trade(
                    trading,
                    ReplayFeed(outlook, prices),
                    days,
                    due_rows(settings.rebalance, row_days(loaded, workspace, start, stop)),
                    key,
                )
                with ledger.reading() as connection:
                    traded = _traded(connection, key)
                step = broker.capabilities().quantity_step
        finally:
            broker.close()
    book = replace(portfolio, backtest=settings)
    accounts = Accounts(loaded, workspace, book, capital, start, stop)
    told = (*accounts.findings, *odd, *_not_done(ended))
    lot = float(lot_of(config.execution, step))
    held = prices.since(outlook.days[0])
    count = len(outlook.days)
    priced = np.isfinite(held.prices[:count])
    rows = ReplayRows(outlook.days, outlook.names, held.marks[:count], priced, traded, capital, lot)
    result = _result(accounts, outlook, rows, told)
    simple, found = _steps(accounts, outlook, rows, result, ended, of_capital=config.execution.sizing == "capital")
    return Replay(result, simple, found, ended, traded)


def _traded(connection: sqlite3.Connection, key: BookKey) -> ReplayTrades:
    return ReplayTrades(
        fills=books.fills_of_book(connection, key),
        entries=action_rows.entries_of_book(connection, key)[::-1],
        navs=books.navs(connection, key),
        charges=books.charges_by_day(connection, key),
        dues=action_rows.between(connection, "", _AFTER_ALL),
        held=books.quantities(connection, key),
        states=orders.counts(connection, key),
    )


def _sessions(outlook: Targets, calendar: Calendar) -> tuple[tuple[tuple[int, str], ...], tuple[Diagnostic, ...]]:
    """Return the rows that are sessions, with their dates, and a warning about the others."""
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
    """Return a warning for each reason why runs were not carried out, with its first date."""
    reasons: dict[str, list[str]] = {}
    for one in ended:
        outcome, said = one.run.outcome, f"{one.run.as_of}: {one.run.message}"
        if outcome in (Outcome.PARTIAL, Outcome.NOTHING_TRADED):
            reasons.setdefault(f"ended as {outcome}", []).append(said)
        elif not outcome.is_success:
            check = next((f.check for s in one.stages for f in s.findings if f.severity is Severity.ERROR), outcome)
            reasons.setdefault(f"were not done by '{check}'", []).append(said)
    return tuple(
        Diagnostic("W002", f"{len(found)} runs {what}, first {found[0]}", severity=Severity.WARNING)
        for what, found in sorted(reasons.items())
    )


def _trade(
    trading: Trading, feed: ReplayFeed, days: tuple[tuple[int, str], ...], due: Due, key: BookKey
) -> tuple[Ended, ...]:
    ended, is_due, looked = [], False, 0
    clock = trading.clock
    for row, day in days:
        if isinstance(clock, HandClock):
            clock.turn(instant_of(trading.calendar, day))
        is_due = is_due or bool(
            due[looked : row + 1].any()
        )  # the next session makes up for a due row that is no session
        looked = row + 1
        if (is_due or _is_ready(trading, feed, key, row)) and not _is_stopped(trading, key):
            id = f"{key.strategy}-{day}"
            request = Request(id, key.strategy, key.portfolio, RunKind.TRADE, "replay", is_scheduled=True)
            ended.append(carry_out(trading, request, feed))
            # A run that traded nothing (refused, all orders denied) leaves the rebalance due on the next row.
            with trading.ledger.reading() as connection:
                is_due = runs.traded_before(connection, key.strategy, key.portfolio, _AFTER_ALL) < day
        else:
            as_of = trading.calendar.last_complete(clock.now())
            follow(
                *(trading.ledger, trading.broker, trading.calendar, key, as_of, feed.prices.since),
                lambda: settle(trading.ledger, trading.broker),
                feed.outlook.loaded.actions,
                lambda tx, sessions: judge_breakers(tx, trading.config.safety, key, sessions),
            )
        close_by_breakers(trading)
    return tuple(ended)


def _is_stopped(trading: Trading, key: BookKey) -> bool:
    """Return True once a circuit breaker has tripped: nobody resets it here."""
    with trading.ledger.reading() as connection:
        return breakers.halt_of(connection, key.strategy) is not None


def _is_ready(trading: Trading, feed: ReplayFeed, key: BookKey, row: int) -> bool:
    """Return True if a pending change has a price now."""
    with trading.ledger.reading() as connection:
        waiting = runs.pending(connection, key.strategy, key.portfolio)
    if not waiting:
        return False
    priced = np.isfinite(feed.prices.prices[row])
    return any(is_there and name in waiting for name, is_there in zip(feed.prices.names, priced.tolist(), strict=True))


def _result(accounts: Accounts, outlook: Targets, rows: ReplayRows, odd: tuple[Diagnostic, ...]) -> BacktestRun:
    """NAV, fills and charges as a backtest's result: rates against the NAV of the row before, which holds what is owed.

    Costs are what fills cost beyond the close, commissions and fees.
    """
    names, capital = outlook.names, rows.capital
    navs: dict[str, Decimal] = {n.session: n.nav for n in rows.traded.navs}
    nav = _filled(np.array([float(navs.get(day, "nan")) for day in outlook.days]), capital)
    before = np.concatenate([[capital], nav[:-1]])
    worth = rows.quantities * np.nan_to_num(rows.marks)
    nav, before, worth, traded, paid = _until_ruin(nav, before, worth, rows.value, rows.fees + rows.slippage)
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
    return BacktestRun(
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
    """Return the series with zeros from the row on which the NAV reaches 0, whatever later orders did."""
    ruined = np.minimum.accumulate(nav) <= 0.0
    before = np.concatenate([[False], ruined[:-1]])
    # `others`: the first is the NAV of the row before, which is 0 one row later than the rest.
    columns = (np.where(before if at == 0 else ruined, 0.0, x.T).T for at, x in enumerate(others))
    return np.where(ruined, 0.0, nav), *columns


def _filled(values: Floats, first: float) -> Floats:
    """Missing values as the last one before."""
    out = values.copy()
    for i in range(len(out)):
        if np.isnan(out[i]):
            out[i] = first if i == 0 else out[i - 1]
    return out


def _steps(
    accounts: Accounts,
    outlook: Targets,
    rows: ReplayRows,
    result: BacktestRun,
    ended: tuple[Ended, ...],
    *,
    of_capital: bool,
) -> tuple[float, tuple[Cause, ...]]:
    """Return the total return of the simple accounting, and the steps from it to the orders (see `causes.py`)."""
    clean = outlook.wanted
    simple = total_return(accounts.held(clean, drift=accounts.settings.drift).gross)
    drifting = total_return(accounts.held(clean, drift=True).gross)
    delayed = accounts.held(clean, drift=True, delay=1)
    last = total_return(delayed.gross)
    found = [
        Cause("drift", drifting - simple, "weights move with prices between rebalances"),
        Cause("delay", last - drifting, "decided after a close, filled at the next one"),
    ]
    gone = [event for event in delayed.events if event.is_end and not event.is_declared]
    if gone:
        kept = total_return(accounts.held(clean, drift=True, delay=1, keeps_ended=True).gross)
        found.append(Cause("ends", kept - last, f"{len(gone)} assets without prices stay in the book at the last one"))
        last = kept
    missed = [e for e in ended if e not in decided(ended)]
    if missed:
        due = np.isin(np.array(outlook.days), [e.run.as_of for e in decided(ended, wholly=True)])
        done = total_return(accounts.held(clean, drift=True, delay=1, due=due, keeps_ended=True).gross)
        found.append(Cause("missed", done - last, f"{len(missed)} of {len(ended)} runs were not carried out"))
        last = done
    net = total_return(result.returns)
    return simple, (*found, *steps(rows, ended, last, net, of_capital=of_capital))
