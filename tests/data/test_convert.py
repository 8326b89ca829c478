"""Files to stored blocks, called directly: what is cut where, what is read again, what is decided by the first file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigc.actions import Action, ActionKind
from sigc.blocks.block import DIGEST_BYTES, BlockFacts, CarryState, MemoryStore, concat, row_digests
from sigc.config.settings import DataSettings
from sigc.data.convert import Ways, convert, sessions_of, store_panels
from sigc.data.dates.exchange import Exchanges
from sigc.data.manifest import Converted, RowDecisions
from sigc.data.sources.locate import locate
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from sigc.panel import Dates, Panel
from sigc.source_options import source_options
from sigc.source_words import Frequency

NAN = float("nan")
WEEKDAYS = Exchanges("weekdays", is_declared=True)
UNDECLARED = Exchanges()
SPLIT = Action(date(2024, 1, 4), "A", ActionKind.SPLIT, Fraction(2))


class Watched(MemoryStore):
    """A store that says what it was asked: the names of notes asked for and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.kept: list[str] = []

    def noted(self, name: str) -> str | None:
        self.asked.append(name)
        return super().noted(name)

    def note(self, name: str, text: str) -> None:
        self.kept.append(name)
        super().note(name, text)

    def lose(self, key: str) -> None:
        """A block is evicted."""
        del self._facts[key], self._panels[key]


def spec(path: Path, name: str = "x", said: dict[str, Any] | None = None, **more: Any) -> SourceSpec:
    """A source of a file or folder. said: options as a strategy writes them."""
    return SourceSpec(name, path.name, base=str(path.parent), options=source_options(said or {}), **more)


def converted(
    of: SourceSpec,
    store: MemoryStore | None = None,
    acts: Sequence[Action] = (),
    exchanges: Exchanges = WEEKDAYS,
    **how: Any,
) -> Converted:
    ways = Ways(MemoryStore() if store is None else store, DataSettings(), exchanges)
    return convert(of, locate(of, DataSettings()), acts, ways, **how)


def cells(found: Converted, store: MemoryStore) -> list[list[float]]:
    """All values of a source, from its blocks."""
    panels = [store.read(b.key) for b in found.blocks]
    values: list[list[float]] = concat([p for p in panels if p is not None], found.names).values.tolist()
    return values


def unseen(path: Path, was: str, now: str) -> None:
    """Change a file so that nobody can notice: of the same size and time. Who reads it again reads the change."""
    before, text = path.stat(), path.read_text()
    assert was in text
    assert len(was) == len(now)
    path.write_text(text.replace(was, now))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def panel(days: Sequence[str], values: Sequence[Sequence[float]], names: str) -> Panel:
    return Panel(np.array(days, "datetime64[ns]"), tuple(names), np.array(values))


def same(found: Any, expected: Any) -> bool:
    return np.array_equal(np.array(found), np.array(expected), equal_nan=True)


# -- blocks ------------------------------------------------------------------------------------------------------

WIDE = "date,B,A\n2019-12-30,1,\n2019-12-31,2,\n2020-01-01,,10\n2020-01-02,4,20\n"
DAYS = ["2019-12-30", "2019-12-31", "2020-01-01", "2020-01-02"]


def test_a_wide_file_is_cut_on_the_calendar(tmp_path: Path) -> None:
    store = MemoryStore()
    (tmp_path / "p.csv").write_text(WIDE)
    found = converted(spec(tmp_path / "p.csv"), store)
    assert [str(d)[:10] for d in found.dates] == DAYS
    assert (found.names, found.labels, found.category, found.static) == (("A", "B"), (), False, False)
    assert (found.rows, found.events) == (RowDecisions(Frequency("sessions"), "weekdays", "America/New_York"), None)
    assert [(b.start, b.stop) for b in found.blocks] == [(0, 2), (2, 4)]
    facts = [store.facts(b.key) for b in found.blocks]
    assert [(f.name, f.label, f.rows, f.source) for f in facts if f] == [("x", "2019", 2, "source"), ("x", "2020", 2, "source")]  # fmt: skip
    assert all(isinstance(f.rows, int) for f in facts if f)
    first, second = (store.read(b.key) for b in found.blocks)
    assert first is not None
    assert second is not None
    assert (first.names, first.values.tolist()) == (("B",), [[1.0], [2.0]])  # A holds nothing in 2019
    assert second.names == ("A", "B")
    assert same(second.values, [[10.0, NAN], [20.0, 4.0]])
    whole = panel(DAYS, [[NAN, 1.0], [NAN, 2.0], [10.0, NAN], [20.0, 4.0]], "AB")
    assert found.digests == row_digests(whole)
    assert [f.message for f in found.findings] == ["source 'x': 16.7% of the cells between first and last rows are missing"]  # fmt: skip
    assert found.filled == 1.0  # all assets of a wide file have its dates


