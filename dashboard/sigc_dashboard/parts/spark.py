"""Sparklines: a line the size of a word, as SVG in the text's own colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sigc_dashboard.html import NONE, Html, tag

_WIDTH, _HEIGHT, _MARGIN = 120, 28, 2


def spark(values: Sequence[float], words: str) -> Html:
    """Return the values from left to right, the last with a dot. words: the same as text for screen readers.

    >>> spark([1.0], "NAV"), "polyline" in spark([1.0, 2.0], "NAV")
    ('', True)
    """
    kept = [value for value in values if math.isfinite(value)]
    if len(kept) < 2:
        return NONE
    low, high = min(kept), max(kept)
    points = [(_x(n, len(kept)), _y(value, low, high)) for n, value in enumerate(kept)]
    line = tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))
    end = tag("circle", cx=f"{points[-1][0]:.1f}", cy=f"{points[-1][1]:.1f}", r="2")
    return tag(
        "svg",
        line,
        end,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=words,
        class_="spark up" if kept[-1] >= kept[0] else "spark down",
    )


def _x(number: int, count: int) -> float:
    return _MARGIN + (_WIDTH - 3 * _MARGIN) * number / (count - 1)


def _y(value: float, low: float, high: float) -> float:
    share = 0.5 if high == low else (value - low) / (high - low)
    return _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * share
