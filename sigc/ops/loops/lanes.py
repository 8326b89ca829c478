"""Sums over a row in lanes: value i goes to lane i % LANES, then lanes are halved, which fixes one order for vectors.

The lanes stay in registers while a row is summed: in memory, where a compiler keeps those of a loop, each addition
would wait for the store of the one before.
"""

from __future__ import annotations

from numba import njit

from sigc.ops.jit import INNER
from sigc.ops.loops.places import at
from sigc.ops.loops.vectors import WIDTH, Floats, each, load, put, size, where

LANES = 2 * WIDTH
_HALF = 8 * WIDTH


@njit(**INNER)
def _keep(lanes: int, even: Floats, odd: Floats) -> None:
    put(lanes, even)
    put(lanes + _HALF, odd)


@njit(**INNER)
def _halved(lanes: int) -> float:
    """Return the sum of all lanes, adding one half to the other until one is left; the lanes are overwritten."""
    wide = LANES // 2
    while wide > 0:
        room = at(lanes, 2 * wide)
        for k in range(wide):
            room[k] += room[k + wide]
        wide //= 2
    return at(lanes, wide + 1)[0]


@njit(**INNER)
def lane_sum(values: int, n: int, lanes: int) -> float:
    """Return the sum of n values. Rows and lanes are given by address, so that one compiled loop serves all arrays."""
    even = odd = each(0.0)
    for i in range(0, 8 * (n - n % LANES), 8 * LANES):
        even = even + load(values + i)
        odd = odd + load(values + i + _HALF)
    _keep(lanes, even, odd)
    left = n % LANES
    room, rest = at(lanes, left), at(values + 8 * (n - left), left)
    for k in range(left):
        room[k] += rest[k]
    return _halved(lanes)


@njit(**INNER)
def lane_size(values: int, n: int, lanes: int) -> float:
    """Return the sum of the absolute values of n values."""
    even = odd = each(0.0)
    for i in range(0, 8 * (n - n % LANES), 8 * LANES):
        even = even + size(load(values + i))
        odd = odd + size(load(values + i + _HALF))
    _keep(lanes, even, odd)
    left = n % LANES
    room, rest = at(lanes, left), at(values + 8 * (n - left), left)
    for k in range(left):
        room[k] += abs(rest[k])
    return _halved(lanes)


@njit(**INNER)
def lane_book(held: int, before: int, returns: int, n: int, lanes: int) -> tuple[float, float, float, float]:
    """Return sums over a row of n weights: earned by the row before, absolute changes, absolute weights, weights.

    A missing product counts as 0. lanes: space for each sum, one after the other.
    """
    earned = turnover = gross = net = earned_odd = turnover_odd = gross_odd = net_odd = each(0.0)
    for i in range(0, 8 * (n - n % LANES), 8 * LANES):
        w, u = load(held + i), load(before + i)
        v = u * load(returns + i)
        earned, turnover = earned + where(v == v, v, 0.0), turnover + size(w - u)
        gross, net = gross + size(w), net + w
        w, u = load(held + i + _HALF), load(before + i + _HALF)
        v = u * load(returns + i + _HALF)
        earned_odd, turnover_odd = earned_odd + where(v == v, v, 0.0), turnover_odd + size(w - u)
        gross_odd, net_odd = gross_odd + size(w), net_odd + w
    _keep(lanes, earned, earned_odd)
    _keep(lanes + 8 * LANES, turnover, turnover_odd)
    _keep(lanes + 16 * LANES, gross, gross_odd)
    _keep(lanes + 24 * LANES, net, net_odd)
    left = n % LANES
    whole, sums = 8 * (n - left), at(lanes, 3 * LANES + left)
    now, then, back = at(held + whole, left), at(before + whole, left), at(returns + whole, left)
    for k in range(left):
        w, u = now[k], then[k]
        v = u * back[k]
        sums[k] += v if v == v else 0.0
        sums[LANES + k] += abs(w - u)
        sums[2 * LANES + k] += abs(w)
        sums[3 * LANES + k] += w
    return _halved(lanes), _halved(lanes + 8 * LANES), _halved(lanes + 16 * LANES), _halved(lanes + 24 * LANES)
