"""View of a strategy: the returns and positions of its book, its signals and their rank correlation, its newest
runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from sigc.rpc.messages.history import (
    NavReply,
    PositionsReply,
    RunsPageReply,
    SignalsReply,
)
from sigc.rpc.messages.requests import StrategyStatus
from sigc.rpc.verb import Role
from sigc.store.history.holding import Holding
from sigc_dashboard import tracks
from sigc_dashboard.daemon_feed import Ask
from sigc_dashboard.html import NONE, Html, join, tag
from sigc_dashboard.parts.buttons import button
from sigc_dashboard.parts.links import link
from sigc_dashboard.parts.tiles import TableRow, badge, edited, fills, nothing, table, tile, tiles
from sigc_dashboard.reports import track_figures as draw
from sigc_dashboard.reports.document import months as heat_map
from sigc_dashboard.view_api import Look, Part, Plot, Where
from sigc_dashboard.views.run import run_table
from sigc_dashboard.words import NOTHING, change, count, moment, opening

_WAITING = "Waiting for the daemon."
_POINTS, _DAYS, _MOST_POSITIONS = 1000, 250, 15
_FULL_DRIFT = 0.02  # of the money: a bar that long is full
_DEEP = 0.1  # a drawdown that is worth a colour
Columns = Mapping[str, Sequence[Any]]


def nav_of(strategy: str) -> Ask[NavReply]:
    """Return the ask for a strategy's book by session."""
    return Ask("history/nav", NavReply, (("strategy", strategy), ("points", _POINTS)), every_s=5.0)


def signals_of(strategy: str) -> Ask[SignalsReply]:
    """Return the ask for a strategy's signals, run by run."""
    return Ask("signals/history", SignalsReply, (("strategy", strategy), ("most", _DAYS)), every_s=10.0)


def positions_of(strategy: str) -> Ask[PositionsReply]:
    """Draw the positions."""
    return Ask("positions/list", PositionsReply, (("strategy", strategy), ("most", _MOST_POSITIONS)), every_s=5.0)


def runs_of(strategy: str) -> Ask[RunsPageReply]:
    """Return the ask for a strategy's newest runs."""
    return Ask("history/runs", RunsPageReply, (("strategy", strategy), ("most", 10)), every_s=2.0)


class StrategyView:
    """One strategy; without one, all of them to choose from."""

    name, title, is_listed, has_frames = "strategy", "Strategies", True, False
    place = 2

    def asks(self, where: Where) -> Sequence[Ask[Any]]:
        """Ask for the book, the signals and the runs."""
        name = where.what
        return (nav_of(name), signals_of(name), positions_of(name), runs_of(name)) if name else ()

    def parts(self, look: Look) -> Sequence[Part]:
        """Draw the state, then the content of a strategy."""
        name = look.where.what
        if not name:
            return (Part("choose", "", _choose(look)),)
        return (
            Part("head", "", _head(look, name)),
            Part("figures", "", _figures(look, name)),
            Part("positions", "Positions against their targets", _positions(look, name)),
            Part("months", "Months", _months(look, name)),
            Part("signals", "Signals", _signals(look, name)),
            Part("runs", "Newest runs", _runs(look, name)),
        )

    def plots(self, where: Where) -> Sequence[Plot]:
        """Return the plots of the track after the figures, those of the signals after their table."""
        return (*_track_plots(where.what), *_signal_plots(where.what)) if where.what else ()


# Parts.


def _choose(look: Look) -> Html:
    status = look.status
    if status is None:
        return nothing(_WAITING)
    if not status.strategies:
        words = "No strategy is configured. Add one under strategies: of the configuration."
        return join([tiles([tile("Strategies", 0)]), nothing(words)])
    states = [one.state for one in status.strategies]
    bad = [one.name for one in status.strategies if one.status in ("failed", "refused", "unresolved")]
    shown = tiles(
        [
            tile("Strategies", len(states)),
            tile("Active", states.count("active"), tone="good" if states.count("active") else ""),
            tile("Paused, disabled, halted", len(states) - states.count("active")),
            tile("Last run not well", len(bad), more=", ".join(bad) or NONE, tone="bad" if bad else ""),
        ]
    )
    rows = [
        TableRow(
            one.name,
            (
                link(look.where, "strategy", one.name, one.name),
                badge(one.state),
                join([badge(one.status), fills(one.filled), opening(one.waiting, status.zone)]),
                moment(one.last_run, status.zone, "about"),
                moment(one.next_run, status.zone, "about"),
            ),
        )
        for one in status.strategies
    ]
    heads = ("Strategy", "State", "Last outcome", "Last run", "Next run")
    return join([shown, table("Strategies", heads, rows)])


def _of(look: Look, name: str) -> StrategyStatus | None:
    status = look.status
    return next((one for one in status.strategies if one.name == name), None) if status is not None else None


