"""Plots of a report, each one function from a result to a Bokeh figure.

Colours are readable on light and on dark paper; figures have no background of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from bokeh.models import HoverTool, NumeralTickFormatter
from bokeh.models.annotations import Span
from bokeh.plotting import figure

from sigc_dashboard.reports.view import BacktestView

MAIN, OTHER, UP, DOWN, GREY = "#2b7bd1", "#d98a29", "#2aa876", "#d9534f", "#8493a1"

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "equity": "Equity of 1 put in, net of costs",
        "drawdown": "Drawdown",
        "rolling": "Rolling Sharpe, 126 bars",
        "exposure": "Gross and net exposure",
        "turnover": "Turnover and cumulated costs",
        "quantiles": "Annual next-day return by fifth of the wanted weight, lowest first",
        "decay": "Rank information coefficient by horizon, and its decay",
        "coverage": "Assets in the wanted book",
    }
)


HALF = frozenset({"quantiles", "decay"})  # beside one another


def words(name: str, view: BacktestView) -> str:
    """Return the text of a plot for screen readers."""
    title = TITLES[name]
    if not len(view.dates):
        return title
    first, last = (str(view.dates[place].astype("datetime64[D]")) for place in (0, -1))
    match name:
        case "equity":
            return f"{title}: from {first} to {last}, it ends at {view.equity[-1]:.3f}"
        case "drawdown":
            return f"{title}: {view.drawdown.min():.1%} at its deepest"
        case "quantiles":
            return f"{title}: {', '.join(f'{value:.1%}' for value in view.quantiles)}"
        case "decay":
            return f"{title}: {', '.join(f'{value:.3f} after {days} bars' for days, value in view.ic.items())}"
        case _:
            return f"{title}, from {first} to {last}"


def all_of(view: BacktestView) -> dict[str, Any]:
    """Return every figure by its name in `TITLES`."""
    dates = view.dates.astype("datetime64[ms]")
    money = {"strategy": (view.equity, MAIN)}
    if view.benchmark is not None:
        money[view.benchmark_name] = (view.benchmark, OTHER)
    return {
        "equity": _lines(dates, money, "0.00"),
        "drawdown": _drawdown(view, dates),
        "rolling": _lines(dates, {"Sharpe": (view.rolling_sharpe, MAIN)}, "0.0", zero=True),
        "exposure": _lines(dates, {"gross": (view.gross, MAIN), "net": (view.net, OTHER)}, "0.00", zero=True),
        "turnover": _lines(
            dates, {"turnover a bar": (view.turnover, GREY), "costs, cumulated": (view.costs, DOWN)}, "0.00%"
        ),
        "quantiles": _bars([str(q + 1) for q in range(len(view.quantiles))], view.quantiles, "0.0%"),
        "decay": _bars([f"{h} d" for h in view.ic], np.array(list(view.ic.values())), "0.000"),
        "coverage": _whole(_lines(dates, {"assets": (view.coverage, GREY)}, "0")),
    }


def plot_of(height: int = 220, **options: Any) -> Any:
    """Return an empty plot in the common look."""
    plot: Any = figure(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location="above",
        tools="pan,box_zoom,reset,save",
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_alpha=0,
        **options,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.grid.grid_line_color = GREY
    plot.grid.grid_line_alpha = 0.25
    for axis in plot.axis:
        axis.axis_line_color = axis.major_tick_line_color = GREY
        axis.minor_tick_line_alpha = 0
        axis.major_label_text_color = GREY
    if options.get("x_axis_type") == "datetime":
        plot.xaxis.ticker.desired_num_ticks = 4  # dates that stand beside one another on a phone too
    return plot


def _lines(dates: Any, series: Mapping[str, tuple[Any, str]], number: str, *, zero: bool = False) -> Any:
    plot = plot_of(x_axis_type="datetime")
    for name, (values, colour) in series.items():
        line = plot.line(dates, values, color=colour, width=1.5, legend_label=name)
        tips = [("", "@x{%F}"), (name, f"@y{{{number}}}")]
        plot.add_tools(HoverTool(renderers=[line], tooltips=tips, formatters={"@x": "datetime"}, mode="vline"))
    plot.yaxis.formatter = NumeralTickFormatter(format=number)
    if zero:
        plot.add_layout(Span(location=0, dimension="width", line_color=GREY, line_dash="dashed"))
    legend_of(plot, len(series) > 1)
    return plot


def legend_of(plot: Any, wanted: bool) -> None:
    """Put the legend above the plot in the common look, or hide it."""
    plot.legend.visible = wanted
    if wanted and plot.legend[0] in plot.center:  # above what is drawn, never over it
        plot.add_layout(plot.legend[0], "above")
    plot.legend.location = "left"
    plot.legend.orientation = "horizontal"
    plot.legend.padding = plot.legend.margin = 2
    plot.legend.label_text_font_size = "12px"
    plot.legend.background_fill_alpha = 0
    plot.legend.border_line_alpha = 0
    plot.legend.label_text_color = GREY


def _drawdown(view: BacktestView, dates: Any) -> Any:
    plot = plot_of(180, x_axis_type="datetime")
    plot.varea(dates, view.drawdown, np.zeros(len(dates)), color=DOWN, alpha=0.35)
    plot.line(dates, view.drawdown, color=DOWN)
    plot.yaxis.formatter = NumeralTickFormatter(format="0.0%")
    return plot


def _whole(plot: Any) -> Any:
    """Restrict the y axis of a plot to whole numbers."""
    plot.yaxis.ticker.min_interval = 1
    return plot


def _bars(names: list[str], values: Any, number: str) -> Any:
    plot = plot_of(x_range=names)
    colours = [UP if v >= 0 else DOWN for v in values]
    bars = plot.vbar(x=names, top=values, width=0.6, color=colours)
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("@x", f"@top{{{number}}}")]))
    plot.yaxis.formatter = NumeralTickFormatter(format=number)
    plot.xgrid.grid_line_color = None
    return plot
