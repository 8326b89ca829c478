"""View of a traded book for its report, from the ledger, the runs' files and the strategy."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sigc.daemon.book_history import nav_reply
from sigc.daemon.run_files import signals_of, targets_of
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.rpc.messages.history import NavRequest, PositionsReply, SignalDay
from sigc.store.history import history, holding
from sigc.store.history.history import TradesWanted
from sigc.store.history.track import SESSIONS_A_YEAR
from sigc.store.ledger import books, breakers, control, runs
from sigc.store.ledger.records import BookKey, Outcome, Run
from sigc.words import local_time
from sigc_dashboard.reports.live_report import LiveView
from sigc_dashboard.reports.view import Rows
from sigc_pipelines.backtest.factor_analysis import ROLLING, rolling_sharpe
from sigc_pipelines.service.reports import DrawnReport

_ALL = 1_000_000  # a report leaves nothing out
_MOST_POSITIONS, _MOST_RUNS, _MOST_DAYS = 25, 15, 2600


def live_view(
    connection: sqlite3.Connection,
    work_dir: Path,
    strategy: str,
    portfolio: str = "",
    params: Mapping[str, float] | None = None,
    sizing: str = "nav",
) -> LiveView:
    """Everything the report of a book shows. params: of the strategy, as it is configured now; sizing: of orders.

    Raises E312.
    """
    nav = nav_reply(connection, NavRequest(strategy, portfolio, points=_ALL))
    if nav is None:
        raise SigcError(_unknown(connection, strategy, portfolio))
    key = BookKey(strategy, nav.portfolio)
    page, _ = history.trades_page(connection, TradesWanted(strategy, key.portfolio, most=_MOST_DAYS))
    days, fifths = signals_of(work_dir, [(run, history.totals_of(connection, run.id)) for run in page])
    last = runs.find(connection, page[0].id) if page else None
    rolling = rolling_sharpe(np.array(nav.daily, dtype=np.float64), SESSIONS_A_YEAR)
    known = zip(nav.session[ROLLING - 1 :], rolling[ROLLING - 1 :].tolist(), strict=True)
    return LiveView(
        nav=nav,
        positions=_positions(connection, work_dir, key, last, sizing),
        days=days,
        fifths=fifths,
        rolling=tuple((session, float(value)) for session, value in known),
        runs=tuple(_line(run, day) for run, day in zip(page, days, strict=True))[:_MOST_RUNS],
        findings=_findings(connection, strategy, last),
        made_of=_made_of(last, params or {}),
        broker=f"{last.broker} account" if last is not None else "no broker yet",
    )


def drawn(view: LiveView) -> DrawnReport:
    """Draw a view as a report."""
    from sigc_dashboard.reports.live_report import render

    return DrawnReport(view.nav.figures.last or "", render(view))


def draw_report(
    connection: sqlite3.Connection, work_dir: Path, key: BookKey, params: Mapping[str, float], sizing: str
) -> DrawnReport:
    """Draw the report of a book. Raises E312."""
    return drawn(live_view(connection, work_dir, key.strategy, key.portfolio, params, sizing))


def _unknown(connection: sqlite3.Connection, strategy: str, portfolio: str) -> Diagnostic:
    known = [b.key.strategy for b in books.books(connection)]
    what = f"strategy '{strategy}'" + (f" with the portfolio '{portfolio}'" if portfolio else "")
    hint = did_you_mean(strategy, known) or (
        f"there are {', '.join(sorted(set(known)))}" if known else "trade it first"
    )
    return Diagnostic("E312", f"no book of the {what}: it has not traded", hint=hint)


def _positions(
    connection: sqlite3.Connection, work_dir: Path, key: BookKey, last: Run | None, sizing: str
) -> PositionsReply:
    targets = targets_of(work_dir, last.id) if last is not None else {}
    book = books.book(connection, key)
    money = holding.sized_by(connection, book, sizing) if book is not None else 0.0
    held, total = holding.holdings(connection, key, targets, _MOST_POSITIONS, money)
    nav = books.last_nav(connection, key)
    as_of, id = (last.as_of, last.id) if last is not None else ("", "")
    as_of = as_of if nav is None else nav.session
    return PositionsReply(key.strategy, key.portfolio, None, None, as_of, id, total, held, money)


def _line(run: history.PastRun, day: SignalDay) -> tuple[str, ...]:
    slippage = "–" if day.slippage_bps is None else f"{day.slippage_bps:+.1f}"
    return (run.session, run.id, run.outcome, f"{day.traded:,.0f}", slippage, f"{day.commission:,.2f}")


def _findings(connection: sqlite3.Connection, strategy: str, last: Run | None) -> Rows:
    """Return the stops of the strategy, and the end of its last run unless that was good."""
    held = [breakers.halt_of(connection, strategy), control.holds(connection, control.PAUSED, strategy)]
    found = [
        (
            one.name,
            f"{one.scope or 'everything'} since {local_time(one.at, 'UTC')} by {one.who}: {one.reason or one.value}",
        )
        for one in held
        if one is not None
    ]
    if last is not None and not (last.outcome.is_success or last.outcome is Outcome.OPEN):
        found.append(("last run", f"{last.outcome}: {last.message}"))
    return tuple(found)


def _made_of(last: Run | None, params: Mapping[str, float]) -> Rows:
    rows = [(f"parameter {name}", f"{value:g}") for name, value in sorted(params.items())]
    if last is not None:
        rows += [("newest run", f"{last.id}, as of {last.as_of}")]
        rows += [(name.replace(":", " "), digest) for name, digest in sorted(last.digests.items())]
    return tuple(rows)
