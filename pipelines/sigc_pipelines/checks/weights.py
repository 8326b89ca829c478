"""Checks of wanted weights. A breach names the assets, the value and the limit.

Closing positions stays possible: a target is not refused if it takes a book beyond a limit nearer to zero.

    position, net, sector          a target nearer to zero than the held one, on the same side of zero, is allowed
    gross                          a target that adds to no position is allowed
    change                         the change of an asset that is brought nearer to zero does not count
    turnover                       only changes that add count, if none adds or the held book exceeds a limit

Neighbours: `data.py` checks the data of the weights, `orders.py` the orders that follow from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sigc.config.settings import SafetySettings
from sigc.errors import Severity
from sigc.panel import Floats
from sigc.store.ledger.records import Finding
from sigc_pipelines.checks.declare import Breach, UnevaluableError, check, collected, findings, listed
from sigc_pipelines.checks.view import WeightsView

# Error of float sums: a book of a thousand weights of 0.001 has a gross of 1 within it.
TOLERANCE = 1e-9


def judge_weights(view: WeightsView, limits: SafetySettings) -> tuple[Finding, ...]:
    """Return every limit that the wanted weights exceed; with any, nothing may be traded."""
    return findings(collected(__name__), view, limits, Severity.ERROR)


@check()
def finite(view: WeightsView, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """Weights are numbers, one for each asset."""
    if view.target.shape != (len(view.names),):
        raise UnevaluableError(f"{view.target.shape} weights for {len(view.names)} assets")
    bad = _assets(view, ~np.isfinite(view.target))
    return Breach(f"weights that are not finite: {listed(bad)}", bad) if bad else None


@check("max_position")
def position(view: WeightsView, limits: SafetySettings) -> Breach | None:
    """The absolute weight of each asset."""
    target = _target(view)
    return _each(view, np.where(_reduces(target, view.held), 0.0, np.abs(target)), limits.max_position, "weighs")


@check("max_sector")
def sector(view: WeightsView, limits: SafetySettings) -> Breach | None:
    """The net weight of each sector."""
    if limits.max_sector == 0:
        return None
    target = _target(view)
    if view.sectors is None:
        raise UnevaluableError("the strategy has no sectors")
    # Only assets that add need a sector; a position may be closed without one.
    unplaced = ~_reduces(target, view.held)
    unknown = [
        n for n, label, w, u in zip(view.names, view.sectors, target, unplaced, strict=True) if not label and w and u
    ]
    if unknown:
        raise UnevaluableError(f"no sector is known of {listed(unknown)}")
    labels = np.array(view.sectors)
    nets = {str(s): math.fsum(target[labels == s]) for s in np.unique(labels)}
    beyond = {
        s: net
        for s, net in nets.items()
        if s and _is_beyond(abs(net), limits.max_sector) and not _is_nearer(net, math.fsum(view.held[labels == s]))
    }
    if not beyond:
        return None
    worst = max(beyond, key=lambda s: abs(beyond[s]))
    text = "; ".join(f"sector {s} weighs {net:.6g}" for s, net in sorted(beyond.items()))
    members = _assets(view, np.isin(labels, list(beyond)) & (target != 0))
    return Breach(f"{text}; the limit is {limits.max_sector:g}", members, abs(beyond[worst]), limits.max_sector)


@check("max_gross")
def gross(view: WeightsView, limits: SafetySettings) -> Breach | None:
    """The sum of absolute weights."""
    target = _target(view)
    breach = _whole(math.fsum(np.abs(target)), limits.max_gross, "the gross")
    return None if breach is not None and _adds_nothing(view) else breach


@check("max_net")
def net(view: WeightsView, limits: SafetySettings) -> Breach | None:
    """The absolute sum of weights."""
    value = math.fsum(_target(view))
    return None if _is_nearer(value, math.fsum(view.held)) else _whole(abs(value), limits.max_net, "the net")


@check("neutral_tolerance")
def neutral(view: WeightsView, limits: SafetySettings) -> Breach | None:
    """The absolute sum of weights over the sum of absolute weights, of a book that must be neutral."""
    if not limits.neutral:
        return None
    target = _target(view)
    whole = math.fsum(np.abs(target))
    share = abs(math.fsum(target)) / whole if whole > 0 else 0.0
    return _whole(share, limits.neutral_tolerance, "the net over the gross")


@check("max_turnover")
def turnover(view: WeightsView, limits: SafetySettings) -> Breach | None:
    """The sum of absolute changes of weights."""
    changes = np.abs(_changes(view))
    adding = changes[~_reduces(view.target, view.held)]
    is_way_out = _adds_nothing(view) or _is_held_beyond(view, limits)
    return _whole(math.fsum(adding if is_way_out else changes), limits.max_turnover, "the turnover")


@check("max_change")
def change(view: WeightsView, limits: SafetySettings) -> Breach | None:
    """The absolute change of each asset's weight."""
    changes = np.abs(_changes(view))
    return _each(view, np.where(_reduces(view.target, view.held), 0.0, changes), limits.max_change, "changes by")


