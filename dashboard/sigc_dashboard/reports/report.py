"""HTML report of a backtest: one self-contained file, summary first, then plots, then the inputs.

`figures.py` draws; `view.py` says what is drawn; `document.py` is what all reports share.
"""

from __future__ import annotations

from sigc_dashboard.html import NONE, Html, tag
from sigc_dashboard.reports import figures
from sigc_dashboard.reports.document import document, facts, figure, findings, months, section, tiles
from sigc_dashboard.reports.view import BacktestView


def render(view: BacktestView) -> str:
    """Return the page as text."""
    plots = figures.all_of(view)
    drawn = [figure(n, figures.TITLES[n], figures.words(n, view), half=n in figures.HALF) for n in plots]
    steps = section("From weights to orders", facts("From weights to orders", view.steps)) if view.steps else NONE
    body = (
        findings(view.findings),
        tiles(view.tiles),
        *drawn,
        section("Months", months(view.months, view.years)),
        section("Figures", facts("Figures", view.figures)),
        steps,
        section("Last weights", _weights(view)),
        section("Made of", facts("Parameters and data", view.made_of)),
    )
    return document("Backtest", view.title, view.subtitle, body, plots)


def _weights(view: BacktestView) -> Html:
    if not view.weights:
        return tag("p", "The book is flat.")
    more = tag("p", f"and {view.more_weights} more") if view.more_weights else NONE
    return Html(facts("The largest weights", view.weights) + more)
