"""Stages of a run as a waterfall: start and duration as bars, with words beside them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sigc.rpc.messages.history import StageLine
from sigc_dashboard.html import Html, tag
from sigc_dashboard.parts.dag import milliseconds
from sigc_dashboard.parts.tiles import badge
from sigc_dashboard.words import NOTHING, count, duration

_LEAST = 0.6  # percent of the width: less is not seen


def spans(stages: Sequence[StageLine], now: datetime) -> list[tuple[float, float]]:
    """Return begin and length of each stage's bar, in percent of the whole; a bar under way reaches up to now.

    >>> at = datetime(2024, 1, 2, 14, 0, tzinfo=UTC)
    >>> two = [StageLine("load", 1.0, "done", at), StageLine("compute", 3.0, "done", at.replace(second=1))]
    >>> spans(two, at)
    [(0.0, 25.0), (25.0, 75.0)]
    """
    known = [stage.started.timestamp() for stage in stages if stage.started is not None]
    if not known:
        return [(0.0, 0.0) for _ in stages]
    first = min(known)
    ends: list[float] = []
    begins: list[float] = []
    for stage in stages:
        # One follows the other, whatever the clock of a run for an earlier date says.
        begun = max([first, *ends[-1:], *([stage.started.timestamp()] if stage.started is not None else [])])
        length = max(0.0, now.timestamp() - begun) if stage.outcome == "running" else stage.seconds
        begins.append(begun)
        ends.append(begun + length)
    whole = max(max(ends) - first, 1e-9)
    return [
        (round(100 * (begun - first) / whole, 3), round(100 * (end - begun) / whole, 3))
        for begun, end in zip(begins, ends, strict=True)
    ]


def waterfall(stages: Sequence[StageLine], now: datetime | None = None) -> Html:
    """Return the stages of a run, one row each."""
    found = spans(stages, now or datetime.now(UTC))
    rows = [
        tag(
            "tr",
            tag("th", stage.name, scope="row"),
            tag("td", _bar(stage, *span), class_="lane"),
            tag("td", _took(stage), class_="num"),
            tag("td", badge(stage.outcome)),
            tag("td", count(len(stage.findings), "finding") if stage.findings else ""),
            data_key=stage.name,
        )
        for stage, span in zip(stages, found, strict=True)
    ]
    heads = [tag("th", head, scope="col") for head in ("Stage", "When", "Time", "Outcome", "Found")]
    inner = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="rows waterfall")
    return tag("div", inner, class_="wide", tabindex="0", role="region", aria_label="Stages")


def _bar(stage: StageLine, begin: float, length: float) -> Html:
    kind = {"done": "good", "running": "main"}.get(stage.outcome, "bad")
    wide = max(length, _LEAST)
    bar = tag("rect", x=min(begin, 100 - wide), y="0", width=wide, height="10", rx="1", class_=kind)
    return tag("svg", bar, viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true", class_="bar")


def _took(stage: StageLine) -> str:
    if stage.outcome == "running":
        return NOTHING
    return milliseconds(stage.seconds) if stage.seconds < 60 else duration(stage.seconds)
