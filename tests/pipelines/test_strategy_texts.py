"""The texts of strategies that are in force: what an editor does to a file reaches a run only by a reload."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sigc.config.settings import SafetySettings
from sigc.daemon.runner import RunOrder, StrategyEntry
from sigc.errors import SigcError
from sigc_pipelines.service.strategy_texts import StrategyTexts

MAIN = """\
import "lib.sig"
data:
  prices: load csv from "p.csv"
signal s:
  emit tilted(prices)
portfolio main:
  weights = rank(s).long_only(cap=0.5)
"""
LIB = "fn tilted(x):\n  x * 2\n"
LIMITS = SafetySettings()
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def entry(tmp_path: Path) -> StrategyEntry:
    (tmp_path / "main.sig").write_text(MAIN)
    (tmp_path / "lib.sig").write_text(LIB)
    (tmp_path / "work").mkdir()
    return StrategyEntry("one", tmp_path / "main.sig")


def loaded(entry: StrategyEntry, *, goes_on: bool = False) -> StrategyTexts:
    texts = StrategyTexts((entry,), entry.file.parent / "work", "UTC")
    (found,) = texts.load(LIMITS, goes_on=goes_on)
    assert [one.message for one in found.problems if one.severity == "error"] == []
    return texts


def write(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (AT.timestamp(), AT.timestamp()))


def told(texts: StrategyTexts) -> dict[str, str]:
    return {name: one.text for name, one in texts.edited().items()}


@pytest.mark.parametrize("name", ["main.sig", "lib.sig"])
@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("# half a", "and can't be loaded: "),
        ("", "and can't be loaded: "),
        (None, "and is not loaded"),
    ],
)
def test_an_edited_file_is_told_and_the_loaded_text_compiled(
    entry: StrategyEntry, name: str, text: str | None, end: str
) -> None:
    texts, before = loaded(entry), {"main.sig": MAIN, "lib.sig": LIB}[name]
    assert told(texts) == {}
    write(entry.file.with_name(name), before.replace("2\n", "3\n").replace("0.5", "0.4") if text is None else text)
    assert told(texts)["one"].startswith(f"{name} was edited at 2026-03-02 09:30:00 UTC {end}")
    compiled = texts.compiled("one", {}).strategy
    assert (compiled.text, compiled.imports) == (MAIN, (LIB,))
    write(entry.file.with_name(name), before)
    assert told(texts) == {}  # taken back, it is what was loaded


def test_a_file_that_is_gone_is_told_and_the_loaded_text_compiled(entry: StrategyEntry) -> None:
    texts = loaded(entry)
    for file in ("lib.sig", "main.sig"):
        entry.file.with_name(file).unlink()
    assert told(texts)["one"].startswith("main.sig was edited and can't be loaded: E200: there is no file ")
    assert texts.compiled("one", {}).strategy.text == MAIN


def test_an_error_is_told_with_its_place(entry: StrategyEntry) -> None:
    texts = loaded(entry)
    write(entry.file, MAIN.replace("tilted(prices)", "tilted(pricse)"))
    assert told(texts)["one"] == (
        "main.sig was edited at 2026-03-02 09:30:00 UTC and can't be loaded: "
        f"E002: unknown name 'pricse' ({entry.file}:5; did you mean 'prices'?), `sigc check {entry.file}`"
    )


@pytest.mark.parametrize("takes_file", [True, False])
def test_a_dry_run_of_the_file_takes_it_as_it_is_and_any_other_order_what_was_loaded(
    entry: StrategyEntry, takes_file: bool
) -> None:
    texts, new = loaded(entry), MAIN.replace("0.5", "0.4")
    order = RunOrder("r", "one", entry.file, takes_file=takes_file)
    assert texts.of(order).warnings == ()
    write(entry.file, new)
    compiled = texts.of(order)
    assert compiled.strategy.text == (new if takes_file else MAIN)
    this = "the file as it is now" if takes_file else "the loaded text"
    assert [(one.code, one.message) for one in compiled.warnings] == [
        (
            "W009",
            "edited, not loaded: main.sig was edited at 2026-03-02 09:30:00 UTC and is not loaded; "
            f"this run took {this}",
        )
    ]


def test_a_file_of_no_configured_strategy_is_read(entry: StrategyEntry) -> None:
    other = entry.file.with_name("other.sig")
    other.write_text(MAIN)
    assert loaded(entry).of(RunOrder("r", "other", other)).strategy.path == str(other)


def test_a_life_after_a_crash_goes_on_with_the_texts_in_force(entry: StrategyEntry) -> None:
    loaded(entry).put_in_force()
    write(entry.file.with_name("lib.sig"), "fn til")
    after = loaded(entry, goes_on=True)
    assert after.compiled("one", {}).strategy.imports == (LIB,)
    assert told(after)["one"].startswith("lib.sig was edited at 2026-03-02 09:30:00 UTC and can't be loaded: ")


def test_a_start_takes_the_files(entry: StrategyEntry) -> None:
    loaded(entry).put_in_force()
    write(entry.file, MAIN.replace("0.5", "0.4"))
    assert "0.4" in loaded(entry).compiled("one", {}).strategy.text


@pytest.mark.parametrize("harm", ["changed", "gone", "no json", "another file", "a list"])
def test_a_kept_text_that_is_not_the_one_of_its_digest_is_not_taken(entry: StrategyEntry, harm: str) -> None:
    loaded(entry).put_in_force()
    folder = entry.file.parent / "work" / "strategies"
    (kept,) = (one for one in folder.glob("*.json") if one.name != "IN_FORCE.json")
    match harm:
        case "changed":
            kept.write_text(kept.read_text().replace("0.5", "0.9"))
        case "gone":
            kept.unlink()
        case "no json":
            (folder / "IN_FORCE.json").write_text("{")
        case "another file":
            named = json.loads((folder / "IN_FORCE.json").read_text())
            named["one"]["file"] = "/elsewhere/main.sig"
            (folder / "IN_FORCE.json").write_text(json.dumps(named))
        case _:
            (folder / "IN_FORCE.json").write_text("[1]")
    write(entry.file, MAIN.replace("0.5", "0.4"))
    assert "0.4" in loaded(entry, goes_on=True).compiled("one", {}).strategy.text


def test_a_digest_is_of_imports_too(entry: StrategyEntry, tmp_path: Path) -> None:
    def digest() -> str:
        (found,) = StrategyTexts((entry,), tmp_path / "work", "UTC").load(LIMITS)
        return found.digest

    before = digest()
    write(entry.file.with_name("lib.sig"), LIB.replace("2", "3"))
    assert digest() != before


def test_texts_that_cannot_be_kept_are_an_error(entry: StrategyEntry) -> None:
    texts = loaded(entry)
    (entry.file.parent / "work" / "strategies").write_text("in the way")
    with pytest.raises(SigcError, match="strategies"):
        texts.put_in_force()
