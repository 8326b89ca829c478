"""What the page knows of one daemon: asked once for all open tabs, as any client asks.

    tabs -- want(asks) --> Feed -- thread: GET each ask when it is due --> Snapshot -- told to every listener

One thread and one connection for each daemon, so fifty tabs cost the daemon what one costs. A snapshot is a value:
what every ask was last answered, and when. While nobody looks, nothing is asked but, now and then, how it is.
A feed has no token of its own: it borrows that of a person who is logged in, and asks nothing when there is none.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from sigc.daemon.client import Client, NoDaemonError, Target
from sigc.daemon.messages import StatusReply
from sigc.errors import SigcError

T = TypeVar("T")
_PATIENCE_S = 3.0  # for an answer; the page is stale after 5
_AGAIN_S = 1.0  # after nobody answered
_IDLE_EVERY_S = 15.0
_MOST_AT_ONCE = 6  # asks, between two snapshots
_NO_ANSWERS: Mapping[Ask[Any], Answer] = MappingProxyType({})
log = logging.getLogger("sigc.page")


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """A verb that looks (GET) and how often its answer is wanted. fields: of the request, as pairs.

    Two that differ in `every_s` alone are one, at the pace of whoever looked first.
    """

    verb: str
    reply: type[T]
    fields: tuple[tuple[str, object], ...] = ()
    every_s: float = field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an ask was answered, or why it was refused; when, in seconds of the monotonic clock."""

    value: Any = None
    problem: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known. heard_at: when the daemon last answered; problem: why it does not, '' while it does."""

    answers: Mapping[Ask[Any], Answer] = field(default_factory=lambda: _NO_ANSWERS)
    heard_at: float = 0.0
    problem: str = ""
    number: int = 0

    def get(self, ask: Ask[T]) -> T | None:
        """The answer, None while there is none."""
        found = self.answers.get(ask)
        return None if found is None else cast("T | None", found.value)

    def refusal(self, ask: Ask[Any]) -> str:
        """Why an ask was refused, '' when it was not."""
        found = self.answers.get(ask)
        return "" if found is None else found.problem


STATUS = Ask("status", StatusReply)
DETAILS = Ask("status", StatusReply, (("is_detailed", True),), every_s=3.0)
_IDLE = Ask("status", StatusReply, every_s=_IDLE_EVERY_S)


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach the daemon now, and with whose token. given_back: told when that token is refused."""

    target: Callable[[], Target]
    token: Callable[[], str]
    refused: Callable[[str], None]


class Feed:
    """One daemon. `listen` is called with each new snapshot, in the feed's thread."""

    def __init__(self, name: str, way: Way, listen: Callable[[Snapshot], None]) -> None:
        self.name = name
        self._way, self._listen = way, listen
        self._wanted: Counter[Ask[Any]] = Counter()
        self._turn = threading.Condition()
        self._is_closed = False
        self._hurried_at = 0.0
        self._client: Client | None = None
        self._token = ""
        self.snapshot = Snapshot()
        self.calls = 0
        self._thread = threading.Thread(target=self._run, name=f"sigc-feed-{name}", daemon=True)
        self._thread.start()

    def want(self, asks: Iterable[Ask[Any]]) -> None:
        """Somebody looks: these are to be answered, the status among them."""
        with self._turn:
            self._wanted.update(set(asks))
            self._turn.notify_all()

    def release(self, asks: Iterable[Ask[Any]]) -> None:
        """They do not look any more."""
        with self._turn:
            self._wanted.subtract(set(asks))
            for ask in [ask for ask, count in self._wanted.items() if count <= 0]:
                del self._wanted[ask]

    def hurry(self) -> None:
        """Ask everything again now: something was changed from here."""
        with self._turn:
            self._hurried_at = time.monotonic()
            self._turn.notify_all()

    def close(self) -> None:
        """Ask nothing more."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()
        self._thread.join(2 * _PATIENCE_S)

    def _run(self) -> None:
        while True:
            with self._turn:
                if self._is_closed:
                    break
                due = self._due(time.monotonic())
                if not due:
                    self._turn.wait(self._pause(time.monotonic()))
                    continue
            try:
                self._round(due)
            except Exception:  # a feed that ends shows stale data for ever
                log.exception("the feed of %s failed", self.name)
                self._tell(self.snapshot.answers, False, "the page failed to read the daemon; see the page's log")
        if self._client is not None:
            self._client.close()

    def _asks(self) -> list[Ask[Any]]:
        return list(self._wanted) or [_IDLE]

    def _due(self, now: float) -> list[Ask[Any]]:
        """The next few: the status first, then who waits longest, so that many asks do not make the page wait."""
        answers = self.snapshot.answers
        waits = {ask: answers[ask].at if ask in answers else 0.0 for ask in self._asks()}
        due = [ask for ask, at in waits.items() if at <= self._hurried_at or now >= at + ask.every_s]
        return sorted(due, key=lambda ask: (ask != STATUS, waits[ask], ask.verb))[:_MOST_AT_ONCE]

    def _pause(self, now: float) -> float:
        answers = self.snapshot.answers
        return max(0.01, min(answers[ask].at + ask.every_s for ask in self._asks()) - now)

    def _round(self, due: list[Ask[Any]]) -> None:
        """Ask what is due. Answers nobody wants any more are dropped."""
        token = self._way.token()
        if not token:
            self._tell({ask: Answer(at=time.monotonic()) for ask in due}, False, "nobody is logged in")
            return
        kept = {ask: answer for ask, answer in self.snapshot.answers.items() if ask in self._wanted}
        for ask in due:
            try:
                kept[ask] = self._ask(ask, token)
            except NoDaemonError as gone:
                self._drop()
                at = time.monotonic()
                # What was known stays on the page, greyed; all of it is asked for again together.
                lost = {one: Answer(old.value, old.problem, at - one.every_s + _AGAIN_S) for one, old in kept.items()}
                unknown = {one: Answer(at=at - one.every_s + _AGAIN_S) for one in due if one not in lost}
                self._tell({**lost, **unknown}, False, str(gone))
                return
            if ask == STATUS and kept[ask].problem:
                self._way.refused(token)
                self._tell(kept, False, kept[ask].problem)
                return
            if self._is_closed:
                return
        self._tell(kept, True, "")

    def _ask(self, ask: Ask[Any], token: str) -> Answer:
        self.calls += 1
        try:
            value = self._connected(token).get(ask.verb, dict(ask.fields), reply=ask.reply)
        except NoDaemonError:
            raise
        except SigcError as refused:
            return Answer(None, str(refused), time.monotonic())
        return Answer(value, "", time.monotonic())

    def _connected(self, token: str) -> Client:
        if self._client is None or token != self._token:
            self._drop()
            found = self._way.target()
            self._client = Client(Target(found.address, token, found.tls), _PATIENCE_S, who="page")
            self._token = token
        return self._client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _tell(self, answers: Mapping[Ask[Any], Answer], is_heard: bool, problem: str) -> None:
        heard_at = time.monotonic() if is_heard else self.snapshot.heard_at
        self.snapshot = Snapshot(MappingProxyType(dict(answers)), heard_at, problem, self.snapshot.number + 1)
        self._listen(self.snapshot)
