"""Thrift's compact protocol, write only: the subset that page heads and parquet footers need.

A value is its type in the protocol and its bytes.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

>>> struct({1: i32(3), 2: text("ab")}).raw.hex()
'15061802616200'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

_TRUE, _FALSE, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 5, 6, 8, 9, 12
_SHORT_LIST = 15


class ThriftValue(NamedTuple):
    """The value of a field or a list element."""

    type: int
    raw: bytes


def varint(number: int) -> bytes:
    """Encode a number >= 0, seven bits a byte, the lowest first.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def i32(number: int) -> ThriftValue:
    """Encode a number >= 0 and below 2^31."""
    # Signed numbers are zigzag-coded: n >= 0 becomes 2n.
    return ThriftValue(_I32, varint(2 * number))


def i64(number: int) -> ThriftValue:
    """Encode a number >= 0 and below 2^63."""
    return ThriftValue(_I64, varint(2 * number))


def flag(value: bool) -> ThriftValue:
    """Encode a boolean as a field: its type is its value."""
    return ThriftValue(_TRUE if value else _FALSE, b"")


def text(value: str) -> ThriftValue:
    """Encode a text as UTF-8."""
    raw = value.encode()
    return ThriftValue(_BINARY, varint(len(raw)) + raw)


def listed(values: Sequence[ThriftValue]) -> ThriftValue:
    """Encode a list of values of one type; an empty list counts as one of structs."""
    kind = values[0].type if values else _STRUCT
    head = bytes([len(values) << 4 | kind]) if len(values) < _SHORT_LIST else bytes([0xF0 | kind]) + varint(len(values))
    return ThriftValue(_LIST, head + b"".join(v.raw for v in values))


def struct(fields: Mapping[int, ThriftValue]) -> ThriftValue:
    """Encode a struct of fields by number, ascending from 1, less than 16 apart."""
    out = bytearray()
    before = 0
    for number, value in fields.items():
        out.append((number - before) << 4 | value.type)
        out += value.raw
        before = number
    out.append(0)
    return ThriftValue(_STRUCT, bytes(out))
