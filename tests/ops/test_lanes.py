"""Sums in lanes, figures of a book and quotients have the bits of their definitions, whatever the width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import frozen
from sigc.ops.loops import books, rows
from sigc.ops.loops.lanes import LANES
from sigc.ops.loops.places import start
from sigc.ops.loops.quotients import divided

Floats = NDArray[np.float64]
SPECIAL = np.array([np.nan, 0.0, -0.0, 1.0, -1.0, 0.1, 1e300, -3.0, 5e-324])
WIDTHS = [1, 2, LANES - 1, LANES, LANES + 1, 2 * LANES, 3 * LANES + 7, 500]


def lane_sum(values: Floats) -> float:
    """By its definition."""
    lanes = np.zeros(LANES)
    for at in range(0, len(values), LANES):
        part = values[at : at + LANES]
        lanes[: len(part)] += part
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return float(lanes[0])


def bits(values: Floats) -> bytes:
    """Of any NaN the same."""
    return np.where(np.isnan(values), np.nan, values).tobytes()


@pytest.mark.parametrize("assets", WIDTHS)
def test_a_share_is_of_the_sum_in_lanes_of_what_is_there(assets: int) -> None:
    random = np.random.default_rng(assets)
    x = random.normal(size=(6, assets))
    x[3:][random.random((3, assets)) < 0.3] = np.nan
    x[5] = np.nan
    sizes = [lane_sum(np.abs(row[~np.isnan(row)])) or 1.0 for row in x]
    assert bits(rows.standing(frozen(x), rows.SHARE)) == bits(x / np.array(sizes)[:, None])


@pytest.mark.parametrize("assets", WIDTHS)
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_figures_of_a_book_by_their_definitions(assets: int, missing: float) -> None:
    """A missing weight counts as 0, a missing return earns 0; from a row of a longer book on."""
    random = np.random.default_rng(assets)
    held, returns = random.normal(size=(2, 7, assets))
    for table in (held, returns):
        table[random.random(table.shape) < missing] = np.nan
    figures = np.full((books.FIGURES, 9), 7.0)
    before = random.normal(size=assets)
    books.followed(held, returns, before, figures, 1)
    now = np.nan_to_num(held)
    then = np.vstack([before, now[:-1]])
    expected = [
        [lane_sum(np.nan_to_num(u * r)) for u, r in zip(then, returns, strict=True)],
        [lane_sum(np.abs(w - u)) for w, u in zip(now, then, strict=True)],
        [lane_sum(np.abs(w)) for w in now],
        [lane_sum(w) for w in now],
        (np.isnan(returns) & (then != 0.0)).sum(axis=1),
        np.isnan(held).sum(axis=1),
    ]
    assert np.ascontiguousarray(figures[:, 1:8]).tobytes() == np.array(expected, dtype=np.float64).tobytes()
    assert (figures[:, [0, 8]] == 7.0).all()


@njit(error_model="numpy")
def quotients(x: Floats, d: float, out: Floats) -> None:
    """A row divided by a number, as loops call it."""
    divided(start(x), len(x), d, start(out))


positive = st.floats(1e-300, 1e300) | st.integers(1, 2**53).map(float) | st.integers(-300, 300).map(lambda n: 2.0**n)


@settings(max_examples=300)
@given(d=positive, seed=st.integers(0, 10_000), spread=st.sampled_from([0, 3, 60, 300]))
@example(d=float(np.nextafter(2.0, 0.0)), seed=0, spread=0)
@example(d=float(np.nextafter(1.0, 2.0)), seed=0, spread=0)
def test_a_row_divided_by_a_number_has_the_bits_of_a_division(d: float, seed: int, spread: int) -> None:
    """Also of numbers whose quotients lie near the middle of two others, and at the ends of the range."""
    random = np.random.default_rng(seed)
    x = np.empty((4, 128))
    x[0] = random.normal(size=128) * 10.0 ** random.integers(-spread, spread + 1, 128)
    x[1] = random.integers(1, 2**53, 128)
    with np.errstate(all="ignore"):
        near = (random.integers(2**52, 2**53, 128) + 0.5) * d  # quotients halfway, as near as products come
        x[2] = np.where(random.random(128) < 0.5, near, np.nextafter(near, 0.0))
        x[3] = random.choice([*SPECIAL, np.inf, -np.inf], 128)
        expected = x / d
    for row, right in zip(x, expected, strict=True):
        out = np.empty(128)
        quotients(row, d, out)
        assert bits(out) == bits(right)
