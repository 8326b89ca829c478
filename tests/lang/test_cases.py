"""Cases in files: strategies that check, and mistakes with the text they print (SIGC_WRITE_CASES=1 rewrites it)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sigc.errors import render
from sigc.lang.check import check_text
from sigc.lang.codes import CODES

CASES = Path(__file__).parent.parent / "cases"
ERRORS = sorted((CASES / "errors").glob("*.sig"))
STRATEGIES = sorted((CASES / "strategies").glob("*.sig"))
# What only data, a run, the configuration or a broker decide; tested where that is.
_ELSEWHERE = {
    "E201",
    "E202",
    "E203",
    "E300",
    "E302",
    "E310",
    "E311",
    "E312",
    "E400",
    "E401",
    "E402",
    "E403",
    "E806",
    "E501",
    "E502",
    "E600",
    "E601",
    "E602",
    "E603",
    "E800",
    "E801",
    "E802",
    "E803",
    "E804",
    "E805",
    "E810",
    "E811",
    "E812",
    "E900",
    "E901",
}


def _rendered(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    os.chdir(path.parent)
    checked = check_text(text, path.name)
    return "\n".join(render(d, checked.sources) for d in checked.diagnostics) + "\n"


@pytest.mark.parametrize("path", ERRORS, ids=lambda p: p.stem)
def test_mistakes_print(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    found = _rendered(path)
    expected = path.with_suffix(".txt")
    if os.environ.get("SIGC_WRITE_CASES"):
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")


def test_every_code_of_the_text_has_a_case() -> None:
    shown = "".join(p.with_suffix(".txt").read_text(encoding="utf-8") for p in ERRORS)
    missing = (
        {c for c in CODES if c not in shown} - _ELSEWHERE - {"W002", "W003", "W004", "W006", "W007", "W008", "W009"}
    )
    assert not missing


def test_five_mistakes_are_five_errors() -> None:
    checked = check_text((CASES / "errors" / "five.sig").read_text(encoding="utf-8"), "five.sig")
    assert len({d.span.line for d in checked.diagnostics if d.span}) == 5
    assert all("^" in render(d, checked.sources) for d in checked.diagnostics)


@pytest.mark.parametrize("path", STRATEGIES, ids=lambda p: p.stem)
def test_strategies_check(path: Path) -> None:
    checked = check_text(path.read_text(encoding="utf-8"), path.name)
    assert checked.ok, [render(d, checked.sources) for d in checked.diagnostics]
    assert not checked.diagnostics


def test_every_code_is_explained() -> None:
    for code, (title, text) in CODES.items():
        assert title, code
        assert len(text) > 40, code
