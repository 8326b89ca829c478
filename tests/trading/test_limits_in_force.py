"""Which limits are in force, by what a strategy loads and what somebody wrote; positions beside the NAV they belong to."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sigc.clock import SystemClock
from sigc.config.settings import Config, SafetySettings
from sigc.daemon.runner import StrategyEntry
from sigc.errors import SigcError
from sigc.store.ledger import books, control, price_marks
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, IntentState, Outcome, RunKind
from sigc_cli.commands.config import command as config_command
from sigc_cli.commands.data import command
from sigc_cli.text.show_run import text
from sigc_pipelines.service.strategy_texts import checked
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, free, scene, written
from tests.trading.test_bad_numbers import BAD, DAYS, TEXT, market, write

BARE = TEXT.replace('  volume: load parquet from "volume.parquet"\n', "")


def floor(folder: Path, what: str, **safety: Any) -> Floor:
    made, close, volume = market(folder, 40, what)
    write(made, close, volume)
    config = Config.model_validate({"schedule": {"calendar": "weekdays"}, "safety": safety})
    return Floor(made.strategy, made.space, made.work_dir, config, made.calendar)


def test_a_limit_without_its_source_is_off_and_that_is_told(tmp_path: Path) -> None:
    here = floor(tmp_path, BARE)
    for kind in (RunKind.DRY, RunKind.TRADE):
        ended = here.day(DAYS[BAD], f"r-{kind}", kind=kind)
        assert ended.run.outcome is Outcome.DONE
        assert "info: off: max_adv_pct is off: the strategy loads no source 'volume'" in text(ended)
    assert {o.state for o in ended.orders} == {IntentState.ACKNOWLEDGED}


def test_the_configuration_says_which_limits_are_off(tmp_path: Path) -> None:
    entry, bare = StrategyEntry("book", tmp_path / "book.sig"), SafetySettings()
    floor(tmp_path, BARE)
    told = ("max_adv_pct is off: the strategy loads no source 'volume'",)
    assert checked(entry, bare).off == told
    assert checked(entry, SafetySettings(max_adv_pct=0.1)).off == ()
    assert checked(entry, SafetySettings(max_adv_pct=0.0)).off == ()
    floor(tmp_path, TEXT)
    assert checked(entry, bare).off == ()
    (tmp_path / "sigc.yaml").write_text("strategies:\n  - {name: book, file: bare.sig}\n")
    (tmp_path / "bare.sig").write_text(BARE)
    done = CliRunner().invoke(config_command, ["validate", str(tmp_path / "sigc.yaml")])
    assert done.output == f"{tmp_path / 'sigc.yaml'}: ok\nbook: {told[0]}\n"


def test_a_configuration_with_a_strategy_that_does_not_compile_is_not_ok(tmp_path: Path) -> None:
    """Neither would a start take it, nor a reload."""
    (tmp_path / "sigc.yaml").write_text("strategies:\n  - {name: one, file: a.sig}\n  - {name: two, file: b.sig}\n")
    (tmp_path / "a.sig").write_text("signal s:\n  emit nothing_known\n")
    done = CliRunner().invoke(config_command, ["validate", str(tmp_path / "sigc.yaml")])
    assert isinstance(done.exception, SigcError)
    assert [one.code for one in done.exception.diagnostics] == ["E002", "E200"]
    assert "ok" not in done.output


def test_a_limit_that_was_written_and_can_not_be_judged_has_failed(tmp_path: Path) -> None:
    ended = floor(tmp_path, BARE, max_adv_pct=0.1).day(DAYS[BAD])
    assert "max_adv_pct is off" not in text(ended)
    assert {o.state for o in ended.orders} == {IntentState.DENIED}
    assert "adv_pct can't be evaluated: the mean volume of N000 is not known" in ended.orders[0].message


@pytest.mark.parametrize(("pct", "state"), [(1e-4, IntentState.DENIED), (0.1, IntentState.ACKNOWLEDGED)])
def test_with_its_source_it_binds(pct: float, state: IntentState, tmp_path: Path) -> None:
    ended = floor(tmp_path, TEXT, max_adv_pct=pct).day(DAYS[BAD])
    assert {o.state for o in ended.orders} == {state}


def test_a_limit_in_money_looks_at_the_higher_of_two_prices(tmp_path: Path) -> None:
    """100 on the day before, 80 now: 1,250 shares are worth 100,000 now, and 125,000 by the limit."""
    prices = {"A": [100.0, 80.0], "B": [80.0, 80.0]}
    here = written(tmp_path, {"A": 0.1, "B": 0.1}, prices=prices, config=free(safety={"max_order_value": 110_000.0}))
    with scene(here, D2) as desk:
        desk.run("one")
        assert desk.states() == {"A": IntentState.DENIED, "B": IntentState.ACKNOWLEDGED}
        assert "the order's value is 125000.0" in desk.intents()["A"].message


def test_positions_are_at_the_prices_of_the_nav_beside_them(tmp_path: Path) -> None:
    """B is halted from the third day on: its price is older, and is told with its date."""
    nan = float("nan")
    prices = {"A": [100.0, 100.0, 103.0, 104.0], "B": [50.0, 50.0, nan, nan]}
    here = written(tmp_path, {"A": 0.1, "B": -0.1}, prices=prices)
    key = BookKey("scripted", "main")
    for day in (D1, D2, D3, D4):
        with scene(here, day) as desk:
            desk.run(day)
    with scene(here, D4) as desk, desk.trading.ledger.reading() as connection:
        priced, nav, book = (
            price_marks.prices_of(connection, key),
            books.last_nav(connection, key),
            books.book(connection, key),
        )
        held = books.quantities(connection, key)
    assert {a: (str(p.price), p.day) for a, p in priced.items()} == {"A": ("104.0", D4), "B": ("50.0", D2)}
    assert nav is not None
    assert book is not None
    assert nav.session == D4
    assert nav.nav == book.cash + sum((q * priced[a].price for a, q in held.items()), Decimal(0))


def test_a_price_is_accepted_from_the_command_line(tmp_path: Path) -> None:
    def said(*words: str) -> str:
        return CliRunner().invoke(command, ["accept", *words, "--work-dir", str(tmp_path / "work")]).output

    assert said("BRK.B", "2024-01-15", "--reason", "seen") == (
        "the price of BRK.B on 2024-01-15 is accepted\n"
        "warning: no book has traded 'BRK.B': is it the name that the data have?\n"
    )
    assert "Missing option '--reason'" in said("BRK.B", "2024-01-15")
    with Ledger.open(tmp_path / "work", SystemClock(), durable=False) as ledger, ledger.reading() as connection:
        assert control.accepted_by_hand(connection) == {("BRK.B", "2024-01-15")}
        (one,) = control.every(connection, control.ACCEPTED)
        assert one.reason == "seen"