def test_of_a_long_file_each_asset_has_its_own_dates(tmp_path: Path) -> None:
    """A lacks one of its three rows, so does B: two of six."""
    days = [f"2024-01-0{d}" for d in (2, 3, 4, 5)]
    rows = "".join(f"{day},{asset},1\n" for day, asset in zip(days, "ABAB", strict=True))
    (tmp_path / "p.csv").write_text("date,ticker,x\n" + rows)
    found = converted(spec(tmp_path / "p.csv"))
    assert found.filled == pytest.approx(4 / 6)
    assert not found.static
    (tmp_path / "w.csv").write_text("date,A,B\n2024-01-02,1,\n2024-01-03,,1\n2024-01-04,1,\n2024-01-05,,1\n")
    wide = converted(spec(tmp_path / "w.csv"))
    assert (wide.digests, wide.filled) == (found.digests, 1.0)


def test_labels_and_what_is_constant(tmp_path: Path) -> None:
    store = MemoryStore()
    (tmp_path / "s.csv").write_text("ticker,sector\nB,Tech\nA,Energy\n")
    found = converted(spec(tmp_path / "s.csv", dtype="category"), store)
    assert (found.static, found.category, found.labels, found.rows) == (True, True, ("Energy", "Tech"), RowDecisions())
    assert [(b.start, b.stop) for b in found.blocks] == [(0, 1)]
    facts = store.facts(found.blocks[0].key)
    assert facts is not None
    assert facts.label == "static"
    (tmp_path / "t.csv").write_text("date,A,B\n2019-12-31,x,y\n2020-01-02,z,\n")
    found = converted(spec(tmp_path / "t.csv", dtype="category"), store)
    assert (found.static, found.category, found.labels, len(found.blocks)) == (False, True, ("x", "y", "z"), 2)


YEARS = ["2019-12-31", "2020-01-01", "2020-01-02", "2020-01-03", "2021-01-04", "2021-01-05"]
SIX = panel(YEARS, [[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]], "A")


@pytest.mark.parametrize("cuts", [(1,), (1, 2, 5), (2, 3), (1, 2, 3, 4, 5), (5,)])
def test_panels_of_one_period_are_one_block(cuts: tuple[int, ...], tmp_path: Path) -> None:
    of, ways = spec(tmp_path / "p.csv"), Ways(MemoryStore(), DataSettings())
    whole = store_panels(of, [SIX], ways, static=False)
    assert [(b.start, b.stop) for b in whole.blocks] == [(0, 1), (1, 4), (4, 6)]
    parts = [SIX.rows(a, b) for a, b in zip((0, *cuts), (*cuts, 6), strict=True)]
    found = store_panels(of, iter(parts), ways, static=False, rule="year")
    assert [(b.start, b.stop, b.key) for b in found.blocks] == [(b.start, b.stop, b.key) for b in whole.blocks]
    assert (found.digests, found.dates.tobytes()) == (whole.digests, SIX.dates.tobytes())
    assert (
        store_panels(of, [replace(SIX, values=np.where(SIX.values == 3.0, NAN, SIX.values))], ways, static=False).filled
        == 1.0
    )
    by_month = store_panels(of, [SIX], ways, static=False, rule="month")
    assert [(b.start, b.stop) for b in by_month.blocks] == [(0, 1), (1, 4), (4, 6)]
    facts = [ways.store.facts(b.key) for b in by_month.blocks]
    assert [f.label for f in facts if f] == ["2019", "2020", "2021"]  # stored before, under the same keys


@pytest.mark.parametrize("rows", range(7))
def test_digests_that_are_known_are_not_computed_again(rows: int, tmp_path: Path) -> None:
    of = spec(tmp_path / "p.csv")
    whole = store_panels(of, [SIX], Ways(MemoryStore(), DataSettings()), static=False).digests
    for known in (whole[: DIGEST_BYTES * rows], b"?" * (DIGEST_BYTES * rows)):
        found = store_panels(of, [SIX], Ways(MemoryStore(), DataSettings()), static=False, known=known)
        assert found.digests == known + whole[DIGEST_BYTES * rows :]


def bars(stamps: Dates) -> str:
    return "date,A\n" + "".join(f"{str(s)[:19].replace('T', ' ')}Z,{i}\n" for i, s in enumerate(stamps))


def hours(first: str, count: int, minutes: int = 60) -> Dates:
    return np.datetime64(first, "s") + (60 * minutes * np.arange(count)).astype("timedelta64[s]")


