"""Conversion between frozen dataclasses and JSON, with every mismatch reported: the type is the schema.

Supported: str, int, float, bool, None, Literal, StrEnum, date, datetime (with a zone), tuple[T, ...], Mapping[str, T],
T | None, dataclasses, Any, and Annotated with the rules `Match` and `Bounds`. Nothing is converted: "1" is not a
number, 1 is not a bool. Only a query string, which has only texts, is read by the type of its field.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from sigc.errors import did_you_mean

T = TypeVar("T")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WHOLE = re.compile(r"-?\d{1,18}")
_NAMES: Mapping[type, str] = types.MappingProxyType(
    {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
)


class MismatchError(Exception):
    """The error that data do not match their type; one problem each as `field: problem`."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """A text that matches the whole pattern."""

    pattern: str

    def problem(self, value: object) -> str:
        """Return what is wrong with `value`, '' if nothing is."""
        return "" if re.fullmatch(self.pattern, str(value)) else f"does not match {self.pattern}"


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """A number within both bounds, inclusive."""

    minimum: float = -math.inf
    maximum: float = math.inf

    def problem(self, value: Any) -> str:
        """Return what is wrong with `value`, '' if nothing is."""
        return "" if self.minimum <= value <= self.maximum else f"is not within {self.minimum} and {self.maximum}"


Name = Annotated[str, Match(r"[a-z][a-z0-9_-]{0,62}")]


def parse_json(text: bytes) -> Any:
    """Return the value of a JSON text. Raise MismatchError, also for NaN, duplicate keys and too deep nesting."""
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as broken:
        raise MismatchError(f"malformed JSON: {str(broken)[:200]}") from broken


def decode(kind: type[T], data: object, *, is_lenient: bool = False) -> T:
    """Return `data` as a `kind`. Raise MismatchError with every problem. is_lenient: unknown fields are ignored.

    >>> decode(tuple[int, ...], [1, 2])
    (1, 2)
    """
    problems: list[str] = []
    value = _Reading(problems, is_lenient).value(kind, data, "")
    if problems:
        raise MismatchError(*problems)
    return typing.cast(T, value)


def decode_query(kind: type[T], pairs: Iterable[tuple[str, str]]) -> T:
    """Return a dataclass from the pairs of a query string; a tuple's field is repeated once for each value."""
    anything: Any = kind
    types_of = hints(anything)
    data: dict[str, Any] = {}
    repeated = []
    for name, text in pairs:
        inner = _bare(types_of.get(name, str))
        if get_origin(inner) is tuple:
            data.setdefault(name, []).append(_from_text(get_args(inner)[0], text))
        elif name in data:
            repeated.append(f"{name}: is given twice")
        else:
            data[name] = _from_text(inner, text)
    if repeated:
        raise MismatchError(*repeated)
    return decode(kind, data)


def encode(value: object) -> Any:
    """Return a value as JSON holds it. NaN and infinities, which JSON can't write, become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): encode(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encode(inner) for inner in value]
    return value


def to_json(value: object) -> bytes:
    """Return a value as JSON text. Deterministic: same value, same bytes."""
    return json.dumps(encode(value), allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def required(field: dataclasses.Field[Any]) -> bool:
    """Return True if a field of a dataclass has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@functools.cache
def hints(kind: Any) -> Mapping[str, Any]:
    """Return the types of a dataclass' fields, with their rules."""
    return typing.get_type_hints(kind, include_extras=True)


