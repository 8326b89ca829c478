"""Jumps: accepted by the next row or not at all, the same by any way in, in parts as at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data import convert
from sigc.data.anomalies import Jump, JumpLimits, accept, limits_of, named, told
from sigc.data.catalog import load, read
from sigc.data.sources.frame_source import grow, hold
from sigc.ops.loops.jumps import looked_at
from sigc.panel import Floats, Panel
from sigc.source_words import Frequency
from tests.data.ways import NYSE, WAYS, spec_of

NAN = float("nan")
LIMITS = JumpLimits(0.5, 0.5)


@dataclass
class Slow:
    """A column, value by value, straight from the rule."""

    limits: JumpLimits
    accepted: float = NAN
    candidate: float = NAN
    is_held: bool = False
    clean: list[float] = field(default_factory=list)
    jumps: list[tuple[int, float, bool]] = field(default_factory=list)

    def is_near(self, value: float, other: float) -> bool:
        return -self.limits.down <= value / other - 1.0 <= self.limits.up

    def see(self, value: float) -> None:
        is_first = self.accepted != self.accepted
        if not value > 0.0:
            self.clean.append(value)
        elif (
            is_first or self.is_near(value, self.accepted) or (not self.is_held and self.is_near(value, self.candidate))
        ):
            self.accepted, self.candidate, self.is_held = value, NAN, False
            self.clean.append(value)
        else:
            ratio = value / self.accepted
            self.is_held |= any(min(abs(ratio * n - 1), abs(ratio / n - 1)) <= 0.02 for n in (2, 3, 4, 5, 7, 10, 20))
            self.candidate = value
            self.jumps.append((len(self.clean), ratio - 1.0, self.is_held))
            self.clean.append(NAN)


def prices(seed: int, rows: int = 40, cols: int = 4) -> Floats:
    random = np.random.default_rng(seed)
    values = 50.0 * np.exp(random.normal(0, 0.1, (rows, cols)).cumsum(axis=0)).round(2)
    values[random.random(values.shape) < 0.06] *= 3.0
    values[random.random(values.shape) < 0.03] = 0.0
    values[random.integers(5, 40) :, 0] *= 4.0  # a new level
    return np.where(random.random(values.shape) < 0.1, NAN, values)


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from([LIMITS, JumpLimits(3.0, 0.6), JumpLimits(0.2, 0.1), JumpLimits(0.5, 1.5)]),
    st.sampled_from([1.0, 0.02]),
)
def test_accepted_by_the_rule_in_parts_as_at_once(
    seed: int, first: int, second: int, limits: JumpLimits, unit: float
) -> None:
    values = prices(seed) * unit
    whole, jumps, after = accept(values, limits)
    slow = [Slow(limits) for _ in values.T]
    for one, column in zip(slow, values.T.tolist(), strict=True):
        for value in column:
            one.see(value)
    assert np.array_equal(whole, np.array([one.clean for one in slow]).T, equal_nan=True)
    expected = [(j.row, at, j) for at, one in enumerate(slow) for j in (Jump(r, at, c, h) for r, c, h in one.jumps)]
    assert jumps == tuple(jump for _, _, jump in sorted(expected, key=lambda e: e[:2]))
    assert np.array_equal(after.accepted, [one.accepted for one in slow], equal_nan=True)
    assert np.array_equal(after.candidate, [one.candidate for one in slow], equal_nan=True)
    assert after.held.tolist() == [one.is_held for one in slow]
    assert (whole is values) == (not jumps)
    for is_known in (False, True):  # which columns may have a jump, as the kernel of returns finds
        state, parts = None, []
        for part in np.split(values, sorted((first, second))):
            columns = [int(c) for c in looked_at(part, limits.up, limits.down)[1]] if is_known else None
            clean, _, state = accept(part, limits, state, columns)
            parts.append(clean)
        assert np.array_equal(np.vstack(parts), whole, equal_nan=True)
        assert state is not None
        assert np.array_equal(state.candidate, after.candidate, equal_nan=True)


def test_a_move_of_just_the_limit_is_no_jump() -> None:
    both = np.array([[100.0, 100.0, 100.0], [150.0, 50.0, 150.1], [75.0, 75.0, 150.2]])
    clean, jumps, state = accept(both, LIMITS)
    assert np.isnan(clean).tolist() == [[False] * 3, [False, False, True], [False] * 3]
    assert state.accepted.tolist() == [75.0, 75.0, 150.2]
    assert accept(np.array([[10.0], [11.0], [NAN], [0.0]]), LIMITS)[2].accepted.tolist() == [11.0]
    later = np.array([[0.0, 0.0, 150.0], [900.0, 90.0, 0.0]])  # a jump over a price that is none
    assert np.isnan(accept(later, LIMITS, state, [])[0]).tolist() == [[False] * 3, [True, False, False]]
    assert [(j.row, j.column, round(j.change, 3), j.is_held) for j in jumps] == [(1, 2, 0.501, False)]


@pytest.mark.parametrize(("edge", "last"), [(150.0, 151.0), (50.0, 51.0)])
def test_back_at_just_the_limit_of_the_last_accepted_price_is_accepted(edge: float, last: float) -> None:
    clean, jumps, state = accept(np.array([[100.0], [300.0], [edge], [last]]), LIMITS)
    assert np.isnan(clean[:, 0]).tolist() == [False, True, False, False]
    assert ([j.row for j in jumps], state.accepted.tolist()) == ([1], [last])


def test_a_jump_between_prices_below_one_is_seen_by_a_look_at_later_rows() -> None:
    state = accept(np.array([[0.2, 0.2]]), LIMITS)[2]
    clean, jumps, after = accept(np.array([[0.5, 0.21]]), LIMITS, state, [])
    assert np.isnan(clean).tolist() == [[True, False]]
    assert [(j.column, round(j.change, 9)) for j in jumps] == [(0, 1.5)]
    assert (after.accepted.tolist(), after.candidate[0]) == ([0.2, 0.21], 0.5)


def test_a_column_without_a_price_has_no_jump() -> None:
    clean, jumps, state = accept(np.array([[NAN, 1.0]]), LIMITS, None, [0])
    assert (jumps, np.isnan(clean).tolist()) == ((), [[True, False]])
    assert np.isnan(state.accepted).tolist() == [True, False]
    assert state.held.tolist() == [False, False]


def test_a_jump_over_one_is_seen() -> None:
    """From a half to two: the product of both is one."""
    clean, jumps, _ = accept(np.array([[0.5], [2.0], [0.5]]), LIMITS)
    assert np.isnan(clean[:, 0]).tolist() == [False, True, False]
    assert [j.change for j in jumps] == [3.0]
    clean, jumps, _ = accept(np.array([[100.0], [30.0], [31.0]]), JumpLimits(3.0, 0.6))  # it may rise far, not fall so
    assert np.isnan(clean[:, 0]).tolist() == [False, True, False]
    assert [round(j.change, 9) for j in jumps] == [-0.7]


def test_what_is_told_of_jumps() -> None:
    dates = np.arange("2024-01-02", "2024-01-09", dtype="datetime64[D]").astype("datetime64[ns]")
    found = named([Jump(row, row % 2, 0.6 + row, is_held=False) for row in range(7)], ("A", "B"), dates)
    assert told("p", (), LIMITS) == ()
    (one,), (six,), (five,) = (
        told("p", found[:1], JumpLimits(0.5, 0.4)),
        told("p", found[:6], LIMITS),
        told("p", found[1:6], LIMITS),
    )
    assert one.message == "source 'p': 1 price jumps by more than +50% or -40%: A 2024-01-02 (+60.0%)"
    names = "A 2024-01-02 (+60.0%), B 2024-01-03 (+160.0%), A 2024-01-04 (+260.0%), B 2024-01-05 (+360.0%), A 2024-01-06 (+460.0%)"
    assert six.message == f"source 'p': 6 prices jump by more than 50%: {names} and 1 more"
    assert "more" not in five.message.partition("50%")[2]


def test_rows_of_a_week_may_move_more() -> None:
    day, week = (limits_of(None, 0.5, Frequency(word)) for word in ("sessions", "weeks"))
    assert day == LIMITS
    assert (week.up, week.down) == pytest.approx((1.5**5**0.5 - 1, 1 - 0.5**5**0.5))
    month = limits_of(None, 0.2, Frequency("months"))
    assert (month.up, month.down) == pytest.approx((1.2**21**0.5 - 1, 1 - 0.8**21**0.5))
    assert limits_of(None, 1.0, Frequency("weeks")).down == 1.0
    assert limits_of(None, 1.5, Frequency("weeks")).down == 1.5
    assert limits_of(0.2, 0.5, Frequency("weeks")) == JumpLimits(0.2, 0.2)


def _table(rows: int = 12) -> dict[str, list[Any]]:
    dates = [str(d.date()) for d in pd.bdate_range("2024-01-02", periods=rows)]
    jump = [100.0, 101.0, 900.0, 99.0, 100.0, 260.0, 261.0, 262.0, 260.0, 259.0, 22.0, 260.0]
    return {"date": dates, "A": jump[:rows], "B": [10.0 + i / 10 for i in range(rows)]}


@pytest.mark.parametrize("way", WAYS)
def test_masked_alike_by_every_way_in(way: Any, tmp_path: Path) -> None:
    source, panel = way(tmp_path, _table(), mask_anomalies=True)
    assert np.flatnonzero(np.isnan(panel.values[:, 0])).tolist() == [2, 5, 10]
    assert not np.isnan(panel.values[:, 1]).any()
    (found,) = [f for f in source.findings if f.code == "W006"]
    assert "A 2024-01-04 (+791.1%)" in found.message
    _, plain = way(tmp_path, _table())
    assert not np.isnan(plain.values).any()


def _of(panel: Panel) -> tuple[Any, ...]:
    return panel.names, panel.dates.tobytes(), panel.values.tobytes()


@pytest.mark.parametrize("cut", [3, 5, 10])
def test_a_folder_a_stream_and_later_rows_mask_as_the_whole(
    cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame(_table()).assign(date=lambda f: pd.to_datetime(f["date"])).set_index("date")
    spec, store = spec_of("nowhere.csv", mask_anomalies=True), MemoryStore()
    whole = hold(spec, frame, DataSettings(), NYSE)
    grown = grow(spec, hold(spec, frame[:cut], DataSettings(), NYSE), frame[cut:], DataSettings(), NYSE)
    found = [
        load([spec], store, DataSettings(), held={"prices": h}, exchanges=NYSE).sources["prices"]
        for h in (whole, grown)
    ]
    expected = _of(read(found[0], store, 0, 12))
    assert _of(read(found[1], store, 0, 12)) == expected
    folder = tmp_path / "prices"
    folder.mkdir()
    frame[:cut].reset_index().to_parquet(folder / "1.parquet")
    frame[cut:].reset_index().to_parquet(folder / "2.parquet")
    assert _of(_read(tmp_path, "prices")) == expected
    monkeypatch.setattr(convert, "_STREAM_CELLS", 1)
    frame.reset_index().to_parquet(tmp_path / "one.parquet", row_group_size=cut)
    assert _of(_read(tmp_path, "one.parquet")) == expected


def _read(base: Path, file: str) -> Panel:
    store = MemoryStore()
    spec = spec_of(file, mask_anomalies=True, base=str(base), format="parquet")
    source = load([spec], store, DataSettings(), exchanges=NYSE).sources["prices"]
    return read(source, store, 0, len(source.dates))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 10, 20])
@pytest.mark.parametrize("is_reverse", [False, True])
@pytest.mark.parametrize("off", [-0.021, -0.019, 0.0, 0.019, 0.021])
def test_a_jump_as_of_a_split_is_held(n: int, is_reverse: bool, off: float) -> None:
    ratio = (n if is_reverse else 1 / n) * (1 + off)
    level = 100.0 * ratio
    column = np.array([[100.0], [level], [level * 1.001], [level * 0.999]])
    clean, jumps, state = accept(column, JumpLimits(0.4, 0.4), None)
    is_held = abs(off) < 0.02
    assert np.isnan(clean[:, 0]).tolist() == [False, True, is_held, is_held]
    assert [j.is_held for j in jumps] == ([True] * 3 if is_held else [False])
    assert bool(state.held[0]) is is_held
    # It stays held however it drifts, goes on from the first value that is back, or from one that a person accepts.
    later = level * np.array([0.9, 0.82, 0.75])[:, None]
    assert np.isnan(accept(later, JumpLimits(0.4, 0.4), state)[0]).all() == is_held
    back = accept(np.array([[99.0], [98.0]]), JumpLimits(0.4, 0.4), state)
    if is_held:
        assert (back[0][:, 0].tolist(), bool(back[2].held[0])) == ([99.0, 98.0], False)
    hand = accept(later, JumpLimits(0.4, 0.4), state, by_hand={(1, 0)})[0]
    assert np.isnan(hand[:, 0]).tolist() == [is_held, False, False]


@pytest.mark.parametrize("rows", [40, 300, 700])
def test_a_look_at_the_end_accepts_what_a_look_at_all_does(rows: int, tmp_path: Path) -> None:
    """A price that has looked like a split for months is held still, in a live run as in the backtest."""
    from sigc_pipelines.compute import load as load_strategy
    from sigc_pipelines.prices.quotes import accepted
    from tests.world import WEEKDAYS, workspace, write_strategy, write_wide

    random = np.random.default_rng(rows)
    values = np.round(50 * np.exp(random.normal(0, 0.01, (rows, 4)).cumsum(axis=0)), 2)
    values[20:, 0] /= 4.0
    values[30:, 1] *= 2.5
    values[rows - 5 :, 2] /= 10.0
    dates = pd.bdate_range("2014-01-02", periods=rows).to_numpy("datetime64[ns]")
    write_wide(tmp_path / "prices.parquet", dates, values, tuple("ABCD"))
    made = write_strategy(
        tmp_path, 'data:\n  prices: load parquet from "prices.parquet"\nsignal s:\n  emit prices\n', "s"
    )
    space = workspace(MemoryStore(), exchanges=WEEKDAYS)
    loaded = load_strategy(made, space)
    whole = accepted(loaded, space, "prices", 0, rows).prices
    assert np.isnan(whole[20:, 0]).all()
    for start in (rows - 1, rows - 3, max(1, rows - 70), 19, 20, 21):
        part = accepted(loaded, space, "prices", start, rows).prices
        assert np.array_equal(part, whole[start:], equal_nan=True), start
    day = str(dates[25].astype("datetime64[D]"))
    trusting = replace(space, by_hand=frozenset({("A", day)}))
    whole = accepted(loaded, trusting, "prices", 0, rows).prices
    assert np.isnan(whole[:, 0]).tolist() == [20 <= row < 25 for row in range(rows)]
    assert np.array_equal(accepted(loaded, trusting, "prices", rows - 1, rows).prices, whole[-1:], equal_nan=True)
