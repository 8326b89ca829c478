"""HTML report of a traded book: its returns, its costs, its positions, the quality of its signals.

`track_figures` draws; `document` is what all reports share; `sigc_cli.text.live_view` fills it from the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sigc.rpc.messages.history import NavReply, PositionsReply, SignalDay
from sigc.store.history.holding import Holding
from sigc_dashboard import tracks
from sigc_dashboard.html import NONE, Html, tag
from sigc_dashboard.reports import track_figures as draw
from sigc_dashboard.reports.document import document, facts, figure, findings, grid, months, section, tiles
from sigc_dashboard.reports.view import Rows

_MOST_SIGNALS = 4


@dataclass(frozen=True, slots=True)
class LiveView:
    """A book to report on. days: newest first. rolling: session and Sharpe ratio. runs: the newest, as text."""

    nav: NavReply
    positions: PositionsReply
    days: tuple[SignalDay, ...]
    fifths: Mapping[str, tuple[float, ...]]
    rolling: tuple[tuple[str, float], ...]
    runs: tuple[tuple[str, ...], ...]
    findings: Rows
    made_of: Rows
    broker: str


@dataclass(slots=True)
class _Sheet:
    """A report under way: its plots by name, and its pieces in order."""

    plots: dict[str, Any] = field(default_factory=dict)
    pieces: list[Html] = field(default_factory=list)

    def draw(self, name: str, title: str, plot: Any, words: str, *, half: bool = False) -> None:
        self.plots[name] = plot
        self.pieces.append(figure(name, title, words, half=half))


def render(view: LiveView) -> str:
    """Return the page as text."""
    nav, sheet = view.nav, _Sheet()
    told = nav.figures
    sheet.pieces += [findings(view.findings), tiles(_tiles(view))]
    if nav.session:
        _track(view, sheet)
    _signals(view, sheet)
    if nav.months:
        sheet.pieces.append(section("Months", months(nav.months, tracks.by_year(nav.months))))
    sheet.pieces += [
        section("Figures", facts("Figures", figures(nav))),
        section("Positions", _positions(view.positions)),
        section("Newest runs", _runs(view.runs)),
        section("Made of", facts("Parameters and data", view.made_of)),
    ]
    span = f"{told.first} to {told.last}, {told.sessions} sessions" if told.sessions else "no session has closed yet"
    title = f"{nav.strategy} ({nav.portfolio})"
    return document("Live report", title, f"{view.broker}, {span}", sheet.pieces, sheet.plots)


def _tiles(view: LiveView) -> tuple[tuple[str, str, float], ...]:
    told, totals = view.nav.figures, view.nav.totals
    return (
        ("NAV", f"{told.nav:,.0f}", 0.0),
        ("Total return", f"{told.total_return:+.2%}", told.total_return),
        ("Sharpe", f"{told.sharpe:.2f}", told.sharpe),
        ("Max drawdown", f"{told.max_drawdown:.2%}", 0.0),
        ("Volatility", f"{told.volatility:.1%}", 0.0),
        ("Mean turnover", f"{told.turnover:.0%}", 0.0),
        ("Slippage", f"{totals.slippage_bps:+.1f} bps", -totals.slippage_bps),
        ("Commission", f"{totals.commission:,.0f}", 0.0),
    )


def _track(view: LiveView, sheet: _Sheet) -> None:
    nav, told = view.nav, view.nav.figures
    source = draw.source(tracks.track_columns(nav))
    low, high = min(nav.nav), max(nav.nav)
    sheet.draw("nav", "NAV", draw.nav(source), f"NAV from {low:,.0f} to {high:,.0f}, {told.nav:,.0f} at the end")
    sheet.draw("drawdown", "Drawdown", draw.drawdown(source), f"Drawdown, {told.max_drawdown:.1%} at its deepest")
    daily = f"Returns by session, {told.worst:.2%} to {told.best:.2%}"
    sheet.draw("daily", "Return by session", draw.daily(source), daily, half=True)
    if view.rolling:
        last = view.rolling[-1][1]
        x = [tracks.milliseconds(session) for session, _ in view.rolling]
        rolling = draw.source({"x": x, "sharpe": [value for _, value in view.rolling]})
        words = f"Rolling Sharpe ratio, {last:.2f} at the end"
        sheet.draw("rolling", "Rolling Sharpe, 126 sessions", draw.rolling_sharpe(rolling), words, half=True)
    gross = f"Gross exposure {nav.gross[-1]:.0%}, net {nav.net[-1]:.0%} of NAV at the end"
    sheet.draw("exposure", "Gross and net exposure", draw.exposure(source), gross, half=True)
    turned = f"Turnover by session, {told.turnover:.0%} of NAV a rebalance"
    sheet.draw("turnover", "Turnover", draw.turnover(source), turned, half=True)
    paid = f"Commission {nav.commission[-1]:,.0f} and slippage {nav.slippage[-1]:,.0f} in all"
    sheet.draw("costs", "Costs, cumulated", draw.costs(source), paid)


def _signals(view: LiveView, sheet: _Sheet) -> None:
    names = tracks.signal_names(view.days)
    for name in [one for one in names if one != "weights"][:_MOST_SIGNALS] or list(names):
        columns = tracks.signal_columns(view.days, name)
        source = draw.source(columns)
        known = [v for v in columns["ic"] if v == v]
        mean = f"{sum(known) / len(known):.3f} on average" if known else "not known yet"
        label = "Wanted weights" if name == "weights" else f"Signal {name}"
        sheet.draw(f"spread-{name}", f"{label}: distribution over assets", draw.spread(source), f"{label} over time")
        words = f"{label}: share of assets with a value"
        sheet.draw(f"coverage-{name}", f"{label}: coverage", draw.coverage(source), words, half=True)
        words = f"{label}: rank correlation with the next session's returns, {mean}"
        sheet.draw(f"ic-{name}", f"{label}: rank IC, {mean}", draw.rank_ic(source), words, half=True)
        if name in view.fifths:
            means = view.fifths[name]
            words = f"Mean return of the next session by fifth: {', '.join(f'{v:.3%}' for v in means)}"
            plot = draw.fifths(draw.source(tracks.fifth_columns(means)))
            sheet.draw(
                f"fifths-{name}", f"{label}: next session's return by fifth, lowest first", plot, words, half=True
            )
    if any(day.slippage_bps is not None for day in view.days):
        source = draw.source(tracks.signal_columns(view.days, names[0] if names else ""))
        words = f"Slippage by run, {view.nav.totals.slippage_bps:.1f} basis points over all"
        sheet.draw("bps", "Slippage by run, bps", draw.slippage(source), words, half=True)


def figures(nav: NavReply) -> Rows:
    """Return the metrics of a track as text and numbers."""
    told, totals = nav.figures, nav.totals
    recovered = told.recovery or "not recovered"
    fall = ((", ".join([told.peak or "the start", told.trough, recovered])),) if told.trough else ()
    return (
        ("Capital, cash", f"{nav.capital or 0:,.2f}, {nav.cash or 0:,.2f}"),
        *((("Receivables", f"{nav.receivables:,.2f}"),) if nav.receivables else ()),
        *((("Prices", f"as declared up to {nav.declared_until}, as traded since"),) if nav.declared_until else ()),
        ("Annualized return", f"{told.annual_return:+.2%}"),
        ("Best, worst session", f"{told.best:+.2%}, {told.worst:+.2%}"),
        ("Sessions with a gain", f"{told.win_rate:.1%}"),
        *(("Drawdown: peak, trough, recovery", text) for text in fall),
        ("Orders, fills", f"{totals.orders:,}, {totals.fills:,}"),
        ("Ordered, traded", f"{totals.ordered:,.0f}, {totals.traded:,.0f}"),
        ("Commission, slippage", f"{totals.commission:,.2f}, {totals.slippage:,.2f} ({totals.slippage_bps:+.2f} bps)"),
    )


def _positions(found: PositionsReply) -> Html:
    if not found.positions:
        return tag("p", "The book is flat.")
    heads = ("Asset", "Quantity", "Price", "Value", "Weight", "Target", "Drift", "Unrealised")

    def price(one: Holding) -> str:
        return _number(one.price, ",.2f") + (f" of {one.priced}" if one.is_older_than(found.as_of) else "")

    rows = [
        (
            *(one.asset, f"{one.quantity:,g}", price(one), _number(one.value, ",.0f")),
            *(_number(one.weight, ".2%"), f"{one.target:.2%}", _number(one.drift, "+.2%")),
            _number(one.unrealised, "+,.0f"),
        )
        for one in found.positions
    ]
    more = tag("p", f"and {found.total - len(rows):,} more") if found.total > len(rows) else NONE
    said = tag(
        "p",
        f"The largest of {found.total:,}, at the prices of {found.as_of}; weights are shares of {found.money:,.0f}",
        class_="soft",
    )
    return Html(said + grid("Positions", heads, rows, range(1, 8)) + more)


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _runs(rows: Sequence[Sequence[str]]) -> Html:
    if not rows:
        return tag("p", "It has not traded yet.")
    return grid("Newest runs", ("Session", "Run", "Outcome", "Traded", "Slippage, bps", "Commission"), rows, (3, 4, 5))
