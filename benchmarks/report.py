"""The report of a run of benchmarks: `report.json` for machines, `report.html` for people, one file with its plots."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from bokeh.embed import components
from bokeh.models import FactorRange, Range1d
from bokeh.plotting import figure
from bokeh.resources import Resources

from sigc_dashboard.reports.figures import GREY, MAIN
from sigc_dashboard.reports.style import CSS

Figures = Mapping[str, Mapping[str, float]]
LIBRARIES = ("numpy", "numba", "pandas", "pyarrow", "dask", "distributed")
PEERS = ("polars", "bottleneck", "vectorbt", "pyqlib")
_RATIO = " over ours, CPU"


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    facts = {
        "cpu": cpu,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    return facts | {name: version(name) for name in LIBRARIES} | {name: _installed(name) for name in PEERS}


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def shown(figure: float) -> str:
    """A figure for people; NaN stands for a peer that was left out."""
    return "left out" if math.isnan(figure) else f"{figure:,.4g}"


def write(folder: Path, found: Figures, about: Mapping[str, str]) -> tuple[Path, Path]:
    """Both files. What was left out is null in the JSON."""
    data, page = folder / "report.json", folder / "report.html"
    plain = {
        name: {key: None if math.isnan(value) else value for key, value in figures.items()}
        for name, figures in found.items()
    }
    data.write_text(json.dumps({"machine": about, "figures": plain}, indent=2) + "\n", encoding="utf-8")
    page.write_text(render(found, about), encoding="utf-8")
    return data, page


def render(found: Figures, about: Mapping[str, str]) -> str:
    """The page as text."""
    ratios = {
        f"{name}, {key.removesuffix(_RATIO).replace(': ', ' beside ')}": value
        for name, figures in found.items()
        for key, value in figures.items()
        if key.endswith(_RATIO) and not math.isnan(value)
    }
    script, plot = components(_bars(ratios)) if ratios else ("", "")
    tables = "\n".join(
        f"<section><h2>{escape(name)}</h2>{_table(figures)}</section>" for name, figures in found.items()
    )
    facts = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in about.items())
    chart = f"<section><h2>How many times the CPU of sigc others take</h2>{plot}</section>" if ratios else ""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>sigc: benchmarks</title><style>{CSS}</style>
{Resources(mode="inline", components=["bokeh"]).render_js()}
</head><body><main><header><p class="kind">Benchmarks</p><h1>sigc</h1></header>
{chart}
{tables}
<section><h2>Taken on</h2><div class="wide"><table class="facts">{facts}</table></div></section>
</main>{script}</body></html>
"""


def _bars(ratios: Mapping[str, float]) -> Any:
    names = list(ratios)[::-1]
    plot: Any = figure(
        y_range=FactorRange(factors=names),
        x_range=Range1d(start=0.0, end=1.15 * max(ratios.values())),
        height=60 + 40 * len(names),
        sizing_mode="stretch_width",
        toolbar_location=None,
    )
    plot.hbar(y=names, right=[ratios[n] for n in names], height=0.6, color=MAIN)
    plot.text(
        x=[ratios[n] for n in names],
        y=names,
        text=[f" {ratios[n]:.1f}" for n in names],
        text_baseline="middle",
        color=GREY,
    )
    plot.background_fill_alpha = plot.border_fill_alpha = 0
    plot.outline_line_alpha = 0
    plot.axis.major_label_text_color = GREY
    return plot


def _table(figures: Mapping[str, float]) -> str:
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{shown(v)}</td></tr>" for k, v in figures.items())
    return f'<div class="wide"><table class="rows">{rows}</table></div>'