def _head(look: Look, name: str) -> Html:
    one, status = _of(look, name), look.status
    if status is None:
        return nothing(_WAITING)
    others = [link(look.where, "strategy", other.name, other.name) for other in status.strategies if other.name != name]
    switch = tag("p", "Others: ", join(others, " · "), class_="nothing") if others else NONE
    title = tag("h2", name, class_="big")
    if one is None:
        return tag("div", title, tag("p", "It is not configured.", class_="nothing"), switch, class_="headline")
    hold = button(look, "resume" if one.state == "paused" else "pause", name, Role.OPERATE)
    dry, run = button(look, "dry_run", name, Role.OPERATE), button(look, "run", name, Role.TRADE)
    word = join([badge(one.status), fills(one.filled), opening(one.waiting, status.zone)])
    last = link(look.where, "run", one.run, word) if one.run else badge(one.status)
    about = [
        ("Last run", join([last, " ", moment(one.last_run, status.zone, "about")])),
        ("Next run", moment(one.next_run, status.zone, "about")),
    ]
    facts = [tag("div", tag("dt", key), tag("dd", value)) for key, value in about]
    line = tag("div", title, join([badge(one.state), edited(one.edited)]), hold, dry, run, class_="row")
    return tag("div", line, tag("dl", *facts, class_="facts-row"), switch, class_="headline")


def _figures(look: Look, name: str) -> Html:
    nav = look.get(nav_of(name))
    if nav is None:
        return nothing(look.refusal(nav_of(name)) or _WAITING)
    told, totals = nav.figures, nav.totals
    if not nav.session:
        return nothing("No session of it has closed yet: its NAV is known after its first run, and the next close.")
    total, fall, day = told.total_return, nav.drawdown[-1], nav.daily[-1]
    return tiles(
        [
            tile("NAV", f"{told.nav:,.0f}", more=f"close of {told.last}"),
            tile("Total return", f"{total:+.2%}", more=f"{told.annual_return:+.1%} a year", tone=_tone(total)),
            tile("Last session", f"{day:+.2%}", more=f"{told.worst:+.1%} to {told.best:+.1%}", tone=_tone(day)),
            tile("Drawdown", f"{fall:.2%}", more=f"deepest {-told.max_drawdown:.1%}", tone=_depth(fall)),
            tile("Sharpe", f"{told.sharpe:.2f}", more=f"volatility {told.volatility:.1%} a year"),
            tile("Exposure", f"{nav.gross[-1]:.0%}", more=f"gross; net {nav.net[-1]:+.0%}"),
            tile("Turnover", f"{told.turnover:.0%}", more="mean of a rebalance"),
            tile("Slippage", f"{totals.slippage_bps:+.1f} bps", more=f"commission {totals.commission:,.2f}"),
        ]
    )  # fmt: skip


def _tone(value: float) -> str:
    return "good" if value > 0 else "bad" if value < 0 else ""


def _depth(fall: float) -> str:
    return "warn" if fall < -_DEEP else ""


def _positions(look: Look, name: str) -> Html:
    found = look.get(positions_of(name))
    if found is None:
        return nothing(look.refusal(positions_of(name)) or _WAITING)
    if not found.positions:
        return nothing("It holds nothing.")
    rows = [_position(one, found.as_of) for one in found.positions]
    heads = ("Asset", "Held", "Target", "Drift", "", "Value", "Quantity", "Price", "Unrealised")
    left = found.total - len(rows)
    more = f", and {count(left, 'smaller one')} not shown" if left > 0 else ""
    said = f"At the prices of {found.as_of}; weights are shares of {found.money:,.0f}{more}."
    return join([table("Positions", heads, rows, (1, 2, 3, 5, 6, 7, 8)), tag("p", said, class_="nothing under")])


def _position(one: Holding, as_of: str) -> TableRow:
    cells = (
        one.asset,
        _number(one.weight, "z.2%"),
        f"{one.target:z.2%}",
        _number(one.drift, "+z.2%"),
        _drift(one.drift),
        _number(one.value, ",.0f"),
        f"{one.quantity:,g}",
        _number(one.price, ",.2f") + (f" of {one.priced}" if one.is_older_than(as_of) else ""),
        change(one.unrealised, ",.0f"),
    )
    return TableRow(one.asset, cells)


def _drift(value: float | None) -> Html:
    """Draw the distance from the target as a bar from the middle."""
    long = max(-1.0, min(1.0, (value or 0.0) / _FULL_DRIFT)) * 30
    bar = tag("rect", x=f"{30 + min(0.0, long):.1f}", y="2", width=f"{abs(long):.1f}", height="8", rx="1",
              class_="main" if abs(long) < 30 else "warn")  # fmt: skip
    middle = tag("rect", x="29.5", y="0", width="1", height="12", class_="axis")
    return tag("svg", bar, middle, viewBox="0 0 60 12", width="60", height="12", aria_hidden="true", class_="bar")


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def _months(look: Look, name: str) -> Html:
    nav = look.get(nav_of(name))
    return heat_map(nav.months, tracks.by_year(nav.months)) if nav is not None and nav.months else NONE


