"""As-of sources against a brute-force reference of the rule, and the engine's laws over them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sigc
from sigc.blocks.block import BlockStore, MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.data.dates.exchange import Exchanges
from sigc.engine.core.gather import gather, source_panel
from sigc.engine.core.task import RunReport
from sigc.errors import SigcError, exit_code
from sigc.panel import Panel
from sigc_pipelines.compute import Loaded, Workspace, compute, load
from tests.world import workspace, write_strategy

ZONE = "America/New_York"
DAYS = pd.bdate_range("2018-01-02", "2022-12-30")
ASSETS = [f"A{i:02d}" for i in range(40)]
HEAD = 'data:\n  prices: load csv from "prices.csv"\n'
ROE = '  roe: load csv from "filings.csv" column=roe date_col=period '


def write_prices(folder: Path, days: pd.DatetimeIndex = DAYS) -> None:
    values = np.arange(len(days) * len(ASSETS)).reshape(len(days), -1) % 97 + 1.0
    pd.DataFrame(values, days, ASSETS).rename_axis("date").to_csv(folder / "prices.csv")


def filings() -> pd.DataFrame:
    """1,920 of them: 40 assets, 20 quarters that end on any day of the week, each restated once or twice, some of them
    after the next quarter was published; before, at and after the close, and on weekends."""
    random = np.random.default_rng(5)
    rows = []
    for asset in ASSETS:
        for quarter in pd.date_range("2017-12-31", periods=20, freq="QE"):
            for again in range(3):
                if again == 2 and random.random() < 0.6:
                    continue
                wait = random.integers(20, 70) if again == 0 else random.integers(71, 230)
                time = random.choice(["08:00:00", "16:00:00", "16:00:01", "16:30:00", "12:31:07"])
                published = f"{(quarter + pd.Timedelta(days=int(wait))).date()} {time}"
                rows.append((asset, str(quarter.date()), published, round(float(random.normal()), 6)))
    frame = pd.DataFrame(rows, columns=["ticker", "period", "published", "roe"]).drop_duplicates(
        ["ticker", "period", "published"]
    )
    return frame.iloc[random.permutation(len(frame))][:1920].reset_index(drop=True)


def reference(
    frame: pd.DataFrame, usable: pd.Series, days: pd.DatetimeIndex, longest: int | None = None
) -> pd.DataFrame:
    """For each day and asset, of all that could be used by the day's close the newest by period, then publication."""
    closes = pd.DatetimeIndex(days + pd.Timedelta(hours=16)).tz_localize(ZONE)
    order = frame["published"] if "published" in frame else frame["period"]
    known = pd.DataFrame({"asset": frame["ticker"], "period": pd.to_datetime(frame["period"]), "order": order})
    known = known.assign(usable=usable, roe=frame["roe"]).sort_values(["period", "order"])
    out = {}
    for day, close in zip(days, closes, strict=True):
        newest = known[known["usable"] <= close].drop_duplicates("asset", keep="last")
        if longest is not None:
            newest = newest[(day - newest["period"]).dt.days <= longest]
        out[day] = newest.set_index("asset")["roe"].reindex(ASSETS)
    return pd.DataFrame(out).T


def instants(frame: pd.DataFrame) -> pd.Series:
    return pd.to_datetime(frame["published"]).dt.tz_localize(ZONE)


def opens(days: pd.Series) -> pd.Series:
    """The open of the first weekday on or after each day."""
    moved = pd.Series(
        [d + pd.Timedelta(days=max(0, 7 - d.weekday()) if d.weekday() > 4 else 0) for d in days], days.index
    )
    return (moved + pd.Timedelta(hours=9, minutes=30)).dt.tz_localize(ZONE)


def space_of(store: BlockStore | None = None, **how: object) -> Workspace:
    space = workspace(store if store is not None else MemoryStore(), **how)  # type: ignore[arg-type]
    return replace(space, exchanges=Exchanges("weekdays", ZONE, is_declared=True))


def loaded(folder: Path, text: str, space: Workspace, until: str = "") -> Loaded:
    return load(write_strategy(folder, text), space, until)


