"""Every operator against an independent reference in plain pandas, on awkward data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sigc.ops.declare import Operator
from sigc.ops.table import operators, resolve
from tests.ops.samples import panel, run

Frame = pd.DataFrame
Floats = NDArray[np.float64]
N = 5


def _rolling(apply: Callable[[Any], Any]) -> Callable[..., Frame]:
    return lambda x: apply(x.rolling(N))


def _raw(x: Frame, of: Callable[[Floats], float], window: int = N) -> Frame:
    return x.rolling(window).apply(lambda w: of(w) if not np.isnan(w).any() else np.nan, raw=True)


def _pairs(x: Frame, y: Frame, of: Callable[[Floats, Floats], float]) -> Frame:
    out = np.full(x.shape, np.nan)
    for t in range(N - 1, len(x)):
        for j in range(x.shape[1]):
            a, b = x.to_numpy()[t - N + 1 : t + 1, j], y.to_numpy()[t - N + 1 : t + 1, j]
            if not (np.isnan(a).any() or np.isnan(b).any()):
                out[t, j] = of(a, b)
    return Frame(out)


def _cov(a: Floats, b: Floats) -> float:
    return float(((a - a.mean()) * (b - b.mean())).sum() / (N - 1))


def _corr(a: Floats, b: Floats) -> float:
    if a.max() == a.min() or b.max() == b.min():
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def _beta(a: Floats, b: Floats) -> float:
    return np.nan if b.max() == b.min() else _cov(a, b) / _cov(b, b)


def _line(w: Floats) -> Floats:
    """Slope and intercept of the line through distances from the first value: equal values have none."""
    return np.polyfit(np.arange(N), w - w[0], 1)


def _rsquare(w: Floats) -> float:
    return np.nan if w.max() == w.min() else float(np.corrcoef(np.arange(N), w)[0, 1] ** 2)


def _skew(w: Floats) -> float:
    if w.max() == w.min():
        return 0.0
    d = (w - w.mean()) / np.abs(w - w.mean()).max()
    n = len(w)
    return float(np.sqrt(n * (n - 1)) / (n - 2) * (d**3).mean() / (d**2).mean() ** 1.5)


def _kurt(w: Floats) -> float:
    if w.max() == w.min():
        return 0.0
    d = (w - w.mean()) / np.abs(w - w.mean()).max()
    n = len(w)
    return float((n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (d**4).mean() / (d**2).mean() ** 2 - 3 * (n - 1)))


def _zscore(w: Floats) -> float:
    return 0.0 if w.max() == w.min() else float((w[-1] - w.mean()) / w.std(ddof=1))


def _by_row(x: Frame, of: Callable[[pd.Series], Any]) -> Frame:
    """A function of the valid cells of each row, put back where they were."""
    rows = [of(row.dropna()) for _, row in x.iterrows()]
    return pd.concat([pd.Series(r, dtype=float).reindex(x.columns) for r in rows], axis=1).T.set_axis(x.index)


def _spread(x: Frame, of: Callable[[pd.Series], Any]) -> Frame:
    return _by_row(x, lambda r: pd.Series(of(r), index=r.index))


def _cs_zscore(r: pd.Series) -> pd.Series:
    return r * 0.0 if len(r) < 2 or r.max() == r.min() else (r - r.mean()) / r.std()


def _cs_rank(r: pd.Series) -> pd.Series:
    return r * 0.0 + 0.5 if len(r) == 1 else (r.rank() - 1) / (len(r) - 1)


def _groups(x: Frame, by: Frame, of: Callable[[pd.Series], Any]) -> Frame:
    out = Frame(np.nan, index=x.index, columns=x.columns)
    for t in x.index:
        row = x.loc[t].dropna()
        label = by.loc[t, row.index].dropna()
        for g in sorted(set(label)):
            members = row[label[label == g].index]
            out.loc[t, members.index] = of(members)
    return out


def _long_short(x: Frame, top: float = 0.2, bottom: float = 0.2) -> Frame:
    out = Frame(0.0, index=x.index, columns=x.columns)
    for t in x.index:
        row = sorted((v, j) for j, v in enumerate(x.loc[t]) if not np.isnan(v))
        if len(row) < 2:
            out.loc[t] = 0.0 if row else np.nan
            continue
        k = int(np.ceil(len(row) * top - 1e-9))
        m = min(int(np.ceil(len(row) * bottom - 1e-9)), len(row) - k)
        for _, j in row[len(row) - k :]:
            out.iat[t, j] = 1 / k
        for _, j in row[:m]:
            out.iat[t, j] = -1 / m
    return out


def _column(x: Frame, of: Callable[[list[float]], list[float]]) -> Frame:
    return x.apply(lambda c: pd.Series(of(c.tolist()), index=c.index))


def _ema(c: list[float], span: int) -> list[float]:
    out, y, a = [], None, 2 / (span + 1)
    for v in c:
        if v == v:
            y = v if y is None else a * v + (1 - a) * y
        out.append(y if v == v and y is not None else np.nan)
    return out


def _rsi(c: list[float], n: int = N) -> list[float]:
    out, ups, downs, mean_up, mean_down = [], [], [], 0.0, 0.0
    before = np.nan
    for v in c:
        change, before = v - before, v
        if change == change:
            ups.append(max(change, 0))
            downs.append(max(-change, 0))
            if len(ups) <= n:
                mean_up, mean_down = float(np.mean(ups)), float(np.mean(downs))
            else:
                mean_up = (mean_up * (n - 1) + ups[-1]) / n
                mean_down = (mean_down * (n - 1) + downs[-1]) / n
        if v != v or len(ups) < n:
            out.append(np.nan)
        else:
            both = mean_up + mean_down
            out.append(50.0 if both == 0 else 100 - 100 / (1 + mean_up / mean_down) if mean_down else 100.0)
    return out


def _atr(high: Frame, low: Frame, close: Frame) -> Frame:
    out = Frame(np.nan, index=high.index, columns=high.columns)
    for j in high.columns:
        ranges: list[float] = []
        mean, before = 0.0, np.nan
        for t in high.index:
            h, lo, c = high.loc[t, j], low.loc[t, j], close.loc[t, j]
            span = h - lo if before != before else max(h - lo, abs(h - before), abs(lo - before))
            before = c
            if h != h or lo != lo or c != c:
                continue
            ranges.append(span)
            mean = float(np.mean(ranges)) if len(ranges) <= N else (mean * (N - 1) + span) / N
            if len(ranges) >= N:
                out.loc[t, j] = mean
    return out


def _scale_vol(w: Frame, prices: Frame) -> Frame:
    product = w.shift(1) * (prices / prices.shift(1) - 1)
    earned = product.sum(axis=1, min_count=1)
    volatility = earned.rolling(N).std() * np.sqrt(252)
    factor = (0.1 / volatility).clip(upper=1.0).where(volatility.notna())
    return w.mul(factor, axis=0)


def _div(a: Frame, b: Frame) -> Frame:
    return (a / b).where(b != 0)


def _flag(x: Frame) -> Frame:
    return x.astype(float)


X, Y, Z = Frame, Frame, Frame
REFERENCES: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _div,
    "mod": lambda a, b: (a - (a / b).apply(np.floor) * b).where(b != 0),
    "pow": lambda x, n: (x * x).where(n.notna()),
    "neg": lambda x: -x,
    "abs": lambda x: x.abs(),
    "sign": lambda x: x.apply(np.sign),
    "floor": lambda x: x.map(lambda v: v if v != v else float(np.floor(v))),
    "ceil": lambda x: x.map(lambda v: v if v != v else float(np.ceil(v))),
    "exp": lambda x: x.map(lambda v: np.nan if v != v else float(np.exp(np.float64(v)))),
    "log": lambda x: x.map(lambda v: float(np.log(v)) if v > 0 else np.nan),
    "log10": lambda x: x.map(lambda v: float(np.log10(v)) if v > 0 else np.nan),
    "sqrt": lambda x: x.map(lambda v: float(np.sqrt(v)) if v >= 0 else np.nan),
    "round": lambda x: x.map(lambda v: v if v != v else float(round(v))),
    "min": lambda a, b: a.where(a < b, b).where(a.notna() & b.notna()),
    "max": lambda a, b: a.where(a > b, b).where(a.notna() & b.notna()),
    "clip": lambda x, lo, hi: _bounded(x, lo, hi),
    "gt": lambda a, b: _flag(a > b),
    "lt": lambda a, b: _flag(a < b),
    "ge": lambda a, b: _flag(a >= b),
    "le": lambda a, b: _flag(a <= b),
    "eq": lambda a, b: _flag(a == b),
    "ne": lambda a, b: _flag((a != b) & a.notna() & b.notna()),
    "and": lambda a, b: _flag((a.fillna(0) != 0) & (b.fillna(0) != 0)),
    "or": lambda a, b: _flag((a.fillna(0) != 0) | (b.fillna(0) != 0)),
    "not": lambda x: _flag(x.fillna(0) == 0),
    "where": lambda c, a, b: a.where(c.fillna(0) != 0, b),
    "mask": lambda x, c: x.where(c.fillna(0) != 0),
    "is_nan": lambda x: _flag(x.isna()),
    "fill_nan": lambda x, _: x.fillna(0),
    "rescale": lambda x, factor: x * factor.fillna(1),
    "raw": lambda x: x,
    "coalesce": lambda a, b: a.combine_first(b),
    "ffill": lambda x: x.ffill(),
    "cumsum": lambda x: x.cumsum(),
    "cumprod": lambda x: x.cumprod(),
    "cummax": lambda x: x.cummax(),
    "cummin": lambda x: x.cummin(),
    "lag": lambda x: x.shift(1),
    "lead": lambda x: x.shift(-1),
    "ret": lambda x: _div(x, x.shift(1)) - 1,
    "delta": lambda x: x - x.shift(1),
    "rolling_mean": lambda x: _raw(x, np.mean),
    "rolling_sum": lambda x: _raw(x, np.sum),
    "rolling_min": lambda x: _raw(x, np.min),
    "rolling_max": lambda x: _raw(x, np.max),
    "rolling_median": lambda x: _raw(x, np.median),
    "rolling_quantile": lambda x: _raw(x, lambda w: float(np.quantile(w, 0.5))),
    "rolling_std": lambda x: _raw(x, lambda w: float(w.std(ddof=1))),
    "rolling_var": lambda x: _raw(x, lambda w: float(w.var(ddof=1))),
    "rolling_corr": lambda x, y: _pairs(x, y, _corr),
    "rolling_cov": lambda x, y: _pairs(x, y, _cov),
    "rolling_beta": lambda y, x: _pairs(y, x, _beta),
    "ema": lambda x: _column(x, lambda c: _ema(c, N)),
    "ts_slope": lambda x: _raw(x, lambda w: _line(w)[0]),
    "ts_rsquare": lambda x: _raw(x, _rsquare),
    "ts_residual": lambda x: _raw(x, lambda w: float(w[-1] - w.mean()) - _line(w)[0] * (N - 1) / 2),
    "decay_linear": lambda x: _raw(x, lambda w: float(np.average(w, weights=np.arange(1, N + 1)))),
    "ts_argmax": lambda x: _raw(x, lambda w: float(np.argmax(w[::-1]))),
    "ts_argmin": lambda x: _raw(x, lambda w: float(np.argmin(w[::-1]))),
    "ts_rank": lambda x: x.rolling(N).rank(),
    "ts_skew": lambda x: _raw(x, _skew),
    "ts_kurt": lambda x: _raw(x, _kurt),
    "ts_product": lambda x: _raw(x, np.prod),
    "ts_zscore": lambda x: _raw(x, _zscore),
    "rsi": lambda x: _column(x, _rsi),
    "macd": lambda x: _macd(x),
    "atr": _atr,
    "vwap": lambda p, v: ((p * v).cumsum() / v.where((p * v).notna()).cumsum()).replace([np.inf, -np.inf], np.nan),
    "zscore": lambda x: _by_row(x, _cs_zscore),
    "rank": lambda x: _by_row(x, _cs_rank),
    "rank_pct": lambda x: 100 * _by_row(x, _cs_rank),
    "scale": lambda x: _by_row(x, lambda r: r / r.abs().sum() if r.abs().sum() else r * 0.0),
    "demean": lambda x: _by_row(x, lambda r: r - r.mean()),
    "winsor": lambda x: _by_row(x, lambda r: r.clip(float(r.quantile(0.01)), float(r.quantile(0.99)))),
    "neutralize": lambda x, by: _groups(x, by, lambda r: r - r.mean()),
    "group_mean": lambda x, by: _groups(x, by, lambda r: r * 0 + r.mean()),
    "group_count": lambda x, by: _groups(x, by, lambda r: r * 0 + len(r)),
    "group_zscore": lambda x, by: _groups(x, by, _cs_zscore),
    "group_rank": lambda x, by: _groups(x, by, _cs_rank),
    "quantile": lambda x: _spread(x, lambda r: r.quantile(0.5)),
    "bucket": lambda x: _by_row(x, lambda r: np.ceil(r.rank() * 5 / len(r))),
    "median": lambda x: _spread(x, lambda r: r.median()),
    "mad": lambda x: _spread(x, lambda r: (r - r.median()).abs().median()),
    "mean": lambda x: _spread(x, lambda r: r.mean()),
    "std": lambda x: _spread(x, lambda r: r.std()),
    "var": lambda x: _spread(x, lambda r: r.var()),
    "sum": lambda x: _spread(x, lambda r: r.sum()),
    "count": lambda x: _spread(x, len),
    "long_short": _long_short,
    "long_only": lambda x: _long_short(x, bottom=0.0),
    "scale_vol": _scale_vol,
}


def _bounded(x: Frame, lo: Frame, hi: Frame) -> Frame:
    low = x.where(x < hi, hi).where(x.notna() & hi.notna())
    return low.where(low > lo, lo).where(low.notna() & lo.notna())


def _macd(x: Frame) -> Frame:
    line = _column(x, lambda c: _ema(c, 3)) - _column(x, lambda c: _ema(c, 8))
    return line - _column(line, lambda c: _ema(c, 4))


def _constant(seed: int) -> Floats:
    x = np.full((23, 6), 7.3)
    x[10, 2] = np.nan
    return x + 0.0 * seed


def _empty_column(seed: int) -> Floats:
    x = panel(seed, 23, 6)
    x[:, 4] = np.nan
    return x


SHAPES: dict[str, Callable[[int], Floats]] = {
    "gapped": lambda seed: panel(seed, 23, 6),
    "constant": _constant,
    "huge": lambda seed: panel(seed, 23, 6) * 1e12,
    "tiny": lambda seed: panel(seed, 23, 6) * 1e-12,
    "an empty column": _empty_column,
    "one asset": lambda seed: panel(seed, 23, 1),
    "one row": lambda seed: panel(seed, 1, 6),
    "shorter than the window": lambda seed: panel(seed, 4, 6),
}


def test_every_operator_has_a_reference() -> None:
    assert set(REFERENCES) == {op.name for op in operators()}


VALUES = [  # e to the power 1e13 is infinite on both sides
    pytest.param(op, shape, id=f"{shape}-{op.name}")
    for shape in SHAPES
    for op in operators()
    if (op.name, shape) != ("exp", "huge")
]


@pytest.mark.parametrize(("op", "shape"), VALUES)
def test_values(op: Operator, shape: str) -> None:
    made = SHAPES[shape]
    names = [p.name for p in op.inputs]
    if op.name == "coalesce":
        names = ["0", "1"]
    given = {n: made(i) for i, n in enumerate(names)}
    if "by" in given:
        codes = np.random.default_rng(5).integers(0, 3, given["by"].shape).astype(float)
        given["by"] = np.where(np.random.default_rng(6).random(codes.shape) < 0.1, np.nan, codes)
    if op.name == "pow":
        given["n"] = np.full(given["n"].shape, 2.0)
    if op.name == "fill_nan":
        given["value"] = np.zeros(given["value"].shape)
    args: dict[str, Any] = {}
    for param in op.numbers:
        args[param.name] = {"window": N, "span": N, "fast": 3, "slow": 8, "signal": 4, "target": 0.1}.get(
            param.name, param.default
        )
    result, _ = run(op, given, args)
    with np.errstate(all="ignore"):
        expected = REFERENCES[op.name](*(Frame(v) for v in given.values())).to_numpy(dtype=float)
    assert (np.isnan(result) == np.isnan(expected)).all(), "other cells are missing"
    inside = ~np.isnan(expected)
    with np.errstate(all="ignore"):
        gap = np.abs(result - expected)[inside] / _size(op, given, expected)[inside]
    assert (gap <= 1e-9).all(), f"off by {gap.max():.2e}"


def _size(op: Operator, given: dict[str, Floats], expected: Floats) -> Floats:
    """What an error is measured against: the result, or, where terms cancel, the size of what is summed."""
    scale: Floats = np.abs(expected)
    first = np.nanmax(np.abs(next(iter(given.values()))), initial=0.0)
    if op.name in ("macd", "demean", "neutralize", "delta", "sub", "rolling_std", "rolling_mean", "mad", "std", "atr"):
        return np.asarray(np.maximum(scale, first))
    if op.name in ("rolling_var", "rolling_cov", "var"):
        return np.asarray(np.maximum(scale, first**2))
    if op.name in ("zscore", "group_zscore", "ts_zscore", "ts_skew", "ts_kurt", "rolling_corr", "ret", "rsi", "mod"):
        return np.maximum(scale, 1.0)
    return np.maximum(scale, 1e-300)


def test_edges_of_the_table() -> None:
    def cell(name: str, *values: float, **args: float) -> float:
        op = resolve(name)
        assert op is not None
        with np.errstate(all="ignore"):
            return float(op.kernel(*(np.array([[v]]) for v in values), **args)[0, 0])

    assert np.isnan(cell("div", 1.0, 0.0))
    assert np.isnan(cell("mod", 5.0, 0.0))
    assert cell("mod", -5.0, 3.0) == 1.0
    assert np.isnan(cell("pow", np.nan, 0.0))
    assert np.isnan(cell("pow", 0.0, -1.0))
    assert np.isnan(cell("log", 0.0))
    assert np.isnan(cell("sqrt", -1.0))
    assert cell("ne", np.nan, 1.0) == 0.0
    assert cell("clip", 5.0, 3.0, 2.0) == 3.0
    assert cell("where", np.nan, 1.0, 2.0) == 2.0
    assert cell("round", 2.5) == 2.0


def test_any_numbers_serve_as_labels() -> None:
    """Industry codes need not be 0, 1, 2: negative, huge and fractional ones group alike."""
    x = panel(1, 23, 6)
    codes = np.tile([0.0, 1.0, 2.0, 0.0, 1.0, np.nan], (23, 1))
    strange = np.choose(np.nan_to_num(codes).astype(int), [-40.5, 1e15, 20102010.0])
    strange[np.isnan(codes)] = np.nan
    for name in ("neutralize", "group_mean", "group_rank", "group_zscore", "group_count"):
        op = resolve(name)
        assert op is not None
        with np.errstate(all="ignore"):
            assert np.array_equal(op.kernel(x, codes), op.kernel(x, strange), equal_nan=True), name
