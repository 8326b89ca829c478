"""Jumps: a price too far from the last accepted one is accepted only after the next row confirms it.

A value beyond the limits of the last accepted one is a candidate. The asset's next value confirms it (it lies within
the limits of the candidate: accepted from that row on) or rejects it (it lies within those of the last accepted one);
else it is the next candidate. Candidates are never accepted themselves. So a decision depends on rows up to its own
only, and no later row changes it.

    clean, jumps, state = accept(values, limits)            one panel
    clean, jumps, state = accept(later, limits, state)      the rows after it: the same as both at once

A jump that looks like a split (`split_like`) is held: later rows do not confirm it, however near they are, until one is
back within the limits of the last accepted value, or a person accepts it (`by_hand`). A declared action explains a
jump: the caller adjusts for actions first, so that no jump remains.

Only columns with a jump are walked, from jump to jump. Values of 0 and below are ignored, and left unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from sigc.errors import Diagnostic, Severity
from sigc.panel import Dates, Floats
from sigc.source_words import Frequency

MAX_RETURN = 0.5
_SESSIONS = {"weeks": 5.0, "months": 21.0}
_NAMED = 5  # jumps that a finding names
SPLITS = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0)  # n of the ratios n:1 and 1:n for which a jump is held
_NEAR = 0.02  # relative distance to such a ratio
Cells = Collection[tuple[int, int]]  # (row, column)


@dataclass(frozen=True, slots=True)
class JumpLimits:
    """The returns beyond which a price is a jump: a gain above `up`, a loss above `down`, both positive fractions."""

    up: float
    down: float


@dataclass(frozen=True, slots=True)
class Jump:
    """A value that was not accepted: its row and column, its return on the last accepted one, and if it is held."""

    row: int
    column: int
    change: float
    is_held: bool


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyState:
    """The state after some rows, (assets,) each: the last accepted value, and the candidate after it, or NaN.

    held: True if later rows can't confirm the candidate, as a jump before it looks like a split.
    """

    accepted: Floats
    candidate: Floats
    held: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __post_init__(self) -> None:
        if len(self.held) != len(self.accepted):
            object.__setattr__(self, "held", np.zeros(len(self.accepted), np.bool_))


def split_like(change: float) -> str:
    """Return the split that a return looks like, within 2 % of its ratio; '' for none.

    >>> split_like(-0.75), split_like(0.98), split_like(-1 / 3), split_like(8.0)
    ('4:1', '1:2', '', '')
    """
    ratio = 1.0 + change
    for n in SPLITS:
        if abs(ratio * n - 1.0) <= _NEAR:
            return f"{n:g}:1"
        if abs(ratio / n - 1.0) <= _NEAR:
            return f"1:{n:g}"
    return ""


def limits_of(written: float | None, default: float, frequency: Frequency) -> JumpLimits:
    """Return the limits of a source: `written` for its rows, else derived from `default`, which is for one session.

    Spread grows with the square root of time, so rows of a week or a month get the default compounded over the root of
    their sessions (5, 21). Bars of a session get the default itself, since one of them spans the night.

    >>> limits_of(None, 0.5, Frequency("weeks")).up > limits_of(None, 0.5, Frequency("sessions")).up
    True
    """
    if written is not None:
        return JumpLimits(written, written)
    times = sqrt(_SESSIONS.get(frequency.word, 1.0))
    return JumpLimits((1.0 + default) ** times - 1.0, 1.0 - (1.0 - default) ** times if default < 1.0 else default)


def accept(
    values: Floats,
    limits: JumpLimits,
    state: AnomalyState | None = None,
    columns: Sequence[int] | None = None,
    by_hand: Cells = (),
) -> tuple[Floats, tuple[Jump, ...], AnomalyState]:
    """Return (values with NaN for those not accepted, the jumps, the state after); `values` itself if all are accepted.

    values: (rows, assets). state: after the rows before. columns: those that may have a jump, if known. by_hand: (row,
    column) of values that a person accepts.
    """
    before = AnomalyState(*np.full((2, values.shape[1]), np.nan)) if state is None else state
    if not len(values):
        return values, (), before
    known = _with(values, before) if columns is None else None
    suspects = _suspects(known, limits) if known is not None else list(columns or ())
    if known is None and state is not None:  # from the rows before to the first of these
        suspects += _suspects(_with(_first(values)[None], before), limits)
    # A held column is walked even without a new jump: its values stay masked.
    suspects = sorted({*suspects, *(int(c) for c in np.flatnonzero(before.held))})
    after = AnomalyState(_last(values, before.accepted), np.full(values.shape[1], np.nan))
    clean, jumps = values, []
    for column in suspects:
        found, accepted, candidate, is_held = _walk(
            values[:, column], before, column, limits, {r for r, c in by_hand if c == column}
        )
        after.accepted[column], after.candidate[column], after.held[column] = accepted, candidate, is_held
        if found and clean is values:
            clean = values.copy()
        for jump in found:
            clean[jump.row, column] = np.nan
            jumps.append(jump)
    return clean, tuple(sorted(jumps, key=lambda j: (j.row, j.column))), after


def told(spec_name: str, jumps: Sequence[tuple[str, str, float]], limits: JumpLimits) -> tuple[Diagnostic, ...]:
    """Return a finding for some jumps (asset, date, return), of which it names the first; empty without jumps."""
    if not jumps:
        return ()
    named = ", ".join(f"{asset} {day} ({change:+.1%})" for asset, day, change in jumps[:_NAMED])
    more = f" and {len(jumps) - _NAMED} more" if len(jumps) > _NAMED else ""
    edge = f"{limits.up:.0%}" if limits.up == limits.down else f"+{limits.up:.0%} or -{limits.down:.0%}"
    what = "1 price jumps" if len(jumps) == 1 else f"{len(jumps)} prices jump"
    message = f"source '{spec_name}': {what} by more than {edge}: {named}{more}"
    hint = (
        "a jump counts from the row that confirms it; one that looks like a split (2:1, 1:10) from its action on, or "
        "when a person accepts it: sigc data accept ASSET DATE --reason. max_return= at the source sets the limit"
    )
    return (Diagnostic("W006", message, severity=Severity.WARNING, hint=hint),)


def named(jumps: Sequence[Jump], names: Sequence[str], dates: Dates) -> list[tuple[str, str, float]]:
    """Return jumps as (asset, date, return)."""
    days = dates.astype("datetime64[D]")
    return [(names[j.column], str(days[j.row]), j.change) for j in jumps]


def _with(values: Floats, state: AnomalyState) -> Floats:
    """Return the values below the two rows of the state: last accepted, candidate."""
    return np.vstack([state.accepted[None], state.candidate[None], values])


def _suspects(values: Floats, limits: JumpLimits) -> list[int]:
    """Return the columns in which a value is beyond the limits of the valid one before it."""
    valid = values > 0.0
    if not valid[2:].all() or not valid[0].all():
        place = np.maximum.accumulate(np.where(valid, np.arange(len(values))[:, None], 0), axis=0)
        values = np.where(valid, values, np.take_along_axis(values, place, axis=0))
        values = np.where(values > 0.0, values, np.nan)
    else:
        values = np.delete(values, 1, axis=0)
    with np.errstate(invalid="ignore"):
        change = values[1:] / values[:-1] - 1.0
        beyond = (change > limits.up) | (change < -limits.down)
    return [int(c) for c in np.flatnonzero(beyond.any(axis=0))]


def _last(values: Floats, before: Floats) -> Floats:
    valid = values > 0.0
    row = len(values) - 1 - np.argmax(valid[::-1], axis=0)
    return np.where(valid.any(axis=0), values[row, np.arange(values.shape[1])], before)


def _first(values: Floats) -> Floats:
    valid = values > 0.0
    row = np.argmax(valid, axis=0)
    return np.where(valid.any(axis=0), values[row, np.arange(values.shape[1])], np.nan)


def _walk(
    column: Floats, state: AnomalyState, place: int, limits: JumpLimits, by_hand: Collection[int]
) -> tuple[list[Jump], float, float, bool]:
    """Return (jumps of a column, last accepted value, candidate, True if the candidate is held)."""
    head = [v for v in (float(state.accepted[place]), float(state.candidate[place])) if v > 0.0]
    rows = np.flatnonzero(column > 0.0)
    values = np.concatenate([head, column[rows]])
    if not len(values):
        return [], float("nan"), float("nan"), False
    bad = np.flatnonzero(_beyond(values[1:], values[:-1], limits))
    found: list[Jump] = []
    at = 0  # of the last accepted value
    # From jump to jump: between two members of `bad` each value is near the one before, so all are accepted.
    while (following := bad[np.searchsorted(bad, at) :]).size:
        at = int(following[0])
        accepted, now = float(values[at]), at + 1
        is_held = len(head) == 2 and at == 0 and bool(state.held[place])
        while now < len(values):
            value = float(values[now])
            row = int(rows[now - len(head)]) if now >= len(head) else -1
            change = value / accepted - 1.0
            is_confirmed = now > at + 1 and not is_held and not _is_beyond(value, float(values[now - 1]), limits)
            if row in by_hand or not _is_beyond(value, accepted, limits) or is_confirmed:
                at = now
                break
            is_held = is_held or bool(split_like(change))
            if row >= 0:
                found.append(Jump(row, place, change, is_held))
            now += 1
        else:
            return found, accepted, float(values[-1]), is_held
    return found, float(values[-1]), float("nan"), False


def _is_beyond(now: float, before: float, limits: JumpLimits) -> bool:
    change = now / before - 1.0
    return change > limits.up or change < -limits.down


def _beyond(now: Floats, before: Floats, limits: JumpLimits) -> NDArray[np.bool_]:
    change = now / before - 1.0
    out: NDArray[np.bool_] = (change > limits.up) | (change < -limits.down)
    return out