def test_intraday_rows_are_cut_between_sessions(tmp_path: Path) -> None:
    """The evening of 31 January in New York is 1 February in UTC, and belongs to January's session."""
    store, stamps = MemoryStore(), np.concatenate([hours("2024-01-31T15:00", 11), hours("2024-02-01T15:00", 6)])
    (tmp_path / "p.csv").write_text(bars(stamps))
    found = converted(spec(tmp_path / "p.csv", said={"hours": "extended", "calendar": "nyse"}), store)
    assert found.rows.is_intraday
    assert [(b.start, b.stop) for b in found.blocks] == [(0, 11), (11, 17)]
    facts = [store.facts(b.key) for b in found.blocks]
    assert [f.label for f in facts if f] == ["2024-01", "2024-02"]
    days = sessions_of(found.dates, UNDECLARED.of("nyse"))
    assert days.dtype == "datetime64[ns]"
    assert [str(d)[:10] for d in days] == ["2024-01-31"] * 11 + ["2024-02-01"] * 6
    ancient = np.array(["1800-01-06"], "datetime64[ns]")
    assert sessions_of(ancient, UNDECLARED.of("nyse")).tolist() == ancient.tolist()  # before all sessions: its own day


def test_minutes_are_cut_by_weeks(tmp_path: Path) -> None:
    stamps = np.concatenate([hours("2024-01-03T14:30", 4, 5), hours("2024-01-04T14:30", 4, 5)])
    (tmp_path / "p.csv").write_text(bars(stamps))
    store = MemoryStore()
    found = converted(spec(tmp_path / "p.csv"), store)
    assert [(b.start, b.stop) for b in found.blocks] == [(0, 4), (4, 8)]
    facts = [store.facts(b.key) for b in found.blocks]
    assert [f.label for f in facts if f] == ["2023-12-28", "2024-01-04"]


# -- what streams ------------------------------------------------------------------------------------------------


def write_parquet(path: Path, columns: dict[str, Any], group: int = 8) -> None:
    days = np.array(["2019-12-26", "2019-12-27", "2019-12-30", "2019-12-31", "2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"], "datetime64[D]")  # fmt: skip
    pq.write_table(pa.table({"date": days} | columns), path, row_group_size=group)


FOUR: dict[str, Any] = {name: np.arange(8.0) + at for at, name in enumerate("DACB")}


@pytest.mark.parametrize(("memory", "streams"), [(64 * 40, False), (64 * 40 - 1, True), (0, False), (8 << 40, False)])
def test_a_file_takes_an_eighth_of_its_memory_or_streams(memory: int, streams: bool, tmp_path: Path) -> None:
    """40 cells of 8 bytes. What streams needs a scratch file, and here there is no folder for one."""
    write_parquet(tmp_path / "p.parquet", FOUR)
    of = spec(tmp_path / "p.parquet", memory_bytes=memory, scratch=str(tmp_path / "gone"))
    if streams:
        with pytest.raises(SigcError, match="gone"):
            converted(of)
    else:
        assert converted(of).names == tuple("ABCD")


@pytest.mark.parametrize("group", [3, 8])
def test_what_streams_is_told_the_same(group: int, tmp_path: Path) -> None:
    """A stored row index, days of no session, jumps, missing cells; blocks of both years."""
    values: list[float] = [10.0, 11.0, NAN, 12.0, 90.0, 12.0, 13.0, 14.0]
    write_parquet(tmp_path / "p.parquet", FOUR | {"Z": values, "Unnamed: 0": [*range(8)]}, group)
    of, stores = spec(tmp_path / "p.parquet", said={"mask_anomalies": "true"}), (MemoryStore(), MemoryStore())
    exchanges = Exchanges("XTKS", is_declared=True)  # closed until 6 January
    whole = converted(of, stores[0], exchanges=exchanges)
    found = converted(replace(of, memory_bytes=64), stores[1], exchanges=exchanges)
    assert [(b.start, b.stop, b.key) for b in found.blocks] == [(b.start, b.stop, b.key) for b in whole.blocks]
    assert [(b.start, b.stop) for b in found.blocks] == [(0, 4), (4, 8)]
    assert (found.digests, found.rows, found.static) == (whole.digests, whole.rows, False)
    assert found.findings == whole.findings
    told = " ".join(f.message for f in found.findings)
    for part in ("stored row index", "on no session of calendar 'XTKS'", "prices jump", "are missing"):
        assert part in told, part
    masked = np.array(cells(found, stores[1]))[:, found.names.index("Z")]
    assert same(masked, [10.0, 11.0, NAN, 12.0, NAN, 12.0, 13.0, 14.0])


