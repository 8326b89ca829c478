"""Quantiles of rows without sorting: the value of a rank is bracketed by counting the values below a pivot.

A row is read as integers in the same order as its values. One vectorised pass over them counts those below the pivot
and finds its two neighbours. The first pivot is the rank's value in the row before, the next as far from it as ranks
lay apart there, the others by linear interpolation between the ends, now and then the middle in bits, so that no data
takes more than some hundred passes. Four to six are usual. The value found is the one of a sort, for any pivots.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS

Floats = NDArray[np.float64]
Keys = NDArray[np.int64]

MOST, LEAST = 2**63 - 1, -(2**63)
_NEAR = 32


@njit(**INNER)
def key_of(v: float) -> np.int64:
    b = np.float64(v).view(np.int64)
    return b ^ ((b >> 63) & MOST)


@njit(**INNER)
def value_of(k: int) -> float:
    return np.int64(k ^ ((k >> 63) & MOST)).view(np.float64)


@njit(**INNER)
def _keys(row: Floats, raw: Keys, keys: Keys) -> tuple[int, int, int]:
    """Fill `keys`, MOST for missing; return the number of valid ones, their smallest and largest."""
    n, low, high = 0, MOST, LEAST
    for j in range(len(row)):
        b, v = raw[j], row[j]
        k = b ^ ((b >> 63) & MOST)
        keys[j] = k if v == v else MOST
        n += v == v
        low = min(low, k if v == v else MOST)
        high = max(high, k if v == v else LEAST)
    return n, low, high


@njit(**INNER)
def _split(keys: Keys, pivot: int) -> tuple[int, int, int]:
    """Return the number of keys below the pivot, the largest of them, and the smallest of the others."""
    count, below, above = 0, LEAST, MOST
    for j in range(len(keys)):
        k = keys[j]
        less = k < pivot
        count += less
        below = max(below, k if less else LEAST)
        above = min(above, MOST if less else k)
    return count, below, above


@njit(**INNER)
def _pivot(low: int, high: int, share: float) -> int:
    """Return the key at `share` of the way by value; the middle of the keys for a share below 0, or if an end is
    infinite.
    """
    a, b = value_of(low), value_of(high)
    v = a + (b - a) * min(share, 1.0)
    return key_of(v) if share >= 0.0 and v == v else (low >> 1) + (high >> 1) + (low & high & 1) + 1


@njit(**INNER)
def pair(keys: Keys, n: int, low: int, high: int, at: int, guess: Keys) -> tuple[int, int]:
    """Return the keys of rank `at` and `at` + 1 < n, from 0.

    guess: the first pivot, and the distance of ranks; updated for the next row.
    """
    under, upto = 0, n  # number of keys below `low`, and up to `high`
    turn = count = 0
    while low < high:
        inside, lacking = upto - under, at + 1 - count
        if turn == 2:
            guess[1] = key_of((value_of(high) - value_of(low)) / inside)
        if turn == 0:
            pivot = guess[0]
        elif turn == 1 and guess[1] > 0:
            aside = 1.0 + 0.6 * abs(lacking)
            pivot = key_of(value_of(guess[0]) + (lacking + (aside if lacking > 0 else -aside)) * value_of(guess[1]))
        else:
            # Aim a little beside the rank, alternately on both sides, to bracket it; among few keys aim at it.
            aside = 0.5 * np.sqrt(inside) + 0.5 if inside > _NEAR else 0.0
            share = max(0.0, (at + 1 - under + (aside if turn & 1 else -aside)) / inside)
            pivot = _pivot(low, high, -1.0 if turn % 6 == 5 else share)
        pivot = min(max(pivot, low + 1), high)
        count, below, above = _split(keys, pivot)
        turn += 1
        if count == at + 1:
            guess[0] = above
            return below, above
        if count <= at:
            low, under = above, count
        else:
            high, upto = below, count
    guess[0] = low
    return low, high


@njit(**INNER)
def _quantile(keys: Keys, n: int, low: int, high: int, q: float, guess: Keys) -> float:
    """Return the quantile by linear interpolation between the neighbours of rank q * (n - 1)."""
    place = q * (n - 1)
    at = np.int64(np.floor(place))
    if at + 1 >= n:
        return value_of(high)
    lower, upper = pair(keys, n, low, high, at, guess)
    a, b = value_of(lower), value_of(upper)
    return a if a == b else a + (b - a) * (place - at)


def quantiles(x: Floats, q: float) -> Floats:
    """Return the q quantile of each row, in its valid cells."""
    out = np.empty(x.shape)
    _quantiles(x, x.view(np.int64), q, out, *room(x.shape[1]))
    return out


def clipped(x: Floats, p: float, q: float) -> Floats:
    """Return each row clipped at its p and q quantiles."""
    out = np.empty(x.shape)
    _clipped(x, x.view(np.int64), p, q, out, *room(x.shape[1]))
    return out


def distances(x: Floats) -> Floats:
    """Return the median distance of each row from its median, in its valid cells."""
    out = np.empty(x.shape)
    _distances(x, x.view(np.int64), out, out.view(np.int64), *room(x.shape[1]))
    return out


def room(cols: int) -> tuple[Keys, Keys]:
    """Return space for the keys of a row, and for the guesses of two quantiles."""
    return np.empty(cols, np.int64), np.zeros((2, 2), np.int64)


@njit(**OPTIONS)
def _quantiles(x: Floats, raw: Keys, q: float, out: Floats, keys: Keys, guess: Keys) -> None:
    rows, cols = x.shape
    for t in range(rows):
        n, low, high = _keys(x[t], raw[t], keys)
        v = _quantile(keys, n, low, high, q, guess[0]) if n else np.nan
        here, made = x[t], out[t]
        for j in range(cols):
            made[j] = v if here[j] == here[j] else np.nan


@njit(**OPTIONS)
def _clipped(x: Floats, raw: Keys, p: float, q: float, out: Floats, keys: Keys, guess: Keys) -> None:
    rows, cols = x.shape
    for t in range(rows):
        n, low, high = _keys(x[t], raw[t], keys)
        here, made = x[t], out[t]
        a = _quantile(keys, n, low, high, p, guess[0]) if n else np.nan
        b = _quantile(keys, n, low, high, q, guess[1]) if n else np.nan
        if a != a or b != b:  # between infinities
            made[:] = np.nan
            continue
        for j in range(cols):
            v = a if here[j] < a else here[j]
            made[j] = b if v > b else v


@njit(**OPTIONS)
def _distances(x: Floats, raw: Keys, out: Floats, raw_out: Keys, keys: Keys, guess: Keys) -> None:
    rows, cols = x.shape
    for t in range(rows):
        n, low, high = _keys(x[t], raw[t], keys)
        here, made = x[t], out[t]
        v = _quantile(keys, n, low, high, 0.5, guess[0]) if n else np.nan
        for j in range(cols):
            made[j] = abs(here[j] - v)
        n, low, high = _keys(made, raw_out[t], keys)
        v = _quantile(keys, n, low, high, 0.5, guess[1]) if n else np.nan
        for j in range(cols):
            made[j] = v if made[j] == made[j] else np.nan