@check("max_deviation")
def deviation(view: WeightsView, limits: SafetySettings) -> Breach | None:
    """The distance of the turnover above the mean of its history, in standard deviations."""
    past = view.past_turnovers
    if limits.max_deviation == 0 or len(past) < limits.min_history:
        return None
    if _adds_nothing(view):
        return None
    value = math.fsum(np.abs(_changes(view)))
    mean = math.fsum(past) / len(past)
    spread = math.sqrt(math.fsum((p - mean) ** 2 for p in past) / (len(past) - 1))
    if not math.isfinite(spread):
        raise UnevaluableError("a turnover of the history is not finite")
    above = value - mean
    # A constant history has no spread: any turnover above it is infinitely far.
    score = 0.0 if above <= TOLERANCE else above / spread if spread > 0 else math.inf
    return _whole(score, limits.max_deviation, "the turnover's distance from its mean in standard deviations")


def _target(view: WeightsView) -> Floats:
    if not np.isfinite(view.target).all():
        raise UnevaluableError("not all weights are finite")
    return view.target


def _changes(view: WeightsView) -> Floats:
    if not np.isfinite(view.held).all():
        raise UnevaluableError("not all weights that are held are finite")
    changes: Floats = _target(view) - view.held
    return changes


def _reduces(target: Floats, held: Floats) -> NDArray[np.bool_]:
    """Return True where a target lies between the held weight and zero, both included."""
    found: NDArray[np.bool_] = (np.abs(target) <= np.abs(held) + TOLERANCE) & (target * held >= 0.0) & (held != 0.0)
    return found


def _adds_nothing(view: WeightsView) -> bool:
    """Return True if the target only takes positions nearer to zero."""
    changes = np.abs(_changes(view))
    return math.fsum(changes[~_reduces(view.target, view.held)]) <= TOLERANCE


def _is_nearer(value: float, held: float) -> bool:
    """Return True if a sum is on the same side of zero as the held one, and no farther from it."""
    return held != 0.0 and value * held >= 0.0 and abs(value) <= abs(held) + TOLERANCE


def _is_held_beyond(view: WeightsView, limits: SafetySettings) -> bool:
    """Return True if the held book exceeds a limit, so that reductions must stay possible."""
    held = np.nan_to_num(view.held)
    return (
        bool((np.abs(held) > limits.max_position + TOLERANCE).any())
        or _is_beyond(math.fsum(np.abs(held)), limits.max_gross)
        or _is_beyond(abs(math.fsum(held)), limits.max_net)
    )


def _is_beyond(value: float, limit: float) -> bool:
    return value > limit + TOLERANCE


def _whole(value: float, limit: float, what: str) -> Breach | None:
    if not _is_beyond(value, limit):
        return None
    return Breach(f"{what} is {value:.6g}; the limit is {limit:g}", (), value, limit)


def _each(view: WeightsView, values: Floats, limit: float, verb: str) -> Breach | None:
    beyond = values > limit + TOLERANCE
    if not beyond.any():
        return None
    bad = _assets(view, beyond)
    texts = [f"{name} {verb} {value:.6g}" for name, value in zip(bad, values[beyond], strict=True)]
    return Breach(f"{listed(texts)}; the limit is {limit:g}", bad, float(values.max()), limit)


def _assets(view: WeightsView, where: NDArray[np.bool_] | Sequence[bool]) -> tuple[str, ...]:
    return tuple(view.names[i] for i in np.flatnonzero(where))


CHECKS = collected(__name__)  # keep at the end of the module: `collected` sees only checks declared above
