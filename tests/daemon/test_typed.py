"""Requests and replies as types: what is taken, what is refused and why; the laws of there and back."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.errors import Diagnostic, Span
from sigc.rpc.openapi import schema
from sigc.rpc.schema import Bounds, MismatchError, Name, decode, decode_query, encode, parse_json, to_json


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True)
class Leg:
    asset: str
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Everything:
    name: Name
    count: Annotated[int, Bounds(1, 10)] = 1
    share: float = 0.5
    flag: bool = False
    side: Side = Side.BUY
    kind: Literal["a", "b"] = "a"
    on: date | None = None
    at: datetime | None = None
    legs: tuple[Leg, ...] = ()
    by: Mapping[str, float] | None = None
    mixed: int | str = 0
    anything: Any = None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "name: is missing"),
        ({"name": "M"}, "name: does not match [a-z][a-z0-9_-]{0,62}"),
        ({"name": "a\n"}, "name: does not match [a-z][a-z0-9_-]{0,62}"),
        ({"name": 1}, "name: is not a text"),
        ({"name": None}, "name: is not a text"),
        ({"name": "m", "coutn": 1}, "coutn: is not a known field, did you mean 'count'?"),
        ({"name": "m", "count": 11}, "count: is not within 1 and 10"),
        ({"name": "m", "count": True}, "count: is not a whole number"),
        ({"name": "m", "count": 1.0}, "count: is not a whole number"),
        ({"name": "m", "count": "1"}, "count: is not a whole number"),
        ({"name": "m", "share": True}, "share: is not a number"),
        ({"name": "m", "share": 10**400}, "share: is not a number"),
        ({"name": "m", "share": math.inf}, "share: is not finite"),
        ({"name": "m", "flag": 1}, "flag: is not true or false"),
        ({"name": "m", "flag": None}, "flag: is not true or false"),
        ({"name": "m", "side": "hold"}, "side: is not one of buy, sell"),
        ({"name": "m", "kind": 1}, "kind: is not one of a, b"),
        ({"name": "m", "on": "20240115"}, "on: is not a date such as 2024-01-15"),
        ({"name": "m", "on": "2024-02-30"}, "on: is not a date such as 2024-01-15"),
        ({"name": "m", "at": "2024-01-15T09:00:00"}, "at: is not a time with a zone"),
        ({"name": "m", "legs": {}}, "legs: is not a list"),
        ({"name": "m", "legs": [{"asset": "A"}, {"asset": 1}]}, "legs[1].asset: is not a text"),
        ({"name": "m", "legs": [{}]}, "legs[0].asset: is missing"),
        ({"name": "m", "by": {"A": "x"}}, "by.A: is not a number"),
        ({"name": "m", "mixed": 1.5}, "mixed: has none of the expected types"),
        ([], "the value: is not an object"),
        ({"name": "m", "kind": "\ud800"}, "kind: is not one of a, b"),
        ({"name": "m", "legs": [{"asset": "\ud800"}]}, "legs[0].asset: has half of a surrogate pair"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(data: object, problem: str) -> None:
    with pytest.raises(MismatchError) as found:
        decode(Everything, data)
    assert found.value.problems == (problem,)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(MismatchError) as found:
        decode(Everything, {"count": "x", "legs": [1], "more": 1})
    assert len(found.value.problems) == 4


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_EVERYTHING = st.builds(
    Everything,
    name=st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True),
    count=st.integers(1, 10),
    share=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    side=st.sampled_from(Side),
    on=st.none() | st.dates(),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    legs=st.lists(st.builds(Leg, _TEXTS, st.floats(-1, 1))).map(tuple),
    by=st.none() | st.dictionaries(_TEXTS, st.floats(-1, 1)),
    mixed=st.integers() | _TEXTS,
    anything=st.none() | st.lists(st.integers()),
)


@given(_EVERYTHING)
def test_there_and_back_is_the_same(value: Everything) -> None:
    assert decode(Everything, parse_json(to_json(value))) == value
    assert to_json(decode(Everything, encode(value))) == to_json(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_no_data_break_the_reading(data: object) -> None:
    for kind in (Everything, Diagnostic):
        with contextlib.suppress(MismatchError):
            decode(kind, data)


def test_diagnostics_cross_as_they_are() -> None:
    found = Diagnostic("E002", "unknown", Span("m.sig", 1, 2, 3), via=(Span("n.sig", 4, 5),))
    assert decode(Diagnostic, json.loads(to_json(found))) == found


def test_a_newer_daemon_may_say_more() -> None:
    assert decode(Leg, {"asset": "A", "new": 1}, is_lenient=True) == Leg("A")


def test_numbers_that_json_has_no_word_for_are_null() -> None:
    assert to_json({"nav": math.nan, "up": [math.inf]}) == b'{"nav":null,"up":[null]}'


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b"NaN", b'{"a":1,"a":2}', b"[" * 100_000, b"9" * 10_000, b'"\x01"']
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(MismatchError, match="malformed JSON"):
        parse_json(text)


@dataclass(frozen=True, slots=True)
class Query:
    last: int | None = None
    share: float = 0.0
    full: bool = False
    names: tuple[Name, ...] = ()
    text: str = ""


def test_a_query_is_read_by_the_types_of_its_fields() -> None:
    pairs = [("last", "5"), ("share", "0.5"), ("full", "true"), ("names", "a"), ("names", "b"), ("text", "5")]
    assert decode_query(Query, pairs) == Query(5, 0.5, True, ("a", "b"), "5")
    for bad in ([("last", "x")], [("last", "1_0")], [("full", "1")], [("more", "1")], [("text", "a"), ("text", "b")], [("share", "nan")]):  # fmt: skip
        with pytest.raises(MismatchError):
            decode_query(Query, bad)


def test_the_schema_says_the_same() -> None:
    schemas: dict[str, Any] = {}
    assert schema(Everything, schemas) == {"$ref": "#/components/schemas/Everything"}
    found = schemas["Everything"]
    assert found["required"] == ["name"]
    assert found["properties"]["count"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}
    assert found["properties"]["legs"]["items"] == {"$ref": "#/components/schemas/Leg"}
    assert found["properties"]["side"] == {"enum": ["buy", "sell"], "default": "buy"}
    assert schemas["Leg"]["additionalProperties"] is False
