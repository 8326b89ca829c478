"""The HTML report of a backtest: one self-contained file, summary first, then plots, then what it was made of.

Scripts are inline, nothing is fetched, there is no time stamp. Text of users is escaped. `figures.py` draws;
`view.py` says what is drawn.
"""

from __future__ import annotations

from html import escape

from bokeh.embed import components
from bokeh.resources import Resources

from sigc_dashboard import figures
from sigc_dashboard.style import CSS
from sigc_dashboard.view import BacktestView

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def render(view: BacktestView) -> str:
    """The page as text."""
    plots = figures.all_of(view)
    script, divs = components(plots)
    sections = "\n".join(f"<section><h2>{escape(figures.TITLES[name])}</h2>{divs[name]}</section>" for name in plots)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(view.title)}: backtest</title>
<style>{CSS}</style>
{Resources(mode="inline", components=["bokeh"]).render_js()}
</head><body><main>
<header><p class="kind">Backtest</p><h1>{escape(view.title)}</h1><p>{escape(view.subtitle)}</p></header>
{_findings(view)}
{_tiles(view)}
{sections}
<section><h2>Months</h2>{_months(view)}</section>
<section><h2>Figures</h2>{_table(view.figures)}</section>
{f"<section><h2>From weights to orders</h2>{_table(view.steps)}</section>" if view.steps else ""}
<section><h2>Last weights</h2>{_weights(view)}</section>
<section><h2>Made of</h2>{_table(view.made_of)}</section>
</main>{script}</body></html>
"""


def _findings(view: BacktestView) -> str:
    items = "".join(f"<li><b>{escape(code)}</b> {escape(text)}</li>" for code, text in view.findings)
    return f'<ul class="findings">{items}</ul>' if items else ""


def _tiles(view: BacktestView) -> str:
    cells = "".join(
        f'<div class="tile"><span>{escape(label)}</span><b class="{_tone(sign)}">{escape(text)}</b></div>'
        for label, text, sign in view.tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _tone(value: float) -> str:
    return "up" if value > 0 else "down" if value < 0 else ""


def _months(view: BacktestView) -> str:
    head = "".join(f"<th>{name}</th>" for name in (*_MONTHS, "Year"))
    rows = []
    for year, whole in view.years.items():
        values = [view.months.get(f"{year}-{month:02d}") for month in range(1, 13)]
        cells = "".join("<td></td>" if v is None else _heat(v, 0.06) for v in values)
        rows.append(f"<tr><th>{year}</th>{cells}{_heat(whole, 0.2)}</tr>")
    return f'<div class="wide"><table class="heat"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'


def _heat(value: float, full: float) -> str:
    share = min(1.0, abs(value) / full) * 55
    colour = "var(--up)" if value >= 0 else "var(--down)"
    style = f"background:color-mix(in srgb, {colour} {share:.0f}%, transparent)"
    return f'<td style="{style}">{100 * value:.1f}</td>'


def _weights(view: BacktestView) -> str:
    if not view.weights:
        return "<p>The book is flat.</p>"
    return _table(view.weights) + (f"<p>and {view.more_weights} more</p>" if view.more_weights else "")


def _table(rows: tuple[tuple[str, str], ...]) -> str:
    cells = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows)
    return f'<div class="wide"><table class="facts">{cells}</table></div>'
