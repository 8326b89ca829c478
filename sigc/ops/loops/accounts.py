"""A book row by row when assets lack prices: untradable positions stay, undone trades wait, ended assets leave.

If every asset that is held or wanted has a price on each row, `books.py` gives the same figures at once. Each row, in
this order:

    advance   prices move the book: an asset without a price does not move; one that is back moves by everything since.
              After `ended_after` rows without a price an asset is presumed ended (`_ends`): it leaves at its last
              price. One with a declared end leaves on that row at the declared value, or becomes another asset.
    decide    on a due row, if an asset with a price has a weight, the wanted weights are recorded
    scale     tradable weights are scaled so that gross and net do not exceed the wanted ones
    trade     assets with a price go to their targets; those without one, and scaled ones, stay pending

Pending changes are made on the row where the price is back, or where an ended asset leaves room, due or not.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS, frozen
from sigc.ops.loops import books

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Rows of a state, (FIELDS, assets). GONE: the weight of an ended asset, BOOKED: its value then over its last price.
HELD, LAST, WANT, PENDING, ABSENT, GONE, BOOKED, TARGET, FIELDS = range(9)
UNDONE, SCALED, KEPT = 1.0, 2.0, 3.0  # of PENDING: no price at the decision; scaled for such assets; no decision
# Numbers of a state. FREED: an ended asset left room on this row. COUNT: of events. OVERDUE: a decision is still due.
WANTED_GROSS, WANTED_NET, BEGUN, UNDECIDED, FREED, COUNT, OVERDUE, NUMBERS = range(8)
GROSS, TURNOVER, MISSING, FIGURES = range(4)  # by row
ENDED, BACK, CLOSED = 1.0, 2.0, 3.0  # events: kind, row, asset, share of the book
NOTHING, ALL, PART = 0, 1, 2  # the trades of a row
_SAME = 1e-12  # share of a book: less is rounding


Ends = tuple[NDArray[np.int64], Floats, NDArray[np.int64]]  # (assets,) each: row or -1, level then, the asset or -1


def no_ends(cols: int) -> Ends:
    """Return the ends of assets without declared ends."""
    nothing = np.full(cols, -1, np.int64)
    return nothing, np.full(cols, np.nan), nothing


def keep(
    wanted: Floats,
    prices: Floats,
    raw: Floats,
    due: Flags,
    drift: bool,
    ended_after: int,
    delisting: float,
    ends: Ends | None = None,
) -> tuple[Floats, Floats, Floats, Floats, int]:
    """Return (held, trades, figures, events, undecided) of a book. wanted, prices, raw: (rows, assets), NaN for none.

    raw: prices including unaccepted ones. delisting: the return of an ended asset on its last price. ends: declared
    ones, on the level of prices; from that row on the asset must have no price.
    """
    ends = no_ends(wanted.shape[1]) if ends is None else ends
    rows, cols = wanted.shape
    state, numbers, events = room(cols)
    held, trades, figures = np.empty((rows, cols)), np.zeros((rows, cols)), np.zeros((FIGURES, rows))
    moves = np.zeros((0 if drift else rows, cols))
    given = frozen(wanted), frozen(prices), frozen(raw)
    _kept(*given, due, drift, ended_after, delisting, *ends, state, numbers, events, moves, held, trades, figures)
    found = events[: int(numbers[COUNT])]
    if not drift:
        _as_followed(held, moves, found, figures, ends[0][ends[2] >= 0])
    return held, trades, figures, found, int(numbers[UNDECIDED])


def _as_followed(held: Floats, moves: Floats, events: Floats, figures: Floats, renamed: NDArray[np.int64]) -> None:
    """Recompute sums in the order of `books.followed`: a row then has the bits of a plain book, independent of later
    rows.

    renamed: rows on which a position continues under another name.
    """
    plain = np.empty((books.FIGURES, len(held)))
    books.followed(held, moves, np.zeros(held.shape[1]), plain)
    figures[GROSS], left = plain[books.EARNED], np.zeros(len(held), bool)
    left[renamed] = True
    for kind, t, _, share in events.tolist():
        left[int(t)] |= kind in (ENDED, CLOSED)
        figures[GROSS, int(t)] += share if kind == BACK else 0.0
    figures[TURNOVER] = np.where(left, figures[TURNOVER], plain[books.TURNOVER])


def room(cols: int) -> tuple[Floats, Floats, Floats]:
    """Return the state of an empty book, its numbers, and space for events."""
    state = np.zeros((FIELDS, cols))
    state[LAST] = np.nan
    return state, np.zeros(NUMBERS), np.empty((1000, 4))


def open_row(
    t: int,
    given: tuple[Floats, Floats, Floats],
    is_due: bool,
    how: tuple[bool, int, float, Ends],
    kept: tuple[Floats, Floats, Floats],
    figures: Floats,
) -> int:
    """Advance a row and decide: NOTHING, ALL or PART is to be traded to the state's targets. given: as `keep` takes."""
    wanted, prices, raw = given
    values = frozen(wanted), frozen(prices), frozen(raw)
    return int(_opened(t, *values, is_due, *how[:3], *how[3], *kept, np.empty((0, 0)), figures))