def run(folder: Path, text: str, space: Workspace, until: str = "") -> tuple[dict[str, Panel], RunReport]:
    on_grid = loaded(folder, text, space, until)
    computed = compute(on_grid, on_grid.strategy.roots, space)
    return {n: gather(computed, n) for n in on_grid.strategy.roots}, computed.report


def assert_same(a: dict[str, Panel], b: dict[str, Panel]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].equals(b[name]), name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filings")
    write_prices(folder)
    filings().to_csv(folder / "filings.csv", index=False)
    return folder


@pytest.mark.parametrize("longest", [None, 400, 150])
def test_filings_are_what_the_rule_says(world: Path, longest: int | None) -> None:
    frame = filings()
    assert len(frame) == 1920
    said = "true" if longest is None else f"{longest}d"
    text = HEAD + ROE + f"asof={said} available_after=published\nsignal a:\n  emit roe\n"
    found, _ = run(world, text, space_of())
    periods = pd.to_datetime(frame.sort_values("published")["period"]).astype("i8")
    is_older = periods < periods.groupby(frame["ticker"]).cummax()
    assert is_older.sum() > 100  # restated after a newer quarter was published
    expected = reference(frame, instants(frame), DAYS, longest)
    assert np.array_equal(found["a"].values, expected.to_numpy(), equal_nan=True)
    assert np.isnan(expected.to_numpy()).any()


@pytest.mark.parametrize("said", ["0", "45d", '"3 sessions"', "published"])
def test_delays_and_dates_of_publication(tmp_path: Path, said: str) -> None:
    days = DAYS[:400]
    frame = filings()
    frame["published"] = frame["published"].str[:10]
    if said != "published":
        frame = frame.drop(columns="published")
    keys = ["ticker", "period"] + (["published"] if said == "published" else [])
    frame = frame.drop_duplicates(keys).reset_index(drop=True)
    write_prices(tmp_path, days)
    frame.to_csv(tmp_path / "filings.csv", index=False)
    period = pd.to_datetime(frame["period"])
    sessions = pd.Series(np.busday_offset(period.to_numpy("datetime64[D]"), 3, roll="backward"), frame.index)
    if said == "published":  # the next session, never its own
        usable = opens(pd.to_datetime(frame["published"]) + pd.Timedelta(days=1))
    else:
        usable = {"0": opens(period), "45d": opens(period + pd.Timedelta(days=45))}.get(
            said, opens(pd.to_datetime(sessions))
        )
    found, _ = run(tmp_path, HEAD + ROE + f"asof=true available_after={said}\nsignal a:\n  emit roe\n", space_of())
    expected = reference(frame, usable, days)
    assert np.array_equal(found["a"].values, expected.to_numpy(), equal_nan=True)


LAWS = (
    HEAD
    + ROE
    + """asof=300d available_after=published
  sectors: load csv from "sectors.csv" dtype=category asof=true available_after=0
  members: load csv from "members.csv"
signal plain:
  emit rolling_mean(roe, 15) + zscore(roe)
signal carried:
  emit ema(roe, 10) + roe
signal by_sector:
  emit where(members, neutralize(roe, by=sectors), 0) + 0 * prices
"""
)


def write_labels(folder: Path) -> None:
    lines = [
        f"{d},{a},{s}"
        for i, a in enumerate(ASSETS)
        for d, s in (("2017-06-30", "xyz"[i % 3]), (f"20{18 + i % 5}-05-0{i % 9 + 1}", "wxy"[i % 3]))
    ]
    (folder / "sectors.csv").write_text("\n".join(["date,ticker,sector", *lines]))
    lines = [
        f"{a},{'' if i % 4 == 0 else '2018-03-17'},{'' if i % 3 == 0 else f'2021-0{i % 9 + 1}-11'}"
        for i, a in enumerate(ASSETS)
        if i % 5
    ]
    (folder / "members.csv").write_text("\n".join(["ticker,from,to", *lines]))


@pytest.fixture(scope="module")
def whole(world: Path) -> dict[str, Panel]:
    write_labels(world)
    return run(world, LAWS, space_of(rule="100000"))[0]


