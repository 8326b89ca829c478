"""Folders and as-of sources to stored blocks, called directly: which files are read again, what the first decides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sigc.blocks.block import MemoryStore
from sigc.blocks.checksummed import seal, unseal
from sigc.config.settings import DataSettings
from sigc.data.convert import Ways, convert
from sigc.data.manifest import RowDecisions
from sigc.data.sources.locate import locate
from sigc.errors import SigcError
from sigc.source_words import Frequency
from tests.data.test_convert import (
    JANUARY,
    MASKED,
    NAN,
    UNDECLARED,
    WEEKDAYS,
    Watched,
    bars,
    cells,
    converted,
    hours,
    lines,
    same,
    spec,
    unseen,
)


def folder_of(path: Path, files: dict[str, str]) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def test_of_a_folder_only_changed_files_are_read(tmp_path: Path) -> None:
    files = {f"{n}.csv": lines([i + 10], [d]) for i, (n, d) in enumerate(zip("abcd", JANUARY, strict=True))}
    for count in (2, 3, 4):
        path = folder_of(tmp_path / str(count), dict([*files.items()][:count]))
        store = Watched()
        first = converted(spec(path), store)
        assert cells(first, store) == [[10.0 + i] for i in range(count)]
        assert len(set(store.kept)) == len(store.kept)  # each is converted once
        assert len([n for n in store.kept if n.startswith("source-")]) == count
        assert len([n for n in store.kept if n.startswith("folder-")]) == (count > 2)
        store.asked.clear()
        assert converted(spec(path), store).digests == first.digests
        assert len(store.asked) == min(count, 3)  # the first, the past as one, the last
        unseen(path / "a.csv", "10", "77")
        with (path / f"{'abcd'[count - 1]}.csv").open("a") as last:
            last.write("2024-01-08,20\n")
        assert cells(converted(spec(path), store), store) == [*([10.0 + i] for i in range(count)), [20.0]]


def test_a_first_file_that_is_written_meanwhile_is_converted_once(tmp_path: Path) -> None:
    """Its version is another one than the place says; it is not looked for under that one again."""
    path, store = folder_of(tmp_path / "p", {"a.csv": lines([1], JANUARY[:1]), "b.csv": lines([2], JANUARY[1:2])}), Watched()  # fmt: skip
    place = locate(spec(path), DataSettings())
    stale = replace(place, versions=("0-0-0", place.versions[1]))
    found = convert(spec(path), stale, (), Ways(store, DataSettings(), WEEKDAYS))
    assert cells(found, store) == [[1.0], [2.0]]
    assert len(set(store.kept)) == len(store.kept) == 2


def test_a_masked_folder_is_one_source(tmp_path: Path) -> None:
    """What was accepted goes from file to file, by date; files may hold a single row."""
    store = MemoryStore()
    path = folder_of(
        tmp_path / "p",
        {
            "c.csv": lines([100], JANUARY[:1]),
            "a.csv": lines([900, 101], JANUARY[1:3]),
            "b.csv": lines([102], JANUARY[3:]),
        },
    )
    found = converted(spec(path, said=MASKED), store)
    assert same(cells(found, store), [[100.0], [NAN], [101.0], [102.0]])
    assert found.findings[0].message == "source 'x': 1 price jumps by more than 40%: A 2024-01-03 (+800.0%)"
    unmasked = converted(spec(path), store)
    assert cells(unmasked, store) == [[100.0], [900.0], [101.0], [102.0]]
    (path / "d.csv").write_text(lines([5], JANUARY[1:2]))
    with pytest.raises(SigcError, match="E201"):
        converted(spec(path, said=MASKED), store)


def test_instruments_of_a_folder_are_cut_by_years(tmp_path: Path) -> None:
    store = MemoryStore()
    days = ["2019-12-30", "2019-12-31", "2020-01-02"]
    path = folder_of(
        tmp_path / "p",
        {
            "BRK.B.csv": "date,close\n" + "".join(f"{d},{i + 1}\n" for i, d in enumerate(days)),
            "A.csv": "date,close\n2020-01-02,7\n",
        },
    )
    of = spec(path, said={"symbol_from": "filename"})
    found = converted(of, store)
    assert (found.names, [(b.start, b.stop) for b in found.blocks]) == (("A", "BRK.B"), [(0, 2), (2, 3)])
    facts = [store.facts(b.key) for b in found.blocks]
    assert [f.label for f in facts if f] == ["2019", "2020"]
    assert same(cells(found, store), [[NAN, 1.0], [NAN, 2.0], [7.0, 3.0]])
    assert found.rows.frequency == Frequency("sessions")
    unseen(path / "A.csv", ",7", ",8")
    assert converted(of, store).digests == found.digests


def test_a_folder_has_the_frequency_of_all_its_rows(tmp_path: Path) -> None:
    days = ["2024-01-31", "2024-02-29", "2024-03-29", "2024-04-30"]
    path = folder_of(tmp_path / "p", {f"{d}.csv": lines([1], [d]) for d in days})
    assert converted(spec(path)).rows.frequency == Frequency("months")
    assert converted(spec(path, said={"frequency": "sessions"})).rows.frequency == Frequency("sessions")
    alone = folder_of(tmp_path / "q", {"a.csv": lines([1], days[:1])})
    assert converted(spec(alone)).rows.frequency == Frequency("sessions")


def test_bars_of_a_folder_are_those_of_its_first_file(tmp_path: Path) -> None:
    """Three hours of each day. Of two days seven an hour apart fit a session; four days would say three."""
    files = {}
    for number in range(2, 6):
        files[f"{number}.csv"] = bars(hours(f"2024-01-0{number}T15:00", 3))
    both = bars(np.concatenate([hours("2024-01-02T15:00", 3), hours("2024-01-03T15:00", 3)]))
    path = folder_of(tmp_path / "p", {"1.csv": both, "4.csv": files["4.csv"], "5.csv": files["5.csv"]})
    found = converted(spec(path), exchanges=UNDECLARED)
    assert found.rows == RowDecisions(Frequency("bars", 7), "nyse", "America/New_York")
    assert len(found.dates) == 12


def test_rows_of_all_hours_are_so_in_every_file(tmp_path: Path) -> None:
    """The first file, of a weekend, is told to be outside of sessions; the next is none of an exchange's any more."""
    weekend, monday = hours("2024-01-06T00:00", 48), np.concatenate([hours("2024-01-08T15:00", 6), hours("2024-01-09T03:00", 1)])  # fmt: skip
    path = folder_of(tmp_path / "p", {"1.csv": bars(weekend), "2.csv": bars(monday)})
    found = converted(spec(path), exchanges=UNDECLARED)
    assert (found.rows.calendar, len(found.dates)) == ("always", 55)
    (told,) = [f.message for f in found.findings if "outside" in f.message]
    assert "most rows are outside" in told


