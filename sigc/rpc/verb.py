"""The declaration of verbs: each is one decorated function with a typed request and a typed reply.

    @dataclass(frozen=True, slots=True)
    class Pause:
        strategy: Name | None = None

    @verb("pause", "POST", Role.OPERATE)
    async def pause(call: Call[Daemon], request: Pause) -> Paused:
        \"\"\"Stop scheduling one strategy, or all.\"\"\"

The route, the checks, the roles, the OpenAPI document and the tests of authorisation follow from the declaration.
GET changes nothing; POST changes state, is audited, and takes at least the role `operate`. A verb that returns
AsyncIterator[T] is a stream of server-sent events. Served by `server`, called by `client`.
"""

from __future__ import annotations

import inspect
import itertools
import re
import types
import typing
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from sigc.rpc.schema import hints

D = TypeVar("D")
Method = Literal["GET", "POST"]
PREFIX = "/v1/"
KEY_PATTERN = r"[A-Za-z0-9_-]{8,128}"  # the pattern of an idempotency key
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}(/[a-z][a-z0-9_-]{0,62}){0,2}")


class Role(StrEnum):
    """The rights of a token; each role includes those before it."""

    READ = "read"
    OPERATE = "operate"
    TRADE = "trade"

    def includes(self, needed: Role) -> bool:
        """Return True if this role is enough.

        >>> Role.OPERATE.includes(Role.READ), Role.OPERATE.includes(Role.TRADE)
        (True, False)
        """
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class VerbCall(Generic[D]):
    """One call: the daemon, the caller's token and address, and its idempotency key."""

    daemon: D
    verb: str
    role: Role
    token: str
    who: str
    peer: str
    key: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """The empty request."""


@dataclass(frozen=True, slots=True)
class Verb(Generic[D]):
    """A verb: name and method are its route, `run` does it.

    is_urgent: done even if it can't be audited, because stopping must always work.
    """

    name: str
    method: Method
    role: Role
    request: type
    reply: Any
    run: Callable[[VerbCall[D], Any], Any]
    summary: str
    is_stream: bool = False
    is_urgent: bool = False
    timeout_s: float = 30.0

    @property
    def path(self) -> str:
        """Return the route.

        >>> Verb("runs/list", "GET", Role.READ, Nothing, Nothing, print, "").path
        '/v1/runs/list'
        """
        return PREFIX + self.name


def verb(
    name: str, method: Method, role: Role, *, is_urgent: bool = False, timeout_s: float = 30.0
) -> Callable[[Callable[[VerbCall[D], Any], Any]], Verb[D]]:
    """Declare a verb; its docstring's first line is its summary. Raise ValueError for an invalid declaration."""

    def declare(run: Callable[[VerbCall[D], Any], Any]) -> Verb[D]:
        parameters = list(inspect.signature(run).parameters)
        found = hints(run)
        summary = (inspect.getdoc(run) or "").partition("\n")[0]
        if len(parameters) != 2 or parameters[1] not in found or "return" not in found or not summary:
            raise ValueError(f"verb {name}: takes a call and a typed request, returns a typed reply, has a docstring")
        request, reply = found[parameters[1]], found["return"]
        is_stream = typing.get_origin(reply) is AsyncIterator
        if is_stream:
            (reply,) = typing.get_args(reply)
        if not _NAME.fullmatch(name) or not is_dataclass(request) or not isinstance(request, type):
            raise ValueError(f"verb {name}: needs a name such as runs/list and a dataclass as request")
        if method == "POST" and (role is Role.READ or is_stream):
            raise ValueError(f"verb {name}: changes state, which is no stream and takes more than the role read")
        return Verb(name, method, role, request, reply, run, summary, is_stream, is_urgent, timeout_s)

    return declare


def verbs_of(*modules: types.ModuleType) -> tuple[Verb[Any], ...]:
    """Return every verb declared in the modules, by name and method. Raise ValueError if two share a route."""
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Verb)]
    return by_route(found)


def by_route(verbs: Iterable[Verb[D]]) -> tuple[Verb[D], ...]:
    """Return the verbs in order of their routes. Raise ValueError if two share one."""
    ordered = tuple(sorted(verbs, key=lambda v: (v.name, v.method)))
    for one, two in itertools.pairwise(ordered):
        if (one.name, one.method) == (two.name, two.method):
            raise ValueError(f"two verbs are {one.method} {one.path}")
    return ordered