class _Reading:
    """One reading of data. Problems are collected, not raised."""

    def __init__(self, problems: list[str], is_lenient: bool) -> None:
        self.problems, self.is_lenient = problems, is_lenient

    def wrong(self, at: str, what: str) -> None:
        self.problems.append(f"{at or 'the value'}: {what}")

    def value(self, kind: Any, data: Any, at: str) -> Any:
        origin, arguments = get_origin(kind), get_args(kind)
        if kind is Any or kind is object:
            return data
        if origin is Annotated:
            return self.ruled(arguments[0], arguments[1:], data, at)
        if origin in (typing.Union, types.UnionType):
            return self.union(arguments, data, at)
        if origin is Literal:
            return self.among(arguments, data, at)
        if origin is tuple:
            return self.sequence(arguments[0], data, at)
        if origin is not None:
            return self.mapping(arguments[1], data, at)
        if dataclasses.is_dataclass(kind):
            return self.record(kind, data, at)
        if issubclass(kind, StrEnum):
            found = self.among(tuple(member.value for member in kind), data, at)
            return None if found is None else kind(found)
        return self.scalar(kind, data, at)

    def scalar(self, kind: type, data: Any, at: str) -> Any:
        if kind in (date, datetime):
            return self.time(kind, data, at)
        # An int is a valid float; beyond 1e300 `float` could overflow, so it is reported as a wrong type.
        if kind is float and type(data) is int:
            data = float(data) if abs(data) < 1e300 else data
        if type(data) is not kind:
            return self.wrong(at, f"is not {_NAMES[kind]}")
        if isinstance(data, float) and not math.isfinite(data):
            return self.wrong(at, "is not finite")
        # JSON's \u escapes can make a lone surrogate, which no UTF-8 file or socket can take.
        if isinstance(data, str) and any("\ud800" <= c <= "\udfff" for c in data):
            return self.wrong(at, "has half of a surrogate pair")
        return data

    def time(self, kind: type, data: Any, at: str) -> Any:
        try:
            if kind is date and isinstance(data, str) and _DATE.fullmatch(data):
                return date.fromisoformat(data)
            if kind is datetime and isinstance(data, str):
                found = datetime.fromisoformat(data)
                if found.tzinfo is not None:
                    return found
        except ValueError:
            pass
        return self.wrong(at, "is not a date such as 2024-01-15" if kind is date else "is not a time with a zone")

    def ruled(self, kind: Any, rules: tuple[Any, ...], data: Any, at: str) -> Any:
        before = len(self.problems)
        value = self.value(kind, data, at)
        for problem in (rule.problem(value) for rule in rules if len(self.problems) == before):
            if problem:
                self.wrong(at, problem)
        return value

    def union(self, kinds: tuple[Any, ...], data: Any, at: str) -> Any:
        if data is None and type(None) in kinds:
            return None
        others = [kind for kind in kinds if kind is not type(None)]
        # With one other type its own problems say more than "has none of the expected types".
        if len(others) == 1:
            return self.value(others[0], data, at)
        for kind in others:
            attempt = _Reading([], self.is_lenient)
            value = attempt.value(kind, data, at)
            if not attempt.problems:
                return value
        return self.wrong(at, "has none of the expected types")

    def among(self, allowed: tuple[Any, ...], data: Any, at: str) -> Any:
        # The type counts: True == 1 in Python.
        if any(data == one and type(data) is type(one) for one in allowed):
            return data
        return self.wrong(at, f"is not one of {', '.join(map(str, allowed))}")

    def sequence(self, kind: Any, data: Any, at: str) -> Any:
        if not isinstance(data, list):
            return self.wrong(at, "is not a list")
        return tuple(self.value(kind, inner, f"{at}[{number}]") for number, inner in enumerate(data))

    def mapping(self, kind: Any, data: Any, at: str) -> Any:
        if not isinstance(data, dict):
            return self.wrong(at, "is not an object")
        return {key: self.value(kind, inner, f"{at}.{key}" if at else key) for key, inner in data.items()}

    def record(self, kind: Any, data: Any, at: str) -> Any:
        if not isinstance(data, dict):
            return self.wrong(at, "is not an object")
        before, types_of, given = len(self.problems), hints(kind), {}
        fields = {field.name: field for field in dataclasses.fields(kind)}
        for name, inner in data.items():
            here = f"{at}.{name}" if at else str(name)
            if name in fields:
                given[name] = self.value(types_of[name], inner, here)
            elif not self.is_lenient:
                hint = did_you_mean(name, fields)
                self.wrong(here[:200], "is not a known field" + (f", {hint}" if hint else ""))
        for name, field in fields.items():
            if name not in data and required(field):
                self.wrong(f"{at}.{name}" if at else name, "is missing")
        return kind(**given) if len(self.problems) == before else None


def _bare(kind: Any) -> Any:
    """Return the type without its rules and without None."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (typing.Union, types.UnionType):
        others = [inner for inner in get_args(kind) if inner is not type(None)]
        return _bare(others[0]) if len(others) == 1 else kind
    return kind


def _from_text(kind: Any, text: str) -> object:
    """Return a query's text as its field's type; the text itself if it does not fit, for `decode` to report."""
    kind = _bare(kind)
    if kind is int and _WHOLE.fullmatch(text):
        return int(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            return text
    return {"true": True, "false": False}.get(text, text) if kind is bool else text


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not allowed")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("duplicate key")
    return found