def close_row(t: int, todo: int, prices: Floats, state: Floats, held: Floats, trades: Floats, figures: Floats) -> None:
    """Trade to the state's targets, and record the row."""
    _closed(t, todo, frozen(prices), state, held, trades, figures)


def scaled(wanted: Floats, held: Floats, priced: Flags) -> Floats:
    """Return the targets of one decision, see `_scale`; assets without a price keep their position. Missing weights are
    0.
    """
    state, numbers, _ = room(len(wanted))
    state[HELD] = held
    prices = np.where(priced, 1.0, np.nan)[None]
    _decided(frozen(wanted[None]), frozen(prices), state, numbers)
    return np.where(priced, state[TARGET], held)


@njit(**OPTIONS)
def _decided(wanted: Floats, prices: Floats, state: Floats, numbers: Floats) -> None:
    _take(0, wanted, prices, state, numbers)
    _scale(0, prices, state, numbers)


@njit(**INNER)
def _ends(absent: float, ended_after: int) -> bool:
    """Return True if an asset ends on a row: the only place that decides it."""
    return absent >= ended_after


@njit(**INNER)
def _event(kind: float, t: int, j: int, share: float, numbers: Floats, events: Floats) -> None:
    at = int(numbers[COUNT])
    if at < len(events):
        events[at, 0], events[at, 1], events[at, 2], events[at, 3] = kind, t, j, share
        numbers[COUNT] = at + 1


@njit(**INNER)
def _advance(
    t: int,
    prices: Floats,
    raw: Floats,
    drift: bool,
    ended_after: int,
    delisting: float,
    ends: NDArray[np.int64],
    end_levels: Floats,
    into: NDArray[np.int64],
    state: Floats,
    numbers: Floats,
    events: Floats,
    moves: Floats,
    figures: Floats,
) -> None:
    cols, gain, missing = prices.shape[1], 0.0, 0
    numbers[FREED] = 0.0
    for j in range(cols):
        p, last, moved = prices[t, j], state[LAST, j], 0.0
        state[ABSENT, j] = 0.0 if raw[t, j] == raw[t, j] else state[ABSENT, j] + 1.0
        if p == p:
            if last == last:
                moved = p / last - 1.0
                if not np.isfinite(moved):
                    moved = 0.0
            if state[GONE, j] != 0.0:
                back = state[GONE, j] * (1.0 + moved - state[BOOKED, j])
                _event(BACK, t, j, back, numbers, events)
                gain += back
                state[GONE, j] = 0.0
            state[LAST, j] = p
        elif ends[j] == t:
            if last == last and state[HELD, j] != 0.0:
                moved = end_levels[j] / last - 1.0
                if not np.isfinite(moved):
                    moved = 0.0
                if into[j] < 0:
                    state[GONE, j], state[BOOKED, j] = state[HELD, j], 1.0 + moved
                    _event(CLOSED, t, j, state[HELD, j], numbers, events)
        elif state[HELD, j] != 0.0:
            missing += 1
            if _ends(state[ABSENT, j], ended_after):
                moved = delisting
                state[GONE, j], state[BOOKED, j] = state[HELD, j], 1.0 + delisting
                _event(ENDED, t, j, state[HELD, j], numbers, events)
        if t < len(moves):
            moves[t, j] = moved
        gain += state[HELD, j] * moved
        state[TARGET, j] = state[HELD, j] * (1.0 + moved)
    growth = 1.0 + gain
    for j in range(cols):
        has_left = state[GONE, j] != 0.0 and state[HELD, j] != 0.0  # an asset that left can't be bought
        if drift:
            state[HELD, j] = state[TARGET, j] / growth if growth > 0.0 else 0.0
            state[GONE, j] = state[GONE, j] / growth if growth > 0.0 else 0.0
        if has_left:
            state[HELD, j], state[WANT, j], state[PENDING, j] = 0.0, 0.0, 0.0
            numbers[FREED] = 1.0
    for j in range(cols):
        k = into[j]
        if ends[j] == t and k >= 0:  # the same position under its new name
            state[HELD, k] += state[HELD, j]
            state[WANT, k] += state[WANT, j]
            state[HELD, j], state[WANT, j], state[PENDING, j] = 0.0, 0.0, 0.0
    figures[GROSS, t], figures[MISSING, t] = gain, missing


