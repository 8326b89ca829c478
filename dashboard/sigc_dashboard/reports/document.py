"""HTML shared by all reports: one self-contained file, its head, tiles, findings, tables, months.

Scripts are inline, nothing is fetched, there is no time stamp. Text of users is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sigc_dashboard.html import NONE, Html, join, tag
from sigc_dashboard.reports.style import CSS
from sigc_dashboard.reports.view import Rows

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FULL_MONTH, _FULL_YEAR = 0.06, 0.2  # returns that are drawn in full colour


def document(kind: str, title: str, subtitle: str, body: Iterable[Html], plots: Mapping[str, Any] | None = None) -> str:
    """Return a report as text. plots: by the id of the element that holds it; made by `figure`."""
    script, resources = NONE, NONE
    if plots:
        from bokeh.embed import components
        from bokeh.resources import Resources

        found, divs = components(dict(plots))
        script = Html(found)
        resources = Html(Resources(mode="inline", components=["bokeh"]).render_js())
        body = [Html(_filled(str(piece), divs)) for piece in body]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title}: {kind.lower()}"),
        tag("style", Html(CSS)),
        resources,
    ]
    heading = tag("header", tag("p", kind, class_="kind"), tag("h1", title), tag("p", subtitle))
    inner = join([tag("head", *head), tag("body", tag("main", heading, *body, class_="report"), script)], "\n")
    return f"<!DOCTYPE html>\n{tag('html', inner, lang='en')}\n"


def figure(name: str, title: str, words: str, *, half: bool = False) -> Html:
    """Return the place of a plot. words: the plot as text for screen readers."""
    place = tag("div", Html(f"\0{name}\0"), role="img", aria_label=words, class_="plot")
    return tag("section", tag("h2", title), place, class_="half" if half else None)


def _filled(text: str, divs: Mapping[str, str]) -> str:
    for name, div in divs.items():
        text = text.replace(f"\0{name}\0", div)
    return text


def section(title: str, *inner: object) -> Html:
    """Return a piece with its heading."""
    return tag("section", tag("h2", title), *inner)


def findings(found: Rows) -> Html:
    """Draw what a reader must know first; nothing without findings."""
    items = [tag("li", tag("b", code), " ", text) for code, text in found]
    return tag("ul", *items, class_="findings") if items else NONE


def tiles(found: Sequence[tuple[str, str, float]]) -> Html:
    """Return tiles of label and text; the sign of the third value gives the tone."""
    cells = [tag("div", tag("span", a), tag("b", b, class_=tone(sign)), class_="tile") for a, b, sign in found]
    return tag("div", *cells, class_="tiles four" if len(cells) % 4 == 0 else "tiles")


def tone(value: float) -> str:
    """Return the CSS class of a gain or a loss."""
    return "up" if value > 0 else "down" if value < 0 else ""


def facts(name: str, rows: Rows) -> Html:
    """Return a table of two columns, name and value. name: for screen readers."""
    body = [tag("tr", tag("th", a, scope="row"), tag("td", b)) for a, b in rows]
    return tag("div", tag("table", tag("caption", name), *body, class_="facts"), class_="wide")


def grid(name: str, heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> Html:
    """Return a table. numbers: columns of numbers."""
    right = frozenset(numbers)
    top = [tag("th", head, scope="col", class_="num" if n in right else None) for n, head in enumerate(heads)]
    body = [
        tag("tr", *(tag("td", cell, class_="num" if n in right else None) for n, cell in enumerate(row)))
        for row in rows
    ]
    inner = tag("table", tag("caption", name), tag("thead", tag("tr", *top)), tag("tbody", *body), class_="rows")
    return tag("div", inner, class_="wide")


def months(by_month: Mapping[str, float], by_year: Mapping[str, float]) -> Html:
    """Return the heat map of monthly returns, in percent. by_month: `YYYY-MM`."""
    heads = [tag("th", name, scope="col") for name in ("", *MONTHS, "Year")]
    rows = []
    for year, whole in by_year.items():
        values = [by_month.get(f"{year}-{month:02d}") for month in range(1, 13)]
        cells = [tag("td") if v is None else _heat(v, _FULL_MONTH) for v in values]
        rows.append(tag("tr", tag("th", year, scope="row"), *cells, _heat(whole, _FULL_YEAR)))
    caption = tag("caption", "Return by month and year, in percent")
    return tag("div", tag("table", caption, tag("tr", *heads), *rows, class_="heat"), class_="wide")


def _heat(value: float, full: float) -> Html:
    share = min(1.0, abs(value) / full) * 55
    colour = "var(--up)" if value >= 0 else "var(--down)"
    style = f"background:color-mix(in srgb, {colour} {share:.0f}%, transparent)"
    return tag("td", f"{100 * value:.1f}", style=style)
