"""Labels that change, membership by intervals, restatements: what is read of as-of sources, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

import sigc
from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import load as load_sources
from sigc.data.catalog import read
from sigc.data.sources.frame_source import grow, hold
from sigc.data.sources.spec import SourceSpec
from sigc.engine.core.gather import gather
from sigc.errors import SigcError
from sigc.source_options import source_options
from sigc_cli.commands.validate import command as validate
from sigc_cli.datafile import read_file
from sigc_pipelines.compute import compute, load
from tests.world import workspace, write_strategy

DAYS: Any = pd.bdate_range("2023-01-03", "2023-12-29")
PRICES: Any = pd.DataFrame({n: np.arange(len(DAYS)) + 10.0 + i for i, n in enumerate("ABCD")}, DAYS)
HEAD = 'data:\n  prices: load csv from "prices.csv"\n'


def values(folder: Path, text: str, name: str = "a") -> Any:
    PRICES.rename_axis("date").to_csv(folder / "prices.csv")
    space = workspace(MemoryStore())
    loaded = load(write_strategy(folder, text), space)
    return gather(compute(loaded, loaded.strategy.roots, space), name).to_pandas()


def spec(folder: Path, name: str = "x", path: str = "x.csv", dtype: str = "float64", **said: str) -> SourceSpec:
    return SourceSpec(name, path, dtype=dtype, base=str(folder), options=source_options(said))


SECTORS = """date,ticker,sector
2022-12-31,A,Energy
2022-12-31,B,Tech
2023-03-04,A,Tech
2023-06-30,C,Health
2023-09-01,B,Health
"""


@pytest.mark.parametrize("written", ["asof=true available_after=0", "asof=200d available_after=0"])
def test_sectors_that_change(tmp_path: Path, written: str) -> None:
    (tmp_path / "s.csv").write_text(SECTORS)
    text = HEAD + f'  sectors: load sector from "s.csv" {written}\n'
    labels = ("Energy", "Tech", "Health")
    text += "".join(f'signal s_{t}:\n  emit where(sectors == "{t}", 1, 0) + 0 * prices\n' for t in labels)
    held = pd.DataFrame(None, DAYS, list("ABCD"), dtype=object)
    for line in SECTORS.splitlines()[1:]:
        day, asset, label = line.split(",")
        held.loc[day:, asset] = np.nan  # what came before does not come back
        until = pd.Timestamp(day) + pd.Timedelta(days=200) if "200d" in written else None
        held.loc[day:until, asset] = label
    for label in labels:
        assert values(tmp_path, text, f"s_{label}").equals((held == label).astype(float).rename_axis("date")), label


def test_ffill_takes_categories(tmp_path: Path) -> None:
    """Also when a label comes later that sorts before the others."""
    frame: Any = pd.DataFrame({n: pd.Series(None, DAYS, dtype=object) for n in "ABCD"})
    frame.loc[DAYS[[5, 90]], "A"] = ["Tech", "Zinc"]
    frame.loc[DAYS[40], "B"] = "Tech"
    text = HEAD + '  sectors: load csv from "s.csv" dtype=category frequency=sessions\n'
    text += 'signal a:\n  emit where(ffill(sectors, limit=60) == "Tech", 1, 0) + 0 * prices\n'
    text += "signal b:\n  emit neutralize(prices, by=ffill(sectors)) + 0 * prices\n"
    store = MemoryStore()
    PRICES.rename_axis("date").to_csv(tmp_path / "prices.csv")
    for stop in (100, 101, 200):
        if stop == 200:
            frame.loc[DAYS[150], "C"] = "Alpha"
        frame[:stop].rename_axis("date").to_csv(tmp_path / "s.csv")
        PRICES[:stop].rename_axis("date").to_csv(tmp_path / "prices.csv")
        space = workspace(store, rule="month")
        loaded = load(write_strategy(tmp_path, text), space)
        computed = compute(loaded, loaded.strategy.roots, space)
        found = gather(computed, "a").to_pandas()
        expected = (frame[:stop].ffill(limit=60) == "Tech").astype(float)
        assert (found.to_numpy() == expected.to_numpy()).all()
        held = frame[:stop].ffill()
        for day in DAYS[:stop:7]:
            means = PRICES.loc[day].groupby(held.loc[day]).transform("mean")
            assert np.allclose(gather(computed, "b").to_pandas().loc[day], PRICES.loc[day] - means, equal_nan=True)


MEMBERS = """ticker,from,to
A,,2023-03-15
A,2023-06-03,2023-06-30
B,2023-05-01,
C,2023-02-01,2023-02-28
C,2023-03-01,2023-04-28
"""


def inside() -> pd.DataFrame:
    """1 from the first day to the last, both included; 0 outside; missing for who is not in the file."""
    out = pd.DataFrame(0.0, DAYS, list("ABCD")).assign(D=np.nan)
    for asset, since, until in (line.split(",") for line in MEMBERS.splitlines()[1:]):
        out.loc[since or None : until or None, asset] = 1.0
    return out


@pytest.mark.parametrize("ends", ["from,to", "start,end", "Start_Date,End_Date"])
def test_membership_by_intervals(tmp_path: Path, ends: str) -> None:
    (tmp_path / "m.csv").write_text(MEMBERS.replace("from,to", ends))
    text = (
        HEAD + '  members: load csv from "m.csv"\nsignal a:\n  emit members\nsignal b:\n  emit mask(prices, members)\n'
    )
    found = values(tmp_path, text)
    expected = inside()
    assert np.array_equal(found.to_numpy(), expected.to_numpy(), equal_nan=True)
    assert np.array_equal(
        values(tmp_path, text, "b").to_numpy(), PRICES.where(inside() == 1.0).to_numpy(), equal_nan=True
    )


def test_labels_by_intervals(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "ticker,sector,from,to\nA,Tech,2023-02-01,2023-03-31\nA,Energy,2023-04-01,\nB,Tech,,\n"
    )
    text = HEAD + '  sectors: load sector from "s.csv"\nsignal a:\n  emit where(sectors == "Tech", 1, 0) + 0 * prices\n'
    found = values(tmp_path, text)
    assert found.index[found["A"] == 1.0].equals(DAYS[(DAYS >= "2023-02-01") & (DAYS <= "2023-03-31")])
    assert (found["B"] == 1.0).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("A,2023-01-01,2023-02-01\nB,2023-01-01,\nA,2023-02-01,", "two intervals of 'A' that overlap: rows 2 and 4"),
        ("A,2023-01-01,\nA,2023-05-01,2023-06-01", "overlap: rows 2 and 3"),
        ("A,2023-01-01,\nB,2023-05-01,2023-04-01", "row 3: the interval of 'B' ends before it begins"),
        ("A,2023-01-01,2023-01-05\nB,2023-15-01,", "row 3, column 'from': '2023-15-01' is not a date"),
        ("A,2023-01-01,2023-01-05\nB,2023-01-15,soon", "row 3, column 'to': 'soon' is not a date"),
    ],
)
def test_intervals_that_can_not_be(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "x.csv").write_text("ticker,from,to\n" + rows + "\n")
    with pytest.raises(SigcError, match=f"E201.*{message}"):
        load_sources([spec(tmp_path)], MemoryStore(), DataSettings())


def test_assets_that_are_called_from_and_to_are_assets(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("date,FROM,TO\n2023-01-02,1,2\n2023-01-03,2,3\n")
    assert load_sources([spec(tmp_path)], MemoryStore(), DataSettings()).sources["x"].names == ("FROM", "TO")


FILED = pd.DataFrame(
    {
        "date": pd.to_datetime(["2023-03-31", "2023-06-30", "2023-03-31", "2023-04-01", "2023-06-30"]),
        "ticker": ["A", "A", "A", "B", "A"],
        "x": [1.0, 2.0, 1.5, 7.0, 2.5],
        "filed": pd.to_datetime(
            ["2023-05-01 16:30", "2023-08-01 08:00", "2023-08-02 09:00", "2023-06-10 00:00", "2023-08-03 16:00"]
        ),
    }
)


def as_text(path: Path) -> None:
    FILED.to_csv(path, index=False)


def as_parquet(path: Path) -> None:
    FILED.to_parquet(path, index=False)


def test_every_format_gives_the_same_events(tmp_path: Path) -> None:
    said = {"asof": "true", "available_after": "filed"}
    as_text(tmp_path / "x.csv")
    as_parquet(tmp_path / "x.parquet")
    FILED[::-1].to_parquet(tmp_path / "back.parquet")  # rows in any order, and an index
    found = [
        load_sources([spec(tmp_path, path=p, **said)], MemoryStore(), DataSettings()).sources["x"]
        for p in ("x.csv", "x.parquet", "back.parquet")
    ]
    held = hold(spec(tmp_path, **said), FILED, DataSettings()).converted
    assert {s.digests for s in found} == {held.digests}
    assert {tuple(b.key for b in s.blocks) for s in found} == {tuple(b.key for b in held.blocks)}
    assert [str(d)[:16] for d in held.dates] == [
        "2023-05-01T20:30", "2023-06-12T13:30", "2023-08-01T12:00", "2023-08-03T20:00",
    ]  # fmt: skip
    # The first quarter, restated after the second was published, is no news.


def test_a_close_at_noon_and_a_wide_file_with_publications(tmp_path: Path) -> None:
    """The day after Thanksgiving ends at 13:00. A row of a wide file is published as a whole, and may be restated."""
    (tmp_path / "w.csv").write_text(
        "date,A,B,filed\n2023-09-30,1,2,2023-11-24 13:00\n2023-09-30,3,,2023-11-24 13:01\n2023-06-30,9,9,2023-12-01 10:00\n"
    )
    text = HEAD + '  w: load csv from "w.csv" asof=true available_after=filed\nsignal a:\n  emit w\n'
    found = values(tmp_path, text)
    assert np.isnan(found.loc[:"2023-11-23"]).all(axis=None)
    assert found.loc["2023-11-24", ["A", "B"]].tolist() == [1.0, 2.0]
    assert found.loc["2023-11-27":, "A"].eq(3.0).all()
    assert found.loc["2023-11-27":, "B"].eq(2.0).all()


def test_an_as_of_source_read_at_its_own_rows(tmp_path: Path) -> None:
    store = MemoryStore()
    as_text(tmp_path / "x.csv")
    source = load_sources([spec(tmp_path, asof="true", available_after="filed")], store, DataSettings()).sources["x"]
    panel = read(source, store, 0, len(source.dates))
    assert panel.names == ("A", "B")
    assert np.array_equal(panel.values, [[1.0, np.nan], [1.0, 7.0], [2.0, 7.0], [2.5, 7.0]], equal_nan=True)
    (tmp_path / "m.csv").write_text(MEMBERS)
    assert read_file(tmp_path / "m.csv").panel.values.tolist()[-1] == [0.0, 1.0, 0.0]


def test_sigc_validate_takes_options(tmp_path: Path) -> None:
    as_text(tmp_path / "x.csv")
    run = CliRunner().invoke
    found = run(validate, [str(tmp_path / "x.csv"), "-o", "asof=400d", "-o", "available_after=filed"])
    assert "numbers as-of, 2 assets, something new from 2023-05-01 to 2023-08-03, 4 times" in found.output
    (tmp_path / "m.csv").write_text(MEMBERS)
    assert "numbers as-of, 3 assets, something new from ever to" in run(validate, [str(tmp_path / "m.csv")]).output
    for wrong, message in (("asof=sometimes", "invalid asof"), ("asoff=1", "did you mean 'asof'")):
        refused = run(validate, [str(tmp_path / "x.csv"), "-o", wrong])
        assert isinstance(refused.exception, SigcError)
        assert message in str(refused.exception) + refused.exception.diagnostics[0].hint


def test_rows_that_are_appended_too_late_are_found(tmp_path: Path) -> None:
    said = spec(tmp_path, asof="true", available_after="filed")
    begun = hold(said, FILED[:2], DataSettings())
    assert not grow(said, begun, FILED[2:], DataSettings()).converted.findings[:-1]
    (told,) = [f for f in grow(said, begun, FILED[3:], DataSettings()).converted.findings if "came or" in f.message]
    assert (
        "1 row came or changed after the time from which they count: 'B' of 2023-04-01 (from 2023-06-12 on)"
        in told.message
    )
    fresh = hold(said, FILED, DataSettings())
    grown = grow(said, begun, FILED[2:], DataSettings())
    assert grown.converted.digests == fresh.converted.digests
    assert grown.panels.keys() == fresh.panels.keys()
    with pytest.raises(SigcError, match=r"E201.*has 2023-06-30 of 'A' twice, published at the same time: rows 6 and 8"):
        grow(said, fresh, FILED[-1:], DataSettings())


@pytest.mark.parametrize("given", [{"members": "intervals"}, {"members": "panel"}])
def test_frames_of_intervals_and_panels(given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(MEMBERS)
    table = pd.read_csv(tmp_path / "m.csv")
    if given["members"] == "intervals":
        frame: Any = table.assign(**{c: pd.to_datetime(table[c]) for c in ("from", "to")})
        text = HEAD + '  members: load csv from "m.csv"\nsignal a:\n  emit members\n'
    else:
        change = inside().ne(inside().shift()).any(axis=1)
        frame = inside()[change]
        text = HEAD + '  members: load csv from "m.csv" asof=true available_after=0\nsignal a:\n  emit members\n'
    found = sigc.compile(text, data={"prices": PRICES, "members": frame}, cache=False).panels()["a"].values
    if given["members"] == "intervals":
        table = pa.Table.from_pandas(frame, preserve_index=False)
        arrow = sigc.compile(text, data={"prices": PRICES, "members": table}, cache=False)
        assert np.array_equal(arrow.panels()["a"].values, found, equal_nan=True)
    assert np.array_equal(np.nan_to_num(found), np.nan_to_num(inside().to_numpy()))
