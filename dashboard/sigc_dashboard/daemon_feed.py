"""State of one daemon for all open tabs of the page: each request is made once, as by any client.

    tabs -- want(asks) --> Feed -- thread: GET each ask when it is due --> Snapshot -- told to every listener

One thread and one connection for each daemon, so fifty tabs cost the daemon what one costs. A snapshot is a value:
what every ask was last answered, and when. While nobody looks, nothing is asked but, now and then, how it is.
A feed has no token of its own: it borrows that of a person who is logged in, and asks nothing when there is none.
"""

from __future__ import annotations

import http
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from sigc.rpc.client import Client, NoDaemonError, RefusedError, Target
from sigc.rpc.messages.requests import StatusReply

T = TypeVar("T")
_PATIENCE_S = 3.0  # for an answer; the page is stale after 5
_AGAIN_S = 1.0  # after nobody answered
_IDLE_EVERY_S = 15.0
_SLOW_AGAIN_S = 5.0  # after a verb took longer than our patience
_AGAINST_ALL = frozenset({401, 429})
_MOST_AT_ONCE = 6  # asks, between two snapshots
_NO_ANSWERS: Mapping[Ask[Any], FeedAnswer] = MappingProxyType({})
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
class FeedAnswer:
    """An answer to an ask, or the reason of its refusal. due: when to ask again, by the monotonic clock."""

    value: Any = None
    problem: str = ""
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known of a daemon. heard_at: its last answer; problem: the reason why it does not answer, '' while
    it does.
    """

    answers: Mapping[Ask[Any], FeedAnswer] = field(default_factory=lambda: _NO_ANSWERS)
    heard_at: float = 0.0
    problem: str = ""
    number: int = 0

    def get(self, ask: Ask[T]) -> T | None:
        """Return the answer, None while there is none."""
        found = self.answers.get(ask)
        return None if found is None else cast("T | None", found.value)

    def refusal(self, ask: Ask[Any]) -> str:
        """Return the reason why an ask was refused, '' if it was not."""
        found = self.answers.get(ask)
        return "" if found is None else found.problem


STATUS = Ask("status", StatusReply)
DETAILS = Ask("status", StatusReply, (("is_detailed", True),), every_s=3.0)
_IDLE = Ask("status", StatusReply, every_s=_IDLE_EVERY_S)


@dataclass(frozen=True, slots=True)
class DaemonRoute:
    """The way to the daemon now, and a token for it. refused: called with a token that the daemon does not accept."""

    target: Callable[[], Target]
    token: Callable[[], str]
    refused: Callable[[str], None]


class DaemonFeed:
    """One daemon. `listen` is called with each new snapshot, in the feed's thread."""

    def __init__(self, name: str, way: DaemonRoute, listen: Callable[[Snapshot], None]) -> None:
        self.name = name
        self._way, self._listen = way, listen
        self._wanted: Counter[Ask[Any]] = Counter()
        self._turn = threading.Condition()
        self._is_closed = False
        self._hurried: set[Ask[Any]] = set()
        self._client: Client | None = None
        self._token = ""
        self.snapshot = Snapshot()
        self._thread = threading.Thread(target=self._run, name=f"sigc-feed-{name}", daemon=True)
        self._thread.start()

    def want(self, asks: Iterable[Ask[Any]]) -> None:
        """Register asks of a tab: they are to be answered, the status among them."""
        with self._turn:
            new = set(asks) - set(self._wanted)
            self._wanted.update(set(asks))
            self._hurried |= new
            self._turn.notify_all()

    def release(self, asks: Iterable[Ask[Any]]) -> None:
        """Unregister asks of a tab."""
        with self._turn:
            self._wanted.subtract(set(asks))
            for ask in [ask for ask, count in self._wanted.items() if count <= 0]:
                del self._wanted[ask]

    def hurry(self) -> None:
        """Ask everything again now: something was changed from here."""
        with self._turn:
            self._hurried = set(self._wanted)
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
                self._tell(self._later(), False, "the page failed to read the daemon; see the page's log")
        if self._client is not None:
            self._client.close()

    def _asks(self) -> list[Ask[Any]]:
        return list(self._wanted) or [_IDLE]

    def _due(self, now: float) -> list[Ask[Any]]:
        """Return the next few asks: the status first, then those that wait longest, so that many asks do not make the
        page wait.
        """
        answers = self.snapshot.answers
        times = {ask: answers[ask].due if ask in answers else 0.0 for ask in self._asks()}
        due = [ask for ask, at in times.items() if now >= at or ask in self._hurried]
        return sorted(due, key=lambda ask: (ask != STATUS, times[ask], ask.verb))[:_MOST_AT_ONCE]

    def _pause(self, now: float) -> float:
        answers = self.snapshot.answers
        return max(0.01, min(answers[ask].due for ask in self._asks()) - now)

    def _round(self, due: list[Ask[Any]]) -> None:
        """Ask for all that is due. Answers that no tab needs any more are dropped."""
        with self._turn:
            self._hurried.difference_update(due)
            kept = {ask: answer for ask, answer in self.snapshot.answers.items() if ask in self._wanted}
        token, is_heard = self._way.token(), False
        if not token:
            self._tell(self._later(), False, "nobody is logged in")
            return
        for ask in due:
            try:
                kept[ask] = self._ask(ask, token)
            except NoDaemonError as gone:
                self._drop()
                if ask == STATUS or gone.is_refused:
                    self._tell(self._later(), False, str(gone))
                    return
                # One slow verb is no sign that the daemon is gone: the status, asked next, tells.
                slow = replace(kept.get(ask, FeedAnswer()), problem=str(gone), due=time.monotonic() + _SLOW_AGAIN_S)
                kept[ask], self._hurried = slow, {*self._hurried, STATUS}
                break
            except RefusedError as refused:
                if refused.status == http.HTTPStatus.UNAUTHORIZED:
                    self._way.refused(token)
                self._tell(self._later(), False, str(refused))
                return
            is_heard = True
        self._tell(kept, is_heard, "")

    def _later(self) -> dict[Ask[Any], FeedAnswer]:
        """Keep the last known state, greyed on the page, and ask for all of it again soon."""
        now, known = time.monotonic(), self.snapshot.answers
        with self._turn:
            asks = self._asks()
        return {ask: replace(known.get(ask, FeedAnswer()), due=now + _AGAIN_S) for ask in asks}

    def _ask(self, ask: Ask[Any], token: str) -> FeedAnswer:
        """Return the answer, or the reason that there is none. Raises NoDaemonError, and RefusedError for a refusal of
        all asks.
        """
        try:
            value, problem = self._connected(token).get(ask.verb, dict(ask.fields), reply=ask.reply), ""
        except NoDaemonError:
            raise
        except RefusedError as refused:
            if ask == STATUS or refused.status in _AGAINST_ALL:
                raise
            value, problem = None, str(refused)
        return FeedAnswer(value, problem, time.monotonic() + ask.every_s)

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

    def _tell(self, answers: Mapping[Ask[Any], FeedAnswer], is_heard: bool, problem: str) -> None:
        heard_at = time.monotonic() if is_heard else self.snapshot.heard_at
        self.snapshot = Snapshot(MappingProxyType(dict(answers)), heard_at, problem, self.snapshot.number + 1)
        self._listen(self.snapshot)