def test_a_calendar_that_nobody_declared_drops_no_rows_of_later_files(tmp_path: Path) -> None:
    evening = np.concatenate([hours("2024-01-04T15:00", 6), hours("2024-01-05T02:00", 1)])
    path = folder_of(tmp_path / "p", {"1.csv": bars(hours("2024-01-03T15:00", 6)), "2.csv": bars(evening)})
    assert len(converted(spec(path), exchanges=UNDECLARED).dates) == 13
    assert len(converted(spec(path, said={"calendar": "nyse"}), exchanges=UNDECLARED).dates) == 12


def test_instruments_and_masked_long_files_have_their_own_dates_too(tmp_path: Path) -> None:
    """As in one long file: each asset lacks one of its three rows."""
    path = folder_of(tmp_path / "p", {"A.csv": lines([1, 1], JANUARY[::2]), "B.csv": lines([1, 1], JANUARY[1::2])})
    found = converted(spec(path, said={"symbol_from": "filename"}))
    assert found.names == ("A", "B")
    assert found.filled == pytest.approx(4 / 6)
    path = folder_of(
        tmp_path / "q",
        {
            "1.csv": "date,A,B\n2024-01-02,1,\n",
            "2.csv": "date,ticker,x\n2024-01-03,B,1\n2024-01-04,A,1\n2024-01-05,B,1\n",
        },
    )
    assert converted(spec(path, said=MASKED)).filled == pytest.approx(4 / 6)
    assert converted(spec(path)).filled == 1.0  # assets of the first file share its dates
    (path / "2.csv").write_text("date,A,B\n2024-01-03,,1\n2024-01-04,1,\n2024-01-05,,1\n")
    assert converted(spec(path, said=MASKED)).filled == 1.0


@pytest.mark.parametrize("cuts", [(), (2,), (1, 2), (1, 2, 3, 4, 5)])
def test_long_files_of_a_folder_are_as_filled_as_one(cuts: tuple[int, ...], tmp_path: Path) -> None:
    """A file a day is full of what it names. A has 2 of 4 rows between its first and its last, B 3 of 6, C 1 of 1."""
    days = [*JANUARY, "2024-01-08", "2024-01-09"]
    held = ["B", "A", "B", "C", "A", "B"]
    rows = [f"{day},{asset},1\n" for day, asset in zip(days, held, strict=True)]
    parts = [rows[a:b] for a, b in zip((0, *cuts), (*cuts, 6), strict=True)]
    path = folder_of(tmp_path / "p", {f"{n}.csv": "date,ticker,x\n" + "".join(p) for n, p in enumerate(parts)})
    store = MemoryStore()
    for _ in range(2):  # then from what is remembered
        found = converted(spec(path), store)
        assert found.spans is not None
        assert found.filled == pytest.approx((2 + 3 + 1) / (4 + 6 + 1))
        assert found.spans.names == ("A", "B", "C")
        assert [c.tolist() for c in (found.spans.first, found.spans.last, found.spans.count)] == [
            [1, 0, 3],
            [4, 5, 3],
            [2, 3, 1],
        ]