@njit(**INNER)
def _take(t: int, wanted: Floats, prices: Floats, state: Floats, numbers: Floats) -> bool:
    """Record the wanted weights; return False if no asset with a price has a weight."""
    cols, priced, defined, others = wanted.shape[1], 0, 0, 0
    for j in range(cols):
        if prices[t, j] == prices[t, j]:
            priced += 1
            defined += wanted[t, j] == wanted[t, j]
        else:
            others += wanted[t, j] == wanted[t, j]
    if defined == 0 and (priced > 0 or others == 0):
        return False
    gross, net = 0.0, 0.0
    for j in range(cols):
        w = wanted[t, j]
        if w != w and state[PENDING, j] == UNDONE and prices[t, j] != prices[t, j]:
            w = state[WANT, j]  # the earlier decision stands
        if w == w:
            gross += abs(w)
            net += w
        if prices[t, j] == prices[t, j]:
            state[WANT, j] = w if w == w else 0.0
            state[PENDING, j] = 0.0
        elif w == w:
            state[WANT, j], state[PENDING, j] = w, UNDONE
        else:  # no weight is known: the position stays
            state[WANT, j], state[PENDING, j] = 0.0, KEPT
    numbers[WANTED_GROSS], numbers[WANTED_NET], numbers[BEGUN] = gross, net, 1.0
    return True


@njit(**INNER)
def _scale(t: int, prices: Floats, state: Floats, numbers: Floats) -> None:
    """Compute the targets of assets with a price, given the positions without one.

    A position without a price and without a decision takes no room: it is not part of the wanted gross and net.

    longs, shorts: sums of the wanted weights of these assets, each side scaled by one factor of 0 to 1:
    1. if net exceeds the wanted one, on either side of 0: cut the side that causes it by the excess
    2. if gross exceeds the wanted one: cut both sides by half of the excess each, which leaves net unchanged; once one
    side is zero, the other
    3. as 1
    No sign flips, no weight grows. If the positions without a price exceed the wanted gross alone, nothing is left.
    """
    cols, stuck, stuck_net, longs, shorts = prices.shape[1], 0.0, 0.0, 0.0, 0.0
    for j in range(cols):
        w = state[WANT, j]
        if prices[t, j] == prices[t, j] and state[PENDING, j] != KEPT:
            longs += max(w, 0.0)
            shorts += max(-w, 0.0)
        elif state[PENDING, j] != KEPT:
            stuck += abs(state[HELD, j])
            stuck_net += state[HELD, j]
    long, short, most = longs, shorts, abs(numbers[WANTED_NET])
    for step in range(2):
        net = stuck_net + long - short
        if net > most + _SAME:
            long = max(0.0, long - (net - most))
        elif net < -most - _SAME:
            short = max(0.0, short - (-most - net))
        over = long + short - max(0.0, numbers[WANTED_GROSS] - stuck)
        if step == 0 and over > _SAME:
            half = min(over / 2.0, min(long, short))
            long, short, over = long - half, short - half, over - 2.0 * half
            if long >= short:
                long = max(0.0, long - over)
            else:
                short = max(0.0, short - over)
    up = long / longs if long < longs else 1.0
    down = short / shorts if short < shorts else 1.0
    for j in range(cols):
        w = state[WANT, j]
        state[TARGET, j] = w * (up if w > 0.0 else down)


