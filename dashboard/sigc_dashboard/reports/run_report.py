"""Page of one run: its outcome, stages with their findings, weights, orders, fills. One self-contained file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sigc_dashboard.reports.style import CSS

Table = tuple[tuple[str, ...], ...]  # the first row is the head


@dataclass(frozen=True, slots=True)
class RunView:
    """A run to draw, all of it text. tone: good, bad or open; findings: (stage and check, message)."""

    title: str
    subtitle: str
    verdict: str
    tone: str
    findings: tuple[tuple[str, str], ...]
    tiles: tuple[tuple[str, str], ...]
    stages: Table
    weights: Table
    orders: Table
    fills: Table
    made_of: tuple[tuple[str, str], ...]


def render(view: RunView) -> str:
    """Return the page as text."""
    tiles = "".join(f'<div class="tile"><span>{escape(a)}</span><b>{escape(b)}</b></div>' for a, b in view.tiles)
    found = "".join(f"<li><b>{escape(a)}</b> {escape(b)}</li>" for a, b in view.findings)
    facts = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in view.made_of)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(view.title)}: run</title>
<style>{CSS}</style>
</head><body><main>
<header><p class="kind">Run</p><h1>{escape(view.title)}</h1><p>{escape(view.subtitle)}</p>
<p class="verdict {escape(view.tone)}">{escape(view.verdict)}</p></header>
{f'<ul class="findings">{found}</ul>' if found else ""}
<div class="tiles">{tiles}</div>
{_section("Stages", view.stages, "No stage was begun.")}
{_section("Weights", view.weights, "Nothing is wanted, nothing is held.")}
{_section("Orders", view.orders, "No orders.")}
{_section("Fills", view.fills, "Nothing was filled yet.")}
<section><h2>Made of</h2><div class="wide"><table class="facts">{facts}</table></div></section>
</main></body></html>
"""


def _section(title: str, rows: Table, nothing: str) -> str:
    body = _table(rows) if len(rows) > 1 else f"<p>{escape(nothing)}</p>"
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in rows[1:])
    return f'<div class="wide"><table class="rows"><tr>{head}</tr>{body}</table></div>'
