"""Limits with untradable assets: a limit bounds the tradable ones, and asks nothing impossible of a frozen weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sigc.panel import Floats
from sigc_pipelines.portfolio.constraints import Box, LinearBound, Norm, Part

Flags = NDArray[np.bool_]


def beside(parts: tuple[Part, ...], held: Floats, frozen: Flags) -> tuple[Part, ...]:
    """Return the parts of a limit with the `frozen` assets at their held weights.

    Their own bounds are dropped; a bound on the book is no tighter than its value with the frozen weights alone.
    """
    return tuple(_beside(parts, np.where(frozen, held, 0.0), frozen))


def _beside(parts: tuple[Part, ...], stuck: Floats, frozen: Flags) -> Iterator[Part]:
    for part in parts:
        match part:
            case Box(low, high):
                yield Box(np.where(frozen, -np.inf, low), np.where(frozen, np.inf, high))
            case LinearBound():
                yield _row(part, stuck, frozen)
            case Norm(matrix, centre, high):
                yield Norm(matrix, centre, max(high, _least(part, stuck, frozen)))


def _row(part: LinearBound, stuck: Floats, frozen: Flags) -> LinearBound:
    value = part.longs * float(np.maximum(stuck, 0.0).sum()) + part.shorts * float(np.maximum(-stuck, 0.0).sum())
    if part.weights is not None:
        value += float((part.weights * stuck).sum())
        if part.weights[~frozen].any():  # tradable assets can offset the frozen ones
            return part
        return replace(part, low=min(part.low, value), high=max(part.high, value))
    return replace(part, high=max(part.high, value))


def _least(part: Norm, stuck: Floats, frozen: Flags) -> float:
    """Return the least norm that is possible with the frozen weights."""
    if not stuck.any() and not part.centre[frozen].any():
        return 0.0
    fixed = part.matrix @ np.where(frozen, stuck - part.centre, 0.0)
    free = part.matrix[:, ~frozen]
    if not free.shape[1]:
        return float(np.linalg.norm(fixed))
    best = np.linalg.lstsq(free, -fixed, rcond=None)[0]
    return float(np.linalg.norm(fixed + free @ best)) * (1.0 + 1e-9)  # room for the solver's rounding