def test_a_long_file_without_a_value_is_not_sparse(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("date,ticker,x\n2024-01-02,A,\n2024-01-03,B,\n")
    found = converted(spec(path))
    assert found.spans is not None
    assert (found.spans.names, found.filled) == ((), 1.0)


def test_a_manifest_that_kept_a_share_alone_is_made_again(tmp_path: Path) -> None:
    """As sigc did before: of a long file that lacks cells it does not say which."""
    path, store = tmp_path / "p.csv", Watched()
    path.write_text("date,ticker,x\n2024-01-02,A,1\n2024-01-03,B,1\n2024-01-04,A,1\n")
    first = converted(spec(path), store)
    (name,) = store.kept
    for share, is_read in ((1.0, False), (2 / 3, True)):
        data = json.loads(unseal(store.noted(name)))
        data = {k: v for k, v in data.items() if k != "spans"} | {"filled": share}
        store.note(name, seal(json.dumps(data)))
        again = converted(spec(path), store)
        assert again.digests == first.digests
        assert (again.spans is not None) is is_read


# -- as-of -------------------------------------------------------------------------------------------------------

FILED = {"asof": "true", "available_after": "filed"}
HEAD = "date,ticker,x,filed\n"


def test_of_a_folder_of_filings_only_new_files_are_read(tmp_path: Path) -> None:
    first, second, third = (
        HEAD + "2023-03-31,A,1,2023-05-02\n2023-03-31,B,7,2023-05-03\n",
        HEAD + "2023-06-30,A,2,2023-08-01\n",
        HEAD + "2023-09-30,A,3,2023-11-01\n",
    )
    store = MemoryStore()
    path = folder_of(tmp_path / "p", {"a.csv": first, "b.csv": second})
    found = converted(spec(path, said=FILED), store)
    assert [str(d)[:10] for d in found.dates] == ["2023-05-03", "2023-05-04", "2023-08-02"]
    unseen(path / "a.csv", ",A,1,", ",A,9,")
    assert converted(spec(path, said=FILED), store).digests == found.digests
    folder_of(path, {"c.csv": third})
    grown = converted(spec(path, said=FILED), store)
    whole = converted(spec(folder_of(tmp_path / "q", {"a.csv": first + second[len(HEAD) :] + third[len(HEAD) :]}), said=FILED))  # fmt: skip
    assert (grown.digests, grown.names) == (whole.digests, ("A", "B"))
    assert grown.digests[: len(found.digests)] == found.digests
    assert not [f for f in grown.findings if "came or changed" in f.message]
    folder_of(path, {"d.csv": HEAD + "2023-07-31,B,8,2023-08-01\n"})
    (told,) = [f for f in converted(spec(path, said=FILED), store).findings if "came or changed" in f.message]
    assert "1 row came or changed after the time from which they count: 'B' of 2023-07-31" in told.message


def test_one_file_of_filings_is_not_kept_twice(tmp_path: Path) -> None:
    path, store = tmp_path / "f.csv", Watched()
    path.write_text(HEAD + "2023-03-31,A,1,2023-05-02\n")
    found = converted(spec(path, said=FILED), store)
    assert not [n for n in store.kept if n.startswith("events-")]
    assert [n for n in store.kept if n.startswith("source-")] != []
    unseen(path, ",A,1,", ",A,9,")
    store.kept.clear()
    assert converted(spec(path, said=FILED), store).digests == found.digests
    assert store.kept == []
    undated = converted(spec(path, said={"asof": "true"}, column="x", date_col="date"), store)
    assert "does not say when its values are available" in undated.findings[0].message


def test_stamps_finer_than_a_microsecond_count_from_the_next(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(HEAD + "2023-03-31,A,1,2023-05-02 10:00:00.000000001\n")
    found = converted(spec(path, said=FILED))
    assert [str(d) for d in found.dates] == ["2023-05-02T14:00:00.000001000"]


def test_intervals_need_no_word(tmp_path: Path) -> None:
    """From ever on A and B are known to be outside."""
    path = tmp_path / "m.csv"
    path.write_text("ticker,from,to\nA,2023-02-01,2023-02-28\nB,2023-03-01,\n")
    store = MemoryStore()
    plain, said = (
        converted(spec(path), store),
        converted(spec(path, said={"asof": "true", "available_after": 0.0}), store),
    )
    for found in (plain, said):
        assert found.events is not None
        assert found.names == ("A", "B")
        assert [str(d)[:10] for d in found.dates] == ["1678-01-01", "2023-02-01", "2023-03-01"]
    assert plain.digests == said.digests


def test_a_publication_is_for_what_is_as_of(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(HEAD + "2023-03-31,A,1,2023-05-02\n")
    with pytest.raises(SigcError, match="has its publication in 'filed', and is not declared as-of"):
        converted(spec(path, said={"available_after": "filed"}))
    path.write_text("date,A\n2023-03-31,1\n")
    assert converted(spec(path, said={"available_after": "1d"})).names == ("A",)
