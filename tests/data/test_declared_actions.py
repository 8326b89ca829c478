"""Which corporate actions count for a source: those of sources that hold nothing else, else its own columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sigc.actions import Action, ActionKind
from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.actions.declared_actions import DeclaredActions
from sigc.data.convert import Ways
from sigc.data.sources.frame_source import MemoryFrame, hold
from sigc.data.sources.locate import SourceFiles, locate
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Span
from tests.data.ways import spec_of

SPAN = Span("s.sig", 3, 1)
SPLIT = Action(date(2024, 1, 3), "A", ActionKind.SPLIT, Fraction(4))
PAID = Action(date(2024, 1, 3), "A", ActionKind.DIVIDEND, cash=0.5)
PLAIN = "date,ticker,close\n2024-01-02,A,80\n2024-01-03,A,20\n"
WITH = "date,ticker,close,dividend,split\n2024-01-02,A,80,0,1\n2024-01-03,A,20,0.5,4\n"


class World:
    """A folder of files, and how often each is looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.looked: list[str] = []

    def spec(self, file: str, text: str = "", *, is_actions: bool = False, **said: Any) -> SourceSpec:
        if text:
            (self.folder / file).write_text(text)
        made = spec_of(file, file.partition(".")[0], **said)
        return replace(made, base=str(self.folder), is_actions=is_actions, span=SPAN)

    def of(self, *declared: SourceSpec, held: dict[str, MemoryFrame] | None = None) -> DeclaredActions:
        def look(spec: SourceSpec) -> SourceFiles:
            self.looked.append(spec.name)
            return locate(spec, DataSettings())

        return DeclaredActions(declared, held or {}, look, Ways(MemoryStore(), DataSettings()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def acts(world: World, name: str, *lines: str) -> SourceSpec:
    text = "date,ticker,kind,value\n" + "".join(f"{line}\n" for line in lines)
    return world.spec(f"{name}.csv", text, is_actions=True)


def test_a_file_of_prices_has_its_own(world: World) -> None:
    """Splits first, as cash is per share as it is after them."""
    own = world.spec("p.csv", WITH, column="close")
    declared = world.of()
    assert declared.of(own) == (SPLIT, PAID)
    assert declared.of(own) is declared.of(own)  # which tells that nothing has changed
    assert declared.are_declared(own)
    assert declared.findings() == ()
    assert world.of().of(world.spec("q.csv", PLAIN, column="close")) == ()
    assert not world.of().are_declared(world.spec("q.csv", column="close"))


def test_one_file_of_a_folder_that_has_such_a_column_declares_them(world: World) -> None:
    (world.folder / "many").mkdir()
    (world.folder / "many" / "a.csv").write_text(PLAIN)
    (world.folder / "many" / "b.csv").write_text(WITH.replace("2024-01-0", "2024-02-0"))
    both = world.spec("many", column="close")
    assert world.of().are_declared(both)
    assert [a.ex_date for a in world.of().of(both)] == [date(2024, 2, 3), date(2024, 2, 3)]


def test_of_adjusted_prices_none_counts(world: World) -> None:
    made = acts(world, "acts", "2024-01-03,A,split,4")
    own = world.spec("p.csv", WITH, column="close", adjusted=True)
    assert world.of().of(own) == world.of(made).of(own) == ()
    assert world.of(made).are_declared(own)


def test_sources_of_actions_come_before_columns(world: World) -> None:
    own = world.spec("p.csv", WITH.replace(",0.5,4", ",9,9"), column="close")
    one = acts(world, "one", "2024-01-04,B,split,2", "2024-01-03,A,dividend,0.5")
    declared = world.of(one)
    second = Action(date(2024, 1, 4), "B", ActionKind.SPLIT, Fraction(2))
    assert declared.of(own) == declared.all_of([own]) == (PAID, second)
    assert declared.of(own) is declared.of(own)
    assert declared.are_declared(own)
    two = acts(world, "two", "2024-01-03,A,split,4")
    assert world.of(one, two).of(own) == world.of(two, one).all_of([]) == (SPLIT, PAID, second)
    none = acts(world, "none")
    assert world.of(none).of(own) == ()
    assert world.of(none).are_declared(own)  # that there are none
    assert world.of().all_of([]) == ()


def test_of_all_sources_those_count_whose_signals_are_adjusted(world: World) -> None:
    plain = world.spec("p.csv", WITH, column="close")
    other = world.spec("q.csv", WITH.replace(",A,", ",B,"), column="close")
    adjusted = [replace(s, adjust="split") for s in (plain, other)]
    assert world.of().all_of([plain, other]) == ()
    assert world.of().all_of([plain, adjusted[1]]) == (replace(SPLIT, asset="B"), replace(PAID, asset="B"))
    assert [a.asset for a in world.of().all_of(adjusted[::-1])] == ["A", "A", "B", "B"]
    assert world.of().all_of([adjusted[0], adjusted[0]]) == (SPLIT, PAID)


def test_a_file_is_read_once_until_it_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = acts(world, "acts", "2024-01-03,A,split,4")
    declared = world.of(made)
    first = declared.all_of([])
    assert declared.all_of([]) is first
    acts(world, "acts", "2024-01-03,A,split,4", "2024-01-03,A,dividend,0.5")
    assert declared.all_of([]) == (SPLIT, PAID)
    assert set(world.looked) == {"acts"}


def test_what_is_odd_in_them_is_told_where_they_are_declared(world: World) -> None:
    twice = ("2024-01-03,A,dividend,0.25,2024-01-05", "2024-01-03,A,dividend,0.25,2024-01-08")
    made = acts(world, "acts")
    (world.folder / "acts.csv").write_text("date,ticker,kind,value,pay_date\n" + "\n".join(twice) + "\n")
    declared = world.of(made)
    assert declared.findings() == ()  # nobody has asked yet
    assert declared.all_of([]) == (replace(PAID, pay_date=date(2024, 1, 8)),)
    (told,) = declared.findings()
    assert "2 dividends of 'A' on 2024-01-03 are paid on different days" in told.message
    assert (told.code, told.span) == ("W007", SPAN)


def test_what_is_given_from_memory(world: World) -> None:
    (world.folder / "x.csv").write_text(WITH)
    frame = pd.read_csv(world.folder / "x.csv")
    own = world.spec("p.csv", column="close", adjust="split")  # no such file
    with_acts = hold(own, frame, DataSettings())
    without = hold(own, frame[["date", "ticker", "close"]], DataSettings())
    declared = world.of(held={"p": with_acts})
    assert (declared.of(own), declared.are_declared(own)) == ((SPLIT, PAID), True)
    declared = world.of(held={"p": without})
    assert (declared.of(own), declared.are_declared(own)) == ((), False)
    given = hold(
        acts(world, "acts"), frame.assign(kind="split", value=4)[["date", "ticker", "kind", "value"]], DataSettings()
    )
    of_frame = world.of(acts(world, "acts"), held={"acts": given})
    assert [a.ex_date.day for a in of_frame.of(own)] == [2, 3]
    assert world.looked == []
