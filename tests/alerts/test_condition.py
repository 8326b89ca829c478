"""Conditions over metrics: against Python's own evaluation of the same text; nothing but arithmetic is accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.alerts.condition import NUMBERS, parse
from sigc.errors import SigcError

_NAMES = ("nav", "positions", "open_orders")
numbers = st.recursive(
    st.sampled_from(_NAMES) | st.integers(0, 9).map(str) | st.floats(0, 9).map(lambda x: f"{x:.3f}"),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda t: f"-{t}")
    ),
    max_leaves=6,
)
comparisons = st.tuples(numbers, st.sampled_from(("<", "<=", ">", ">=", "==", "!=")), numbers).map(" ".join)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda t: f"not ({t})")
    ),
    max_leaves=5,
)


@given(conditions, st.lists(st.integers(-5, 5), min_size=3, max_size=3))
def test_it_means_what_python_means(text: str, drawn: list[int]) -> None:
    values = dict(zip(_NAMES, map(float, drawn), strict=True))
    whole = f"({text}) or nav > 1e9"
    assert parse(whole).holds(values) is bool(eval(whole, {"__builtins__": {}}, dict(values)))  # noqa: S307


@given(conditions, st.lists(st.integers(-5, 5), min_size=3, max_size=3), st.sets(st.sampled_from(_NAMES)))
def test_what_is_known_with_less_stays_so_with_more(text: str, drawn: list[int], missing: set[str]) -> None:
    """Unknown is neither true nor false: an answer that is given without a value holds whatever the value is."""
    values = dict(zip(_NAMES, map(float, drawn), strict=True))
    one = parse(f"({text}) or nav > 1e9")
    early = one.holds({name: value for name, value in values.items() if name not in missing})
    assert early in (None, one.holds(values))


def test_words_may_be_shouted() -> None:
    one = parse("daily_pnl_pct < -0.02 AND NOT open_orders == 0")
    assert one.names == ("daily_pnl_pct", "open_orders")
    assert one.is_per_strategy
    assert not parse("memory_mb > 4000").is_per_strategy
    assert parse("memory_mb > 4000 or nav < 1").is_per_strategy


def test_a_division_by_zero_and_no_number_are_unknown() -> None:
    one = parse("nav / positions > 1")
    assert one.holds({"nav": 5.0, "positions": 0.0}) is None
    assert one.holds({"nav": float("nan"), "positions": 1.0}) is None
    assert one.holds({"nav": 5.0, "positions": 1.0}) is True


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not an expression"),
        ("nav >", "not an expression"),
        ("nav", "not a comparison"),
        ("1 < 2", "uses no name"),
        ("nav > 1; nav", "not an expression"),
        ("__import__('os').system('x') > 0", "not a number or a name"),
        ("nav.real > 0", "not a number or a name"),
        ("nav[0] > 0", "not a number or a name"),
        ("nav ** 9 > 0", "operator Pow"),
        ("nav in (1, 2)", "operator In"),
        ("nav is 1", "operator Is"),
        ("(lambda: nav)() > 0", "not a number or a name"),
        ("nav > True", "not a number or a name"),
        ("nav > 'x'", "not a number or a name"),
        ("nav > 1j", "not a number or a name"),
        ("nav > 1e999", "not a number or a name"),
        ("not nav", "not a comparison"),
        ("nav > (x := 3)", "not a number or a name"),
        ("(nav > 1) + 2 > 1", "not a number or a name"),
        ("(" * 90 + "nav" + ")" * 90 + " > 0 and nav > 0 and " + "-" * 60 + "nav > 0", "levels deep"),
        ("nav > 0 or " * 100 + "nav > 1", "longer than"),
        ("daily_pnl < 0", "unknown name"),
        ("nav + daily_pnl > 0", "unknown name"),
        ("0 < nav < daily_pnl", "unknown name"),
        ("nav > 0 and daily_pnl < 0", "unknown name"),
        ("nav * __import__('os').system('x') > 0", "not a number or a name"),
        ("nav > 0 < ().x", "not a number or a name"),
        ("nav > 1 + 2 ** 3", "operator Pow"),
        ("-nav.real > 0", "not a number or a name"),
        ("nav > 1e300", "not a number or a name"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(SigcError, match=why) as refused:
        parse(text)
    assert refused.value.diagnostics[0].code == "E402"
    if "uses no name" in why or "number or a name" in why:
        assert refused.value.diagnostics[0].hint == f"names: {', '.join(NUMBERS)}"
    if "daily" in text:
        assert refused.value.diagnostics[0].hint == "did you mean 'daily_pnl_pct'?"


NESTED = [("not ", ""), ("nav>1 or(", ")"), ("nav>1 and(", ")"), ("-", ""), ("(", "+1)"), ("(1+", ")")]


@pytest.mark.parametrize(("before", "after"), NESTED)
def test_a_comparison_is_nested_in_29_levels_at_most(before: str, after: str) -> None:
    """Its numbers are one more."""
    inner, rest = ("nav>0", "") if before[0] == "n" else ("nav", ">0")
    parse(before * 29 + inner + after * 29 + rest)
    with pytest.raises(SigcError, match="nested more than 30 levels deep"):
        parse(before * 30 + inner + after * 30 + rest)


def test_it_has_500_characters_at_most() -> None:
    text = "nav > 0".ljust(500)
    assert parse(text).names == ("nav",)
    with pytest.raises(SigcError, match="longer than 500 characters"):
        parse(text + " ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nav > 5 and positions > 1", None),
        ("nav > 9 and positions > 1", False),
        ("nav > 5 or positions > 1", True),
        ("nav > 9 or positions > 1", None),
        ("not positions > 1", None),
        ("5 < nav < positions", None),
        ("9 < nav < positions", False),
        ("nav + positions > 1", None),
        ("-positions < 1", None),
        ("-nav < -5", True),
        ("+nav > 5", True),
    ],
)
def test_what_is_unknown_decides_nothing(text: str, expected: bool | None) -> None:
    assert parse(text).holds({"nav": 7.0}) is expected


def test_which_names_every_strategy_has_of_its_own() -> None:
    of_the_daemon = {"memory_mb", "cpu_pct", "loop_lag_ms", "runs_active", "open_alerts", "uptime_hours"}
    assert {name for name, (_, own) in NUMBERS.items() if not own} == of_the_daemon


def test_every_name_is_described() -> None:
    assert all(text and isinstance(own, bool) for text, own in NUMBERS.values())