def test_only_wide_numbers_stream(tmp_path: Path) -> None:
    """Labels and long files are read whole, in any memory that holds them."""
    write_parquet(tmp_path / "s.parquet", {n: [f"{n}{i % 2}" for i in range(8)] for n in "AB"})
    labels = spec(tmp_path / "s.parquet", dtype="category")
    whole, found = converted(labels), converted(replace(labels, memory_bytes=64 * 20))
    assert (found.labels, found.digests) == (("A0", "A1", "B0", "B1"), whole.digests)
    write_parquet(tmp_path / "l.parquet", {"ticker": ["A", "B"] * 4, "x": np.arange(8.0)})
    long = spec(tmp_path / "l.parquet")
    whole, found = converted(long), converted(replace(long, memory_bytes=64 * 20))
    assert (found.names, found.digests) == (("A", "B"), whole.digests)
    write_parquet(tmp_path / "p.parquet", FOUR)
    of = spec(tmp_path / "p.parquet", memory_bytes=64)
    with pytest.raises(SigcError, match="declares 40 cells, more than the 39 allowed"):
        convert(of, locate(of, DataSettings()), (), Ways(MemoryStore(), DataSettings(max_cells=39), WEEKDAYS))


# -- what is read again ------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_read_again_only_for_lost_blocks(tmp_path: Path) -> None:
    path, store = tmp_path / "p.csv", Watched()
    path.write_text(WIDE)
    first = converted(spec(path), store)
    unseen(path, "20\n", "99\n")
    for is_thorough in (False, True):  # nothing is lost
        assert converted(spec(path), store, thorough=is_thorough).digests == first.digests
    unseen(path, "99\n", "20\n")
    store.lose(first.blocks[1].key)
    assert converted(spec(path), store).digests == first.digests
    assert store.facts(first.blocks[1].key) is None  # whoever reads it will find that
    assert converted(spec(path), store, thorough=True).digests == first.digests
    assert store.facts(first.blocks[1].key) is not None
    path.write_text(WIDE.replace("20\n", "99\n"))
    os.utime(path, ns=(1, 1))
    assert converted(spec(path), store).digests != first.digests


class Written(MemoryStore):
    """A store beside which a file is written: with each block it gets a row more, so many times."""

    def __init__(self, path: Path, times: int) -> None:
        super().__init__()
        self.path, self.times, self.writes = path, times, 0

    def write(self, facts: BlockFacts, panel: Panel, carry: CarryState | None = None) -> None:
        super().write(facts, panel, carry)
        self.writes += 1
        if self.writes <= self.times:
            with self.path.open("a") as file:
                file.write(f"2024-01-{9 + self.writes:02d},1\n")


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_file_that_is_written_meanwhile_is_read_three_times_at_most(times: int, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("date,A\n2024-01-08,1\n2024-01-09,1\n")
    store = Written(path, times)
    if times == 3:
        with pytest.raises(SigcError, match="changes while it is read"):
            converted(spec(path), store)
        assert store.writes == 3
        return
    found = converted(spec(path), store)
    assert (len(found.dates), store.writes) == (2 + times, 1 + times)
    unseen(path, "09,1", "09,7")
    assert converted(spec(path), store).digests == found.digests  # kept under the version that was read
    assert store.writes == 1 + times


MASKED = {"mask_anomalies": "true", "max_return": 0.4}
JANUARY = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]


def lines(values: Sequence[float], days: Sequence[str] = JANUARY) -> str:
    return "date,A\n" + "".join(f"{d},{v:g}\n" for d, v in zip(days, values, strict=True))


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_is_masked_is_masked_again_for_another_action(is_folder: bool, tmp_path: Path) -> None:
    """100, 100, 50, 50 is a split of 2:1, if one is declared; else two prices that nobody accepts."""
    path, store = tmp_path / "p.csv", MemoryStore()
    if is_folder:
        path = tmp_path / "parts"
        path.mkdir()
        (path / "b.csv").write_text(lines([100, 100], JANUARY[:2]))
        (path / "a.csv").write_text(lines([50, 50], JANUARY[2:]))
    else:
        path.write_text(lines([100, 100, 50, 50]))
    held, split = [[100.0], [100.0], [NAN], [NAN]], [[100.0], [100.0], [50.0], [50.0]]
    for acts, expected in (((), held), ((SPLIT,), split), ((), held)):
        assert same(cells(converted(spec(path, said=MASKED), store, acts), store), expected)
    unseen(path / "a.csv" if is_folder else path, "04,50", "04,51")
    assert same(cells(converted(spec(path, said=MASKED), store), store), held)  # it was not read
    told = [f.message for f in converted(spec(path, said=MASKED), store).findings]
    assert told[0].startswith("source 'x': 2 prices jump")
    assert not [f for f in converted(spec(path, said=MASKED), store, (SPLIT,)).findings if "jump" in f.message]


def test_what_is_not_masked_is_read_once_whatever_the_actions(tmp_path: Path) -> None:
    path, store = tmp_path / "p.csv", MemoryStore()
    path.write_text(lines([100, 100, 50, 50]))
    first = converted(spec(path), store)
    unseen(path, "04,50", "04,51")
    assert converted(spec(path), store, (SPLIT,)).digests == first.digests
