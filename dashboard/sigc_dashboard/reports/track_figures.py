"""Plots of a traded book, shared by the strategy view and the live report: each draws columns of a source.

The columns of a track are `TRACK`, of signals over time `SIGNAL`, of the fifths `FIFTHS`; `x` is in milliseconds since
1970. Returns, exposures and shares are fractions. Missing numbers are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter
from bokeh.models.annotations import Span

from sigc_dashboard.reports.figures import DOWN, GREY, MAIN, OTHER, UP, legend_of, plot_of

TRACK = ("x", "nav", "drawdown", "daily", "colour", "gross", "net", "turnover", "commission", "slippage")
SIGNAL = ("x", "least", "q05", "q25", "median", "q75", "q95", "greatest", "coverage", "ic", "mean_ic", "colour", "bps")
FIFTHS = ("fifth", "mean", "colour")
_DAY_MS = 86_400_000


def source(columns: Mapping[str, Any]) -> Any:
    """Return the data source of the plots."""
    return ColumnDataSource(dict(columns))


def empty(columns: Sequence[str]) -> Any:
    """Return a source that is filled later."""
    return ColumnDataSource({name: [] for name in columns})


def tone(value: float) -> str:
    """Return the colour of a gain or a loss."""
    return UP if value >= 0 else DOWN


def nav(columns: Any) -> Any:
    """Plot the worth of the book."""
    return _time(columns, {"nav": ("NAV", MAIN)}, "0,0", height=240)


def drawdown(columns: Any) -> Any:
    """Plot the distance below the last peak."""
    plot = plot_of(180, x_axis_type="datetime")
    plot.varea("x", "drawdown", 0, source=columns, color=DOWN, alpha=0.3)
    line = plot.line("x", "drawdown", source=columns, color=DOWN, width=1.2)
    return _told(plot, {"drawdown": line}, "0.0%")


def daily(columns: Any) -> Any:
    """Plot returns by session, a bar each."""
    plot = plot_of(180, x_axis_type="datetime")
    bars = plot.vbar("x", _DAY_MS * 0.8, "daily", source=columns, color="colour", line_color=None)
    return _zero(_told(plot, {"return": bars}, "0.00%", "top"))


def rolling_sharpe(columns: Any) -> Any:
    """Plot the Sharpe ratio of the last sessions."""
    return _zero(_time(columns, {"sharpe": ("Sharpe", MAIN)}, "0.0"))


def exposure(columns: Any) -> Any:
    """Plot gross and net exposure, as shares of NAV."""
    return _zero(_time(columns, {"gross": ("gross", MAIN), "net": ("net", OTHER)}, "0%"))


def turnover(columns: Any) -> Any:
    """Plot the value ordered for each session as a share of NAV."""
    plot = plot_of(180, x_axis_type="datetime")
    bars = plot.vbar("x", _DAY_MS * 0.8, "turnover", source=columns, color=GREY, line_color=None)
    return _told(plot, {"turnover": bars}, "0%", "top")


def costs(columns: Any) -> Any:
    """Plot commission and slippage, cumulated, in money."""
    lines = {"commission": ("commission", MAIN), "slippage": ("slippage against the sizing price", DOWN)}
    return _time(columns, lines, "0,0")


def spread(columns: Any) -> Any:
    """Plot the distribution of a signal over assets: extremes, 5 to 95 %, 25 to 75 %, the median."""
    plot = plot_of(220, x_axis_type="datetime")
    plot.varea("x", "q05", "q95", source=columns, color=MAIN, alpha=0.16, legend_label="5–95 %")
    plot.varea("x", "q25", "q75", source=columns, color=MAIN, alpha=0.28, legend_label="25–75 %")
    for edge in ("least", "greatest"):
        plot.line("x", edge, source=columns, color=GREY, width=1, line_dash="dotted", legend_label="extremes")
    line = plot.line("x", "median", source=columns, color=MAIN, width=1.6, legend_label="median")
    legend_of(plot, True)
    return _told(plot, {"median": line}, "0.00")


def coverage(columns: Any) -> Any:
    """Plot the share of assets with a price that have a value."""
    plot = _time(columns, {"coverage": ("coverage", UP)}, "0%")
    plot.y_range.start = 0
    return plot


def rank_ic(columns: Any) -> Any:
    """Plot the rank correlation with the next return, session by session, and its running mean."""
    plot = plot_of(200, x_axis_type="datetime")
    bars = plot.vbar("x", _DAY_MS * 0.8, "ic", source=columns, color="colour", line_color=None, alpha=0.55)
    line = plot.line("x", "mean_ic", source=columns, color=MAIN, width=2, legend_label="mean of the last 20")
    legend_of(plot, True)
    return _zero(_told(plot, {"IC": bars, "mean of 20": line}, "0.000", "top"))


def slippage(columns: Any) -> Any:
    """Plot the cost of fills against the price that orders were sized by, in basis points."""
    plot = plot_of(180, x_axis_type="datetime")
    bars = plot.vbar("x", _DAY_MS * 0.8, "bps", source=columns, color=OTHER, line_color=None)
    return _zero(_told(plot, {"slippage, bps": bars}, "0.0", "top"))


def fifths(columns: Any) -> Any:
    """Plot the mean next return of each fifth of the assets, lowest values first."""
    plot = plot_of(200, x_range=[str(n) for n in range(1, 6)])
    bars = plot.vbar("fifth", 0.6, "mean", source=columns, color="colour", line_color=None)
    plot.xgrid.grid_line_color = None
    tips = [("fifth", "@fifth"), ("mean return", "@mean{0.000%}")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    plot.yaxis.formatter = NumeralTickFormatter(format="0.00%")
    return _zero(plot)


def _time(columns: Any, lines: Mapping[str, tuple[str, str]], number: str, height: int = 180) -> Any:
    plot = plot_of(height, x_axis_type="datetime")
    drawn = {
        name: plot.line("x", column, source=columns, color=colour, width=1.6, legend_label=name)
        for column, (name, colour) in lines.items()
    }
    legend_of(plot, len(lines) > 1)
    return _told(plot, drawn, number)


def _told(plot: Any, drawn: Mapping[str, Any], number: str, field: str = "y") -> Any:
    """Add the hover tool and the number format of the axis."""
    for name, renderer in drawn.items():
        column = getattr(renderer.glyph, field if field in type(renderer.glyph).properties() else "y")
        column = column if isinstance(column, str) else column.field
        tips = [("", "@x{%F}"), (name, f"@{{{column}}}{{{number}}}")]
        hover = HoverTool(renderers=[renderer], tooltips=tips, formatters={"@x": "datetime"}, mode="vline")
        plot.add_tools(hover)
    plot.yaxis.formatter = NumeralTickFormatter(format=number)
    plot.yaxis.ticker.desired_num_ticks = 5
    plot.xgrid.grid_line_color = None
    return plot


def _zero(plot: Any) -> Any:
    plot.add_layout(Span(location=0, dimension="width", line_color=GREY, line_width=1))
    return plot
