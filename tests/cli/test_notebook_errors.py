"""Errors in a notebook: the place in the strategy, and next to nothing of sigc's own frames."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sigc
from sigc.errors import SigcError

TEXT = 'data:\n  prices: load csv from "p.csv"\nsignal a:\n  emit ret(prces, 20)\n'
SHOWN = [
    "strategy.sig:4:12: error[E002]: unknown name 'prces'",
    "   4 |   emit ret(prces, 20)",
    "     |            ^^^^^ did you mean 'prices'?",
]


def lines(error: BaseException) -> list[str]:
    """The lines that IPython asks an exception for."""
    rendered: list[str] = error._render_traceback_()  # type: ignore[attr-defined]
    return rendered


def test_a_mistake_shows_its_place() -> None:
    with pytest.raises(SigcError) as raised:
        sigc.compile(TEXT)
    assert lines(raised.value) == SHOWN
    assert str(raised.value) == "\n" + "\n".join(SHOWN)
    assert raised.value.__suppress_context__
    assert raised.value.__context__ is None


def test_a_file_and_its_import_are_shown(tmp_path: Path) -> None:
    (tmp_path / "lib.sig").write_text("fn f(x): y\n")
    (tmp_path / "m.sig").write_text('import "lib.sig"\n' + TEXT.replace("ret(prces, 20)", "f(prices)"))
    with pytest.raises(SigcError) as raised:
        sigc.compile(tmp_path / "m.sig")
    assert lines(raised.value) == [
        f"{tmp_path / 'lib.sig'}:1:10: error[E002]: unknown name 'y'",
        "   1 | fn f(x): y",
        "     |          ^",
        f"  via {tmp_path / 'm.sig'}:5:8",
    ]


def test_what_only_data_tell_shows_its_place_too() -> None:
    text = TEXT.replace("prces", "prices[ZZZ]")
    frame = pd.DataFrame({"A": [1.0, 2.0]}, index=pd.date_range("2024-01-01", periods=2, name="date"))
    with pytest.raises(SigcError) as raised:
        sigc.compile(text, data={"prices": frame}, cache=False).signals("a")
    shown = lines(raised.value)
    assert shown[0].startswith("strategy.sig:4:19: error[E202]")
    assert shown[1:2] == ["   4 |   emit ret(prices[ZZZ], 20)"]


def test_mistakes_of_calls_have_no_place() -> None:
    strategy = sigc.compile(TEXT.replace("prces", "prices"))
    calls: tuple[Callable[[], Any], ...] = (
        lambda: strategy.signals("b"),
        lambda: strategy.with_params(n=1),
        lambda: strategy.append(x=1),
    )
    for call in calls:
        with pytest.raises(SigcError) as raised:
            call()
        assert "error[E002]" in lines(raised.value)[0]


def test_many_mistakes_are_cut() -> None:
    text = TEXT + "".join(f"signal s{i}:\n  emit nothing{i}\n" for i in range(50))
    with pytest.raises(SigcError) as raised:
        sigc.compile(text)
    assert lines(raised.value)[-1] == "... and 31 more"
    assert len(raised.value.diagnostics) == 51


def test_it_survives_a_process() -> None:
    with pytest.raises(SigcError) as raised:
        sigc.compile(TEXT)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)  # noqa: S301


def test_a_plain_traceback_is_the_caller_one_frame_and_the_place(tmp_path: Path) -> None:
    script = tmp_path / "research.py"
    script.write_text(f"import sigc\n\nsigc.compile({TEXT!r})\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    frames = [row for row in done.stderr.splitlines() if row.startswith("  File ")]
    assert frames[0] == f'  File "{script}", line 3, in <module>'
    assert len(frames) == 2
    assert done.stderr.splitlines()[-3:] == SHOWN
    assert "During handling" not in done.stderr
    assert "direct cause" not in done.stderr
