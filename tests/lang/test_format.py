"""parse(format(m)) == m, and formatting twice changes nothing: on cases, and on generated expressions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.lang.syntax.format import expression, format
from sigc.lang.syntax.nodes import Argument, Binary, Call, Column, Name, Node, Number, Text, Unary
from sigc.lang.syntax.parse import parse

CASES = sorted((Path(__file__).parent.parent / "cases" / "strategies").glob("*.sig"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_cases_survive(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    module, errors = parse(text, path.name)
    assert not errors
    formatted = format(module)
    again, errors = parse(formatted, path.name)
    assert not errors
    assert again == module
    assert format(again) == formatted
    assert sorted(c.text.strip() for c in again.comments) == sorted(c.text.strip() for c in module.comments)


_NAMES = st.sampled_from(["prices", "x", "signal", "top", "fundamentals.roe"])
_LEAVES = st.one_of(
    _NAMES.map(Name),
    st.floats(0, 1e6, allow_nan=False).map(Number),
    st.sampled_from(["Energy", ""]).map(Text),
)


def _grow(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    arithmetic = st.sampled_from(["+", "-", "*", "/", "%", "**", "and", "or", ">", "=="])
    call = st.builds(
        lambda f, a, k: Call(f, (*(Argument(x) for x in a), *(Argument(v, n) for n, v in k.items()))),
        st.sampled_from(["rank", "lag", "where"]),
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["n", "window"]), inner, max_size=2),
    )
    method = st.builds(
        lambda x, a: Call("rank", (Argument(x), *(Argument(v) for v in a)), method=True),
        inner,
        st.lists(inner, max_size=2),
    )
    return st.one_of(
        st.builds(Binary, arithmetic, inner, inner),
        st.builds(Unary, st.sampled_from(["-", "not"]), inner),
        st.builds(Column, inner, st.sampled_from(["AAPL", "BRK.B", "3M"])),
        call,
        method,
    )


@given(st.recursive(_LEAVES, _grow, max_leaves=12))
def test_expressions_survive(node: Node) -> None:
    text = f"signal a:\n  emit {expression(node)}\n"
    module, errors = parse(text, "t.sig")
    assert not errors, text
    assert module.signals[0].emit == node