@pytest.mark.parametrize("rule", ["year", "month", "week", "37"])
def test_blocks_of_any_size(world: Path, whole: dict[str, Panel], rule: str) -> None:
    assert_same(run(world, LAWS, space_of(rule=rule))[0], whole)


def test_two_threads_small_slices_cold_and_warm(world: Path, whole: dict[str, Panel], tmp_path: Path) -> None:
    cold, _ = run(world, LAWS, space_of(ParquetStore(tmp_path), threads=2, memory_bytes=2_000_000))
    assert_same(cold, whole)
    warm, report = run(world, LAWS, space_of(ParquetStore(tmp_path), threads=2))
    assert_same(warm, whole)
    assert report.blocks_computed == 0


def test_the_past_does_not_know_the_future(world: Path, whole: dict[str, Panel]) -> None:
    found, _ = run(world, LAWS, space_of(), until="2020-02-28")
    for root, panel in found.items():
        assert panel.values.tobytes() == whole[root].rows(0, len(panel.dates)).values.tobytes(), root


def test_an_earlier_start_of_the_traded_panel_changes_nothing(
    world: Path, whole: dict[str, Panel], tmp_path: Path
) -> None:
    """What was filed before the first row is known on it."""
    write_labels(tmp_path)
    filings().to_csv(tmp_path / "filings.csv", index=False)
    write_prices(tmp_path, DAYS[700:])
    found, _ = run(tmp_path, LAWS, space_of())
    after = whole["plain"].rows(720, len(DAYS))
    assert found["plain"].rows(20, len(DAYS) - 700).values.tobytes() == after.values.tobytes()


def test_files_that_grow_day_by_day(tmp_path: Path) -> None:
    """Appended equals fresh, and a day costs its row of each node."""
    write_labels(tmp_path)
    frame, store = filings(), ParquetStore(tmp_path / "cache")
    for stop in (900, 901, 902, 1043, 1044):  # over the end of a year
        known = frame[instants(frame) <= pd.Timestamp(DAYS[stop - 1] + pd.Timedelta(hours=16)).tz_localize(ZONE)]
        write_prices(tmp_path, DAYS[:stop])
        known.to_csv(tmp_path / "filings.csv", index=False)
        grown, report = run(tmp_path, LAWS, space_of(store))
        on_grid = loaded(tmp_path, LAWS, space_of(store))
        assert not any("after the time from which" in f.message for f in on_grid.findings)
    fresh, _ = run(tmp_path, LAWS, space_of())
    assert_same(grown, fresh)
    assert not report.computed
    assert report.rows == len(report.joined)
    panel = source_panel(on_grid.grid, store, "roe", 1000, 1044)
    assert np.array_equal(
        panel.values,
        reference(
            known.reset_index(drop=True), instants(known).reset_index(drop=True), DAYS[1000:1044], 300
        ).to_numpy(),
        equal_nan=True,
    )


def test_ages_do_not_share_blocks(world: Path, tmp_path: Path) -> None:
    """Nor do rows of other dates between the same first and last one."""
    store = MemoryStore()
    text = HEAD + ROE + "asof=AGE available_after=published\nsignal a:\n  emit roe\n"
    for longest in (400, 150):
        own = text.replace("AGE", f"{longest}d")
        assert_same(run(world, own, space_of(store))[0], run(world, own, space_of())[0])
    filings().to_csv(tmp_path / "filings.csv", index=False)
    for gone in (500, 540):
        write_prices(tmp_path, DAYS.delete(gone))
        own = text.replace("AGE", "150d")
        assert_same(run(tmp_path, own, space_of(store))[0], run(tmp_path, own, space_of())[0])


def test_a_restatement_recomputes_the_blocks_on_which_it_shows(world: Path, tmp_path: Path) -> None:
    write_prices(tmp_path)
    frame, store = filings(), MemoryStore()
    text = HEAD + ROE + "asof=true available_after=published\nsignal a:\n  emit roe + 1\n"
    frame.to_csv(tmp_path / "filings.csv", index=False)
    _, first = run(tmp_path, text, space_of(store))
    assert first.computed == {"a": 5}
    early = (frame["ticker"] == "A07") & (frame["period"] == "2018-09-30")
    frame.loc[early, "roe"] += 1.0
    frame.to_csv(tmp_path / "filings.csv", index=False)
    restated, report = run(tmp_path, text, space_of(store))
    assert report.computed == {"a": 2}  # 2018 and 2019, until the next quarter was filed
    assert_same(restated, run(tmp_path, text, space_of())[0])


