"""Mutated programs: the parser and the checker answer with diagnostics, never with an exception, never never."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigc.lang.check import check_text
from sigc.lang.syntax.format import format
from sigc.lang.syntax.parse import parse
from sigc.plan.lower import lower

TEXTS = [p.read_text(encoding="utf-8") for p in sorted((Path(__file__).parent.parent / "cases").rglob("*.sig"))]
_PIECES = st.sampled_from(
    ["(", ")", "[", "]", ",", ":", "=", "==", "+", "-", "*", "**", "/", "%", ".", "\n", "\n  ", '"', "//", "#", "emit ",
     "signal ", "portfolio ", "data:", "params:", "fn f(x): ", "macro m(x: expr):", "let ", "not ", "and ", "1e999",
     "0", "21d", "9**9", "lead(", "ema(", "prices", "from 2020-13-45", "soft:", "constraints:", "é", "\x00", "\t", "'"]
)  # fmt: skip


@st.composite
def programs(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        match draw(st.integers(0, 4)):
            case 0:
                text = text[:at] + draw(_PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + draw(st.integers(1, 12)) :]
            case 2:
                lines = text.split("\n")
                i, j = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
                lines[i], lines[j] = lines[j], lines[i]
                text = "\n".join(lines)
            case 3:
                text = text[:at] + text[at : at + 30] * 2 + text[at + 30 :]
            case _:
                text = text[:at] + draw(st.text(max_size=5)) + text[at:]
    return text


def _survives(text: str) -> None:
    checked = check_text(text, "fuzz.sig")
    assert checked.ok or checked.diagnostics
    for found in checked.diagnostics:
        assert found.span is None or (found.span.line >= 1 and found.span.column >= 1)
    if checked.ok:
        lower(checked)
    module, errors = parse(text, "fuzz.sig")
    if not errors:
        again, broken = parse(format(module), "fuzz.sig")
        assert not broken
        assert again == module


@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_mutated_programs(text: str) -> None:
    _survives(text)


@pytest.mark.soak
@settings(max_examples=50_000, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_mutated_programs_at_length(text: str) -> None:
    _survives(text)
