"""Logins: verified tokens, kept in this process's memory only.

    log_in -> Pass, its id in a signed cookie -> find(id) at every request -> log_out, or it expires

A person has a pass for each daemon they proved a token of; the cookie names the person, and holds no token. The key
that signs the cookie is made anew by each process, so that nothing of it outlives the process.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from sigc.rpc.verb import Role

_MOST_PEOPLE = 1000


@dataclass(frozen=True, slots=True)
class Pass:
    """A token that a daemon has accepted: its name there and its role. user: the name that the person gave."""

    daemon: str
    token: str = field(repr=False)
    token_name: str = ""
    role: Role = Role.READ
    user: str = ""


@dataclass(eq=False, slots=True)
class Person:
    """A logged-in browser. until: in seconds of the sessions' clock."""

    id: str
    until: float
    passes: dict[str, Pass] = field(default_factory=dict)


class Sessions:
    """All logins. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float], lasts_s: float) -> None:
        self._clock, self.lasts_s = clock, lasts_s
        self.key = secrets.token_hex(32)
        self._people: dict[str, Person] = {}

    def find(self, id: str) -> Person | None:
        """Return the person with that id, None if nobody has it any more."""
        person = self._people.get(id)
        if person is not None and self._clock() >= person.until:
            self.log_out(id)
            return None
        return person

    def log_in(self, id: str, proven: Pass) -> Person:
        """Store a pass, for the person of that id if there is one. The id is new each time: one that somebody
        planted in a browser gets nobody in."""
        before = self.find(id)
        passes = {**(before.passes if before is not None else {}), proven.daemon: proven}
        self.log_out(id)
        person = Person(secrets.token_urlsafe(32), self._clock() + self.lasts_s, passes)
        self._people[person.id] = person
        while len(self._people) > _MOST_PEOPLE:
            self._people.pop(next(iter(self._people)))
        return person

    def log_out(self, id: str) -> None:
        """Forget the person and their tokens."""
        person = self._people.pop(id, None)
        if person is not None:
            person.passes = {}

    def token_of(self, daemon: str) -> str:
        """Return the token of a logged-in person for the daemon; '' without one."""
        for id in list(self._people):
            person = self.find(id)
            if person is not None and daemon in person.passes:
                return person.passes[daemon].token
        return ""

    def refuse(self, daemon: str, token: str) -> None:
        """Log out of a daemon each person whose token it no longer accepts."""
        for person in list(self._people.values()):
            held = person.passes.get(daemon)
            if held is not None and held.token == token:
                person.passes = {name: p for name, p in person.passes.items() if name != daemon}

    def __len__(self) -> int:
        return len(self._people)