def test_rows_that_come_too_late_are_found(tmp_path: Path) -> None:
    write_prices(tmp_path, DAYS[:300])
    frame, store = filings(), MemoryStore()
    text = HEAD + ROE + "asof=true available_after=published\nsignal a:\n  emit roe\n"
    known = frame[instants(frame) <= pd.Timestamp("2018-10-31", tz=ZONE)]
    gone = known[known["ticker"] == "A03"].sort_values("published").iloc[[0]]
    known.drop(gone.index).to_csv(tmp_path / "filings.csv", index=False)
    assert not [f for f in loaded(tmp_path, text, space_of(store)).findings if "came or changed" in f.message]
    frame[instants(frame) <= pd.Timestamp("2018-11-30", tz=ZONE)].to_csv(tmp_path / "filings.csv", index=False)
    (told,) = [f for f in loaded(tmp_path, text, space_of(store)).findings if "came or changed" in f.message]
    assert (
        f"1 row came or changed after the time from which they count: 'A03' of {gone['period'].item()}" in told.message
    )


def test_a_folder_of_filings_is_one_source(world: Path, tmp_path: Path) -> None:
    """A file of today may restate what is in one of years ago."""
    write_prices(tmp_path)
    frame = filings()
    (tmp_path / "filings").mkdir()
    for year, part in frame.groupby(frame["published"].str[:4]):
        part.to_csv(tmp_path / "filings" / f"{year}.csv", index=False)
    text = HEAD + ROE + "asof=true available_after=published\nsignal a:\n  emit roe\n"
    of_folder, store = text.replace("filings.csv", "filings"), ParquetStore(tmp_path / "cache")
    for name in ("2021.csv", "2022.csv", "2023.csv"):
        (tmp_path / "filings" / name).rename(tmp_path / name)
    run(tmp_path, of_folder, space_of(store))
    # An old file is not read again: nobody notices what it holds now, as it has the size and the time it had.
    old = tmp_path / "filings" / "2019.csv"
    before = old.stat()
    old.write_bytes(old.read_bytes().replace(b"0", b"x"))
    os.utime(old, ns=(before.st_atime_ns, before.st_mtime_ns))
    for name in ("2021.csv", "2022.csv", "2023.csv"):
        (tmp_path / name).rename(tmp_path / "filings" / name)
    found, _ = run(tmp_path, of_folder, space_of(store))
    assert_same(found, run(world, text, space_of())[0])
    with pytest.raises(SigcError, match="E201"):
        run(tmp_path, of_folder, space_of())


def test_frames_that_grow_are_as_if_given_at_once(tmp_path: Path) -> None:
    days = DAYS[:300]
    prices = pd.DataFrame(np.arange(len(days) * len(ASSETS)).reshape(len(days), -1) + 1.0, days, ASSETS)
    frame = filings()
    frame["published"] = instants(frame)
    text = HEAD + ROE + "asof=true available_after=published\nsignal a:\n  emit rolling_mean(roe, 3)\n"
    early = frame[frame["published"] <= pd.Timestamp("2018-06-29 16:00", tz=ZONE)]
    later = frame.drop(early.index)
    grown = sigc.compile(text, data={"prices": prices[:128], "roe": early}, cache="memory")
    grown.panels()
    grown = grown.append(prices=prices[128:], roe=later)
    fresh = sigc.compile(text, data={"prices": prices, "roe": frame}, cache=False)
    assert grown.panels()["a"].equals(fresh.panels()["a"])
    prices.rename_axis("date").to_csv(tmp_path / "prices.csv")
    filings().to_csv(tmp_path / "filings.csv", index=False)
    from_files, _ = run(tmp_path, text, workspace(MemoryStore()))
    assert grown.panels()["a"].equals(from_files["a"])
    late = frame[frame["ticker"] == "A03"].sort_values("published").iloc[[0]]
    most = sigc.compile(text, data={"prices": prices, "roe": frame.drop(late.index)}, cache="memory")
    assert most.append(roe=late).panels()["a"].equals(fresh.panels()["a"])