@njit(**INNER)
def _decide(t: int, wanted: Floats, prices: Floats, is_due: bool, state: Floats, numbers: Floats) -> int:
    if is_due or numbers[OVERDUE] > 0.0:
        if _take(t, wanted, prices, state, numbers):
            _scale(t, prices, state, numbers)
            numbers[OVERDUE] = 0.0
            return ALL
        numbers[UNDECIDED] += numbers[BEGUN]
        numbers[OVERDUE] = 1.0
    pending, undone = 0, 0
    for j in range(prices.shape[1]):
        if (state[PENDING, j] == UNDONE or state[PENDING, j] == SCALED) and prices[t, j] == prices[t, j]:
            pending += 1
            undone += state[PENDING, j] == UNDONE
    if undone > 0 or (pending > 0 and numbers[FREED] > 0.0):
        _scale(t, prices, state, numbers)
        return PART
    return NOTHING


@njit(**INNER)
def _trade(t: int, todo: int, prices: Floats, state: Floats, held: Floats, trades: Floats, figures: Floats) -> None:
    turnover = 0.0
    for j in range(prices.shape[1]):
        due = todo == ALL or (todo == PART and (state[PENDING, j] == UNDONE or state[PENDING, j] == SCALED))
        if due and prices[t, j] == prices[t, j]:
            change = state[TARGET, j] - state[HELD, j]
            trades[t, j] = change
            turnover += abs(change)
            state[HELD, j] = state[TARGET, j]
            state[PENDING, j] = SCALED if state[TARGET, j] != state[WANT, j] else 0.0
        elif due:  # still without a price
            state[PENDING, j] = UNDONE if state[PENDING, j] == SCALED else state[PENDING, j]
        held[t, j] = state[HELD, j]
    figures[TURNOVER, t] = turnover


@njit(**OPTIONS)
def _kept(
    wanted: Floats,
    prices: Floats,
    raw: Floats,
    due: Flags,
    drift: bool,
    ended_after: int,
    delisting: float,
    ends: NDArray[np.int64],
    end_levels: Floats,
    into: NDArray[np.int64],
    state: Floats,
    numbers: Floats,
    events: Floats,
    moves: Floats,
    held: Floats,
    trades: Floats,
    figures: Floats,
) -> None:
    for t in range(len(wanted)):
        _advance(
            t,
            prices,
            raw,
            drift,
            ended_after,
            delisting,
            ends,
            end_levels,
            into,
            state,
            numbers,
            events,
            moves,
            figures,
        )
        todo = _decide(t, wanted, prices, due[t], state, numbers)
        _trade(t, todo, prices, state, held, trades, figures)


@njit(**OPTIONS)
def _opened(
    t: int,
    wanted: Floats,
    prices: Floats,
    raw: Floats,
    is_due: bool,
    drift: bool,
    ended_after: int,
    delisting: float,
    ends: NDArray[np.int64],
    end_levels: Floats,
    into: NDArray[np.int64],
    state: Floats,
    numbers: Floats,
    events: Floats,
    moves: Floats,
    figures: Floats,
) -> int:
    _advance(
        t, prices, raw, drift, ended_after, delisting, ends, end_levels, into, state, numbers, events, moves, figures
    )
    return _decide(t, wanted, prices, is_due, state, numbers)


@njit(**OPTIONS)
def _closed(t: int, todo: int, prices: Floats, state: Floats, held: Floats, trades: Floats, figures: Floats) -> None:
    _trade(t, todo, prices, state, held, trades, figures)
