"""`min_periods` against pandas: a value where at least so many rows of the window are valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sigc.lang.check import check_text
from sigc.ops.table import operators, resolve
from sigc.plan.lower import lower
from tests.ops.samples import panel, same

Frame = pd.DataFrame
Floats = NDArray[np.float64]
Roll = Any  # what pandas makes of x.rolling(...)
WINDOW = 6


def _each(of: Callable[[Floats, Floats], float], *, today: bool = False) -> Callable[[Roll], Frame]:
    """A figure of the valid rows of a window and their ages. today: missing where today is."""

    def figure(w: Floats) -> float:
        there = ~np.isnan(w)
        if today and not there[-1]:
            return np.nan
        return of(w[there], np.arange(len(w))[::-1][there].astype(float))

    return lambda roll: roll.apply(figure, raw=True)


def _zscore(w: Floats, _: Floats) -> float:
    return 0.0 if np.ptp(w) == 0 else float((w[-1] - w.mean()) / w.std(ddof=1))


def _slope(w: Floats, ages: Floats) -> float:
    return float(np.polyfit(-ages, w, 1)[0]) if len(w) > 1 else np.nan


def _rsquare(w: Floats, ages: Floats) -> float:
    return float(np.corrcoef(ages, w)[0, 1] ** 2) if len(w) > 1 and np.ptp(w) > 0 else np.nan


def _residual(w: Floats, ages: Floats) -> float:
    return float(w[-1] - np.polyval(np.polyfit(-ages, w, 1), -ages[-1])) if len(w) > 1 else np.nan


REFERENCES: dict[str, Callable[[Roll], Frame]] = {
    "rolling_sum": lambda r: r.sum(),
    "rolling_mean": lambda r: r.mean(),
    "rolling_min": lambda r: r.min(),
    "rolling_max": lambda r: r.max(),
    "rolling_median": lambda r: r.median(),
    "rolling_quantile": lambda r: r.quantile(0.3),
    "rolling_var": lambda r: r.var(),
    "rolling_std": lambda r: r.std(),
    "ts_skew": lambda r: r.skew(),
    "ts_kurt": lambda r: r.kurt(),
    "ts_rank": lambda r: r.rank(),
    "ts_product": _each(lambda w, _: float(np.prod(w))),
    "decay_linear": _each(lambda w, ages: float(np.average(w, weights=WINDOW - ages))),
    "ts_argmax": _each(lambda w, ages: float(min(ages[w == w.max()]))),
    "ts_argmin": _each(lambda w, ages: float(min(ages[w == w.min()]))),
    "ts_zscore": _each(_zscore, today=True),
    "ts_slope": _each(_slope),
    "ts_rsquare": _each(_rsquare),
    "ts_residual": _each(_residual, today=True),
}
PAIRS = ("rolling_corr", "rolling_cov", "rolling_beta")
NAMES = sorted(op.name for op in operators() if any(p.name == "min_periods" for p in op.params))


def data(seed: int) -> Floats:
    """Many gaps, rows without any, an asset that is never there."""
    x = panel(seed, gaps=0.12)
    x[20:30] = np.round(x[20:30] - 50, 1) / 10
    x[:, -1] = np.nan
    return x


def close(found: Floats, expected: Frame) -> bool:
    return bool(np.allclose(found, expected.to_numpy(dtype=float), rtol=1e-7, atol=1e-6, equal_nan=True))


def kernel(name: str, *given: Floats, **args: Any) -> Floats:
    op = resolve(name)
    assert op is not None
    more = {"q": 0.3} if name == "rolling_quantile" else {}
    with np.errstate(all="ignore"):
        return np.asarray(op.kernel(*given, window=WINDOW, **more, **args))


def test_every_operator_that_takes_it_has_a_reference() -> None:
    assert sorted([*REFERENCES, *PAIRS]) == NAMES


@pytest.mark.parametrize("least", [1, 2, 4, 6])
@pytest.mark.parametrize("name", REFERENCES)
def test_as_pandas(name: str, least: int) -> None:
    x = data(4)
    with np.errstate(all="ignore"):
        expected = REFERENCES[name](Frame(x).rolling(WINDOW, min_periods=least))
    assert close(kernel(name, x, min_periods=least), expected)


@pytest.mark.parametrize("least", [1, 2, 4, 6])
def test_pairs_as_pandas(least: int) -> None:
    """Rows count where both are valid."""
    x, y = Frame(data(4)), Frame(data(5))
    roll = x.rolling(WINDOW, min_periods=least)
    variance = x.where(y.notna()).rolling(WINDOW, min_periods=least).var()
    slope = (roll.cov(y) / variance).where(variance > 1e-9)
    a, b = x.to_numpy(), y.to_numpy()
    assert close(kernel("rolling_cov", a, b, min_periods=least), roll.cov(y))
    assert close(kernel("rolling_corr", a, b, min_periods=least), roll.corr(y).replace([np.inf, -np.inf], np.nan))
    assert close(kernel("rolling_beta", b, a, min_periods=least), slope)


@pytest.mark.parametrize("name", NAMES)
def test_full_windows_keep_their_bits(name: str) -> None:
    """Full windows do not change, and `min_periods=window` is the default."""
    given = [data(4), data(5)][: 2 if name in PAIRS else 1]
    plain = kernel(name, *given)
    assert same(kernel(name, *given, min_periods=WINDOW), plain)
    with_gaps = kernel(name, *given, min_periods=2)
    there = ~np.isnan(plain)
    assert there.any()
    assert with_gaps[there].tobytes() == plain[there].tobytes()
    assert np.isnan(with_gaps).sum() < np.isnan(plain).sum()


def shapes(emit: str) -> list[str]:
    text = f'data:\n  prices: load csv from "p.csv"\nsignal a:\n  emit {emit}\n'
    checked = check_text(text, "t.sig")
    assert checked.ok, checked.diagnostics
    root = dict(lower(checked).signals)["a"]
    return [root.shape, str(root.args)]


def test_it_is_part_of_the_key_where_it_is_given() -> None:
    """And without it keys are those of before it was there."""
    plain, args = shapes("rolling_mean(prices, 20)")
    assert args == "(('window', 20),)"
    given = {shapes(f"rolling_mean(prices, 20, min_periods={n})")[0] for n in (1, 5, 20)}
    assert len(given | {plain}) == 4
    assert shapes("mean(prices, 20, min_periods=5)") == shapes("rolling_mean(prices, 20, min_periods=5)")


@pytest.mark.parametrize(
    ("least", "expected"), [("21", "at most the window, 20"), ("0", "1 or more"), ("1.5", "whole")]
)
def test_it_is_at_most_the_window(least: str, expected: str) -> None:
    text = f'data:\n  prices: load csv from "p.csv"\nsignal a:\n  emit rolling_mean(prices, 20, min_periods={least})\n'
    (found,) = check_text(text, "t.sig").diagnostics
    assert found.code == "E101"
    assert expected in found.expected
