"""The HTML report of a backtest: one self-contained file, summary first, then plots, then what it was made of.

Scripts are inline, nothing is fetched, no time stamp: same inputs, same page. Text of users is escaped.
Neighbours: `figures.py` draws, `sigc_pipelines.study` computes what is drawn.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from bokeh.embed import components
from bokeh.resources import INLINE

from sigc_dashboard import figures
from sigc_dashboard.style import CSS

if TYPE_CHECKING:
    from sigc_pipelines.backtest import Result
    from sigc_pipelines.study import Study

_MOST_WEIGHTS = 20


def render(result: Result, study: Study) -> str:
    """The page as text."""
    plots = figures.all_of(result, study)
    script, divs = components(plots)
    sections = "\n".join(f"<section><h2>{escape(figures.TITLES[name])}</h2>{divs[name]}</section>" for name in plots)
    title = f"{result.strategy} ({result.portfolio})"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: backtest</title>
<style>{CSS}</style>
{INLINE.render_js()}
</head><body><main>
<header><p class="kind">Backtest</p><h1>{escape(title)}</h1><p>{_period(result)}</p></header>
{_findings(result)}
{_tiles(result)}
{sections}
<section><h2>Months</h2>{_months(result)}</section>
<section><h2>Figures</h2>{_figures(result)}</section>
<section><h2>Last weights</h2>{_weights(result)}</section>
<section><h2>Made of</h2>{_made_of(result)}</section>
</main>{script}</body></html>
"""


def _period(result: Result) -> str:
    day = result.dates.astype("datetime64[D]")
    rebalance = result.settings.rebalance
    every = "every bar" if rebalance == 1 else f"every {rebalance} bars"
    drift = ", weights drift between" if result.settings.drift else ""
    return f"{day[0]} to {day[-1]}, {len(day)} bars, {len(result.weights.names)} assets, rebalanced {every}{drift}"


def _findings(result: Result) -> str:
    if not result.findings:
        return ""
    items = "".join(f"<li><b>{escape(f.code)}</b> {escape(f.message)}</li>" for f in result.findings)
    return f'<ul class="findings">{items}</ul>'


def _tiles(result: Result) -> str:
    m = result.metrics
    tiles = [
        ("Total return", _percent(m.total_return), m.total_return),
        ("Annualized", _percent(m.annualized_return), m.annualized_return),
        ("Sharpe", f"{m.sharpe:.2f}", m.sharpe),
        ("Max drawdown", _percent(m.max_drawdown), 0.0),
        ("Volatility", _percent(m.volatility), 0.0),
        ("Turnover a year", f"{m.turnover:.1f}x", 0.0),
    ]
    cells = "".join(
        f'<div class="tile"><span>{label}</span><b class="{_tone(sign)}">{value}</b></div>'
        for label, value, sign in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _months(result: Result) -> str:
    from sigc_pipelines.performance import monthly, total_return

    by_month = monthly(result.dates, result.returns)
    years = sorted({m[:4] for m in by_month})
    head = "".join(
        f"<th>{name}</th>"
        for name in ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year"]
    )
    rows = []
    for year in years:
        cells = []
        for month in range(1, 13):
            value = by_month.get(f"{year}-{month:02d}")
            cells.append("<td></td>" if value is None else _heat(value, 0.06))
        of_year = result.returns[result.dates.astype("datetime64[Y]") == _year(year)]
        rows.append(f"<tr><th>{year}</th>{''.join(cells)}{_heat(total_return(of_year), 0.2)}</tr>")
    return f'<div class="wide"><table class="heat"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'


def _year(text: str) -> object:
    import numpy as np

    return np.datetime64(text, "Y")


def _heat(value: float, full: float) -> str:
    share = min(1.0, abs(value) / full) * 0.55
    colour = "var(--up)" if value >= 0 else "var(--down)"
    style = f"background:color-mix(in srgb, {colour} {100 * share:.0f}%, transparent)"
    return f'<td style="{style}">{100 * value:.1f}</td>'


def _figures(result: Result) -> str:
    m = result.metrics
    rows = [
        ("Sortino", f"{m.sortino:.2f}"),
        ("Calmar", f"{m.calmar:.2f}"),
        ("Win rate", _percent(m.win_rate)),
        ("Profit factor", f"{m.profit_factor:.2f}"),
        ("VaR 95 / CVaR 95", f"{_percent(m.var_95)} / {_percent(m.cvar_95)}"),
        ("Skew / kurtosis", f"{m.skew:.2f} / {m.kurtosis:.2f}"),
        ("Gross / net exposure", f"{m.gross_exposure:.2f} / {m.net_exposure:.2f}"),
        ("Costs, sum", _percent(m.costs)),
        ("Probabilistic Sharpe", _percent(m.probabilistic_sharpe)),
    ]
    if m.drawdown.trough:
        rows.append(("Drawdown", " to ".join([m.drawdown.peak, m.drawdown.trough, m.drawdown.recovery or "today"])))
    if result.against is not None:
        a = result.against
        rows += [
            (f"Benchmark {result.settings.benchmark}", _percent(a.total_return)),
            ("Alpha / beta", f"{_percent(a.alpha)} / {a.beta:.2f}"),
            ("Information ratio", f"{a.information_ratio:.2f}"),
            ("Tracking error", _percent(a.tracking_error)),
            ("Correlation", f"{a.correlation:.2f}"),
        ]
    return _table(rows)


def _weights(result: Result) -> str:
    last = result.weights.values[-1]
    order = sorted(range(len(last)), key=lambda i: (-abs(last[i]), result.weights.names[i]))
    held = [i for i in order if last[i] != 0.0]
    rows = [(result.weights.names[i], f"{100 * last[i]:.2f}%") for i in held[:_MOST_WEIGHTS]]
    more = len(held) - len(rows)
    tail = f"<p>and {more} more</p>" if more > 0 else "" if rows else "<p>The book is flat.</p>"
    return _table(rows) + tail


def _made_of(result: Result) -> str:
    rows = [(f"parameter {k}", f"{v:g}") for k, v in sorted(result.params.items())]
    rows += [(f"data {k}", v) for k, v in result.digests.items()]
    return _table(rows)


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows)
    return f'<div class="wide"><table class="facts">{cells}</table></div>'


def _percent(value: float) -> str:
    return f"{100 * value:.2f}%"


def _tone(value: float) -> str:
    return "up" if value > 0 else "down" if value < 0 else ""
