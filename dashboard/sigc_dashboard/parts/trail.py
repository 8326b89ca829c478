"""Plots of the last hour, from the daemon's own activity samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bokeh.models import ColumnDataSource, NumeralTickFormatter, Range1d

from sigc.rpc.messages.page import TraceReply
from sigc_dashboard.daemon_feed import Ask
from sigc_dashboard.reports.figures import GREY, MAIN, OTHER, UP, legend_of, plot_of
from sigc_dashboard.view_api import Look, Plot

TRACE = Ask("status/trace", TraceReply, (("most", 240),), every_s=3.0)
Columns = Mapping[str, Sequence[float]]


def memory_plot(after: str, width: int = 6) -> Plot:
    """Resident memory of controller and workers."""
    lines = {"memory": MAIN}
    return _plot("memory", "Memory in MB, last hour", lines, "0,0", memory, after, "Memory of the last hour", width)


def processor_plot(after: str, width: int = 6) -> Plot:
    """Processor time, of all it may use."""
    lines = {"processor": MAIN}
    return _plot("processor", "Processor, last hour", lines, "0 %", processor, after, "Processor use, last hour", width)


def blocks_plot(after: str, width: int = 6) -> Plot:
    """Return the plot of blocks per minute: computed, and found in the cache."""
    lines = {"computed": OTHER, "from the cache": UP}
    return _plot("blocks", "Blocks a minute, last hour", lines, "0", blocks, after, "Blocks a minute, last hour", width)


def memory(trace: TraceReply) -> Columns:
    """Return memory in MB."""
    return {"memory": [count / (1 << 20) for count in trace.memory_bytes]}


def processor(trace: TraceReply) -> Columns:
    """Return processor use as a fraction."""
    return {"processor": [pct / 100 for pct in trace.cpu_pct]}


def blocks(trace: TraceReply) -> Columns:
    """Return blocks per minute between each two points; 0 at the first."""
    return {"computed": rates(trace.at, trace.computed), "from the cache": rates(trace.at, trace.cached)}


def rates(at: Sequence[datetime], counts: Sequence[float]) -> list[float]:
    """Return the growth of a count per minute; a count that fell began anew.

    >>> from datetime import UTC
    >>> noon = datetime(2024, 1, 2, 12, 0, tzinfo=UTC)
    >>> rates([noon, noon.replace(second=30), noon.replace(minute=1)], [0, 5, 5])
    [0.0, 10.0, 0.0]
    """
    found = [0.0] if at else []
    for (a, x), (b, y) in itertools.pairwise(zip(at, counts, strict=True)):
        seconds = (b - a).total_seconds()
        found.append(max(0.0, y - x) * 60 / seconds if seconds > 0 else 0.0)
    return found


def _plot(
    name: str,
    title: str,
    lines: Mapping[str, str],
    number: str,
    columns: Callable[[TraceReply], Columns],
    after: str,
    words: str,
    width: int,
) -> Plot:
    source = ColumnDataSource({"x": [], **{line: [] for line in lines}})
    plot: Any = plot_of(180, x_range=Range1d(start=-60, end=0))
    for line, colour in lines.items():
        plot.varea("x", 0, line, source=source, color=colour, alpha=0.12)
        plot.line("x", line, source=source, color=colour, width=1.6, legend_label=line)
    plot.yaxis.formatter = NumeralTickFormatter(format=number)
    plot.y_range.start = 0
    plot.yaxis.ticker.desired_num_ticks = 4
    # Minutes before now: a time of the clock would have to be in somebody's zone.
    plot.xaxis.formatter = NumeralTickFormatter(format="0.[0]")
    plot.xaxis.axis_label, plot.xaxis.axis_label_text_font_size = "minutes before now", "11px"
    plot.xaxis.axis_label_text_font_style = "normal"
    plot.xaxis.axis_label_text_color = GREY
    plot.xgrid.grid_line_color = None
    plot.toolbar_location = None
    legend_of(plot, len(lines) > 1)
    seen: list[TraceReply] = []

    def update(look: Look) -> None:
        trace = look.get(TRACE)
        if trace is not None and (not seen or seen[0] is not trace):
            seen[:] = [trace]
            x = [(at - trace.at[-1]).total_seconds() / 60 for at in trace.at]
            plot.x_range.start = max(-60.0, min(-2.0, x[0])) if x else -60.0
            source.data = {"x": x, **columns(trace)}

    return Plot(name, title, plot, update, after, words, width)