def _signals(look: Look, name: str) -> Html:
    found = look.get(signals_of(name))
    if found is None:
        return nothing(look.refusal(signals_of(name)) or _WAITING)
    names = tracks.signal_names(found.days)
    if not names:
        return nothing("No run that traded has recorded its signals yet.")
    rows = [_signal(signal, found) for signal in names]
    heads = ("Signal", "Assets", "Coverage", "Least", "Median", "Greatest", "Last IC", "Mean IC", "Runs with IC")
    said = "IC: the rank correlation with the next session's returns. Below: " + _main_signal(found) + "."
    return join([table("Signals", heads, rows, range(1, 9)), tag("p", said, class_="nothing under")])


def _signal(name: str, found: SignalsReply) -> TableRow:
    newest = next((line for day in found.days[:1] for line in day.signals if line.name == name), None)
    universe = found.days[0].universe if found.days else 0
    ics = [line.ic for day in found.days for line in day.signals if line.name == name and line.ic is not None]
    told = newest.quantiles if newest is not None else ()
    quantiles = told if len(told) == 7 else (None,) * 7
    cells = (
        "wanted weights" if name == "weights" else name,
        NOTHING if newest is None else f"{newest.count:,} of {universe:,}",
        NOTHING if newest is None or not universe else f"{newest.count / universe:.0%}",
        *(_number(quantiles[place], ".3g") for place in (0, 3, 6)),
        _number(ics[0] if ics else None, "+.3f"),
        _number(fmean(ics) if ics else None, "+.3f"),
        f"{len(ics):,}",
    )
    return TableRow(name, cells)


def _main_signal(found: SignalsReply) -> str:
    """Return the signal that is drawn: the first that has a name of its own."""
    return next(iter(tracks.signal_names(found.days)), "")


def _runs(look: Look, name: str) -> Html:
    found = look.get(runs_of(name))
    if found is None:
        return nothing(look.refusal(runs_of(name)) or _WAITING)
    return run_table(look, found.runs, of_one=True) if found.runs else nothing("It has not run yet.")


# Plots.


def _track_plots(name: str) -> list[Plot]:
    source, seen = draw.empty(draw.TRACK), [object()]

    def update(look: Look) -> None:
        nav = look.get(nav_of(name))
        if nav is not None and seen[0] is not nav:
            seen[0] = nav
            _fill(source, tracks.track_columns(nav))

    makers: tuple[tuple[str, str, Callable[[Any], Any], str, int], ...] = (
        ("nav", "NAV", draw.nav, "The net asset value by session; its figures are in the tiles above", 12),
        ("drawdown", "Drawdown", draw.drawdown, "The loss from the highest NAV so far, by session", 6),
        ("daily", "Return by session", draw.daily, "The return of each session", 6),
        ("exposure", "Gross and net exposure", draw.exposure, "Gross and net exposure as shares of NAV", 6),
        ("turnover", "Turnover", draw.turnover, "What was ordered for each session as a share of NAV", 6),
    )
    return [_plot(*maker[:3], maker[3], maker[4], source, update, "figures") for maker in makers]


def _signal_plots(name: str) -> list[Plot]:
    source, fifths, seen = draw.empty(draw.SIGNAL), draw.empty(draw.FIFTHS), [object()]

    def update(look: Look) -> None:
        found = look.get(signals_of(name))
        if found is not None and seen[0] is not found:
            seen[0] = found
            main = _main_signal(found)
            _fill(source, tracks.signal_columns(found.days, main))
            _fill(fifths, tracks.fifth_columns(found.fifths.get(main, ())))

    makers: tuple[tuple[str, str, Callable[[Any], Any], str, int], ...] = (
        (
            "spread",
            "Signal: distribution over assets",
            draw.spread,
            "Quantiles of the signal's values over assets, by run",
            12,
        ),
        (
            "coverage",
            "Signal: coverage",
            draw.coverage,
            "The share of assets with a price that have a value, by run",
            6,
        ),
        ("ic", "Signal: rank IC", draw.rank_ic, "The rank correlation with the next session's returns, by run", 6),
        (
            "slippage",
            "Slippage by run, bps",
            draw.slippage,
            "Slippage against the sizing price in basis points, by run",
            6,
        ),
    )
    found = [_plot(*maker[:3], maker[3], maker[4], source, update, "signals") for maker in makers]
    words = "The mean return of the next session in each fifth of the assets, lowest values of the signal first"
    title = "Signal: next session's return by fifth, lowest first"
    return [*found, _plot("fifths", title, draw.fifths, words, 6, fifths, update, "signals")]


def _plot(
    name: str,
    title: str,
    maker: Callable[[Any], Any],
    words: str,
    width: int,
    source: Any,
    update: Callable[[Look], None],
    after: str,
) -> Plot:
    model = maker(source)
    model.toolbar_location = None
    return Plot(name, title, model, update, after, words, width)


def _fill(source: Any, columns: Columns) -> None:
    """Set the columns of a source where they differ: equal ones are not sent again."""
    if {name: list(values) for name, values in source.data.items()} != columns:
        source.data = dict(columns)
