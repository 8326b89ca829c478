"""Comparing: equal results first; who lacks a library is left out and named; who fails, fails."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.report import render, write
from benchmarks.sides import Side, compare

CELLS = "tests.benchmarks.cells"
SIZES = {"cells": 9}


def test_a_peer_without_its_library_is_left_out_and_named(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    figures = compare(CELLS, [Side("equal"), Side("lacking", is_peer=True)], SIZES, rounds=2)
    assert (
        "lacking is left out, not installed: No module named 'a_library_that_does_not_exist'" in capfd.readouterr().out
    )
    assert math.isnan(figures["lacking over ours, CPU"])
    assert figures["equal over ours, CPU"] > 0.0
    assert figures["equal: share of cells that differ"] == 0.0
    assert [key for key in figures if key.startswith("lacking")] == ["lacking over ours, CPU"]

    data, page = write(tmp_path, {"cells": figures}, {"python": "any"})
    assert json.loads(data.read_text())["figures"]["cells"]["lacking over ours, CPU"] is None
    assert "<td>lacking over ours, CPU</td><td>left out</td>" in page.read_text()


def test_bars_are_of_those_who_ran() -> None:
    page = render({"cells": {"x: equal over ours, CPU": 2.0, "x: lacking over ours, CPU": math.nan}}, {})
    assert "cells, x beside equal" in page
    assert "cells, x beside lacking" not in page


def test_a_side_that_is_no_peer_must_be_there() -> None:
    with pytest.raises(ImportError, match="a_library_that_does_not_exist"):
        compare(CELLS, [Side("lacking")], SIZES, rounds=1)


@pytest.mark.parametrize("name", ["first_differs", "shorter"])
def test_unequal_results_have_no_figures(name: str) -> None:
    with pytest.raises(ValueError, match=f"of ours and {name} differ"):
        compare(CELLS, [Side(name, is_peer=True)], SIZES, rounds=1)


def test_a_named_share_may_differ() -> None:
    figures = compare(CELLS, [Side("first_differs", unequal=0.1)], SIZES, rounds=1)
    assert figures["first_differs: share of cells that differ"] == pytest.approx(0.1)
    wide = compare(CELLS, [Side("first_differs", tolerance=0.5)], SIZES, rounds=1)
    assert wide["first_differs: share of cells that differ"] == 0.0


def test_a_peer_that_fails_is_not_taken_for_one_that_is_absent() -> None:
    with pytest.raises(RuntimeError, match="the side 'broken' failed"):
        compare(CELLS, [Side("broken", is_peer=True)], SIZES, rounds=1)
