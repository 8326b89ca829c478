"""Strategy files watched between runs: an edit that does not compile is told with place, hint and time, until mended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.config.settings import SafetySettings
from sigc.daemon.runner import StrategyEntry
from sigc_pipelines.service.runner_checks import checked
from sigc_pipelines.service.strategy_watch import StrategyWatch

NOON = datetime(2024, 1, 15, 17, tzinfo=UTC)
GOOD = """data:
  prices: load parquet from "prices.parquet"
signal s:
  emit prices.zscore()
portfolio main:
  weights = s.long_short(top=0.2, bottom=0.2)
"""
BAD = GOOD.replace("zscore", "zcsore")


def watch(files: list[Path], clock: HandClock, enabled: bool = True) -> StrategyWatch:
    entries = [StrategyEntry(path.stem, path, enabled=enabled) for path in files]
    return StrategyWatch(entries, SafetySettings(), clock, "America/New_York")


def test_an_edit_that_does_not_compile_is_told_until_it_is_mended(tmp_path: Path) -> None:
    path, clock = tmp_path / "momentum.sig", HandClock(NOON)
    path.write_text(GOOD)
    seen = watch([path], clock)
    assert seen.check() == "ok"
    path.write_text(BAD + "\n")
    said = (
        "momentum does not compile since 2024-01-15 12:00:00 EST: E002: unknown function 'zcsore'"
        f" ({path}:4; did you mean 'zscore'?), `sigc check {path}`"
    )
    assert seen.check() == said
    clock.sleep(3600.0)
    assert seen.check() == said  # since it was first seen
    path.write_text(GOOD)
    assert seen.check() == "ok"
    clock.sleep(3600.0)
    path.unlink()
    assert seen.check().startswith("momentum does not compile since 2024-01-15 14:00:00 EST: E200: ")


def test_a_file_that_is_the_same_is_checked_again_for_what_it_imports_but_not_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock, calls = tmp_path / "momentum.sig", HandClock(NOON), list[str]()
    path.write_text(GOOD)
    seen = watch([path], clock)

    def counting(entry: StrategyEntry, limits: SafetySettings) -> object:
        calls.append(entry.name)
        return checked(entry, limits)

    monkeypatch.setattr("sigc_pipelines.service.strategy_watch.checked", counting)
    for wait in (0.0, 599.0, 1.0, 1.0):
        clock.sleep(wait)
        assert seen.check() == "ok"
    assert calls == ["momentum"] * 2


def test_several_are_told_and_one_that_is_disabled_is_not(tmp_path: Path) -> None:
    files = [tmp_path / f"s{number}.sig" for number in range(5)]
    for path in files:
        path.write_text(BAD)
    said = watch(files, HandClock(NOON)).check()
    assert [part.partition(" ")[0] for part in said.split("; ") if "does not compile" in part] == ["s0", "s1", "s2"]
    assert said.endswith("; and 2 more strategies")
    assert watch(files, HandClock(NOON + timedelta(days=1)), enabled=False).check() == "ok"