def test_what_a_run_asks_of_freshness(world: Path) -> None:
    text = HEAD + ROE + "asof=true available_after=published\nsignal a:\n  emit roe\n"
    grid = loaded(world, text, space_of()).grid
    frame = filings()
    row = 500
    known = frame[instants(frame) <= pd.Timestamp(DAYS[row] + pd.Timedelta(hours=16)).tz_localize(ZONE)]
    newest = pd.Timestamp(known["period"].max())
    assert grid.leaves["roe"].newest(row) == np.datetime64(newest, "D")
    assert grid.age_days("roe", row) == (DAYS[row] - newest).days
    assert grid.age_days("prices", row) == 0


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    write_prices(tmp_path, DAYS[:100])
    frame = filings()
    both = pd.concat([frame, frame.iloc[[3]]])
    both.to_csv(tmp_path / "filings.csv", index=False)
    end = "\nsignal a:\n  emit roe\n"
    cases = (
        ("asof=true available_after=published", r"E201.*twice, published at the same time: rows 5 and 1922"),
        ("asof=true available_after=45d", r"E201.*twice.*rows \d+ and \d+"),
        ("available_after=published", r"E201.*is not declared as-of"),
        ("asof=true available_after=publised", r"E202.*no column 'publised'"),
    )
    for said, message in cases:
        with pytest.raises(SigcError, match=message):
            loaded(tmp_path, HEAD + ROE + said + end, space_of())
    once = frame[["ticker", "period", "roe"]].drop_duplicates(["ticker", "period"]).sort_values("period")
    once.to_csv(tmp_path / "filings.csv", index=False)
    with pytest.raises(SigcError, match=r"E203: source 'roe' is sparse.*") as caught:
        loaded(tmp_path, HEAD + ROE + end, space_of())
    assert "asof=true" in caught.value.diagnostics[0].hint
    assert exit_code(caught.value.diagnostics) == 4
    on_grid = loaded(tmp_path, HEAD + ROE + "asof=true" + end, space_of())
    assert any("does not say when its values are available" in f.message for f in on_grid.findings)
    # A day on which nobody files is rare, one on which somebody in particular does too.
    busy = pd.DataFrame([(a, d.date(), 1.0) for i, d in enumerate(DAYS[:100]) for a in ASSETS[i % 20 :: 20]])
    busy.set_axis(["ticker", "period", "roe"], axis=1).to_csv(tmp_path / "filings.csv", index=False)
    with pytest.raises(SigcError, match=r"E203: source 'roe' is sparse: [56]\..%"):
        loaded(tmp_path, HEAD + ROE + end, space_of())
    loaded(tmp_path, HEAD + ROE + "frequency=sessions" + end, space_of())
    (tmp_path / "by_asset").mkdir()
    for asset, own in busy.groupby(0):
        own[[1, 2]].set_axis(["date", "roe"], axis=1).to_csv(tmp_path / "by_asset" / f"{asset}.csv", index=False)
    with pytest.raises(SigcError, match=r"E203: source 'roe' is sparse: [56]\..%"):
        loaded(tmp_path, HEAD + '  roe: load csv from "by_asset" symbol_from=filename' + end, space_of())
    (tmp_path / "by_day").mkdir()
    for day, own in busy.groupby(1):
        own.set_axis(["ticker", "period", "roe"], axis=1).to_csv(tmp_path / "by_day" / f"{day}.csv", index=False)
    with pytest.raises(SigcError, match=r"E203: source 'roe' is sparse: [56]\..%"):
        loaded(tmp_path, HEAD + ROE.replace("filings.csv", "by_day") + end, space_of())
    with pytest.raises(SigcError, match="E101: source 'prices' is the traded panel"):
        loaded(tmp_path, HEAD[:-1] + " asof=true\nsignal a:\n  emit prices\n", space_of())
