"""The feed: one call for all who ask the same, no call for nobody; slow verbs and refused tokens hurt themselves alone."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sigc.rpc.client import Target
from sigc.rpc.messages.requests import RunsReply, StatusReply
from sigc.rpc.schema import to_json
from sigc.rpc.verb import PREFIX
from sigc_dashboard.daemon_feed import STATUS, Ask, DaemonFeed, DaemonRoute, Snapshot
from tests.daemon.processes import PATIENCE_S

RUNS = Ask("runs/list", RunsReply, every_s=0.2)
SLOW = Ask("slow", RunsReply, every_s=0.2)
REPLY = StatusReply("demo", "running", 1, "", "0", 1.0, 1, 2, 0.0, "UTC", True, False, "")


@dataclass
class Counterpart:
    """What answers: who asked what how often; the event that lets the slow verb end; tokens that are refused."""

    calls: Counter[str] = field(default_factory=Counter)
    go: threading.Event = field(default_factory=threading.Event)
    refused: set[str] = field(default_factory=set)
    port: int = 0


@contextmanager
def answering() -> Iterator[Counterpart]:
    found = Counterpart()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            verb = self.path.removeprefix(PREFIX).partition("?")[0]
            found.calls[verb] += 1
            status, body = 200, to_json(REPLY if verb == "status" else RunsReply(()))
            if self.headers["Authorization"].removeprefix("Bearer ") in found.refused:
                status, body = 401, json.dumps({"message": "no", "diagnostics": []}).encode()
            elif verb == "slow":
                found.go.wait(PATIENCE_S)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield found
        finally:
            found.go.set()
            server.shutdown()
            thread.join()


class Watched:
    """A feed, its snapshots, and the tokens that its way has."""

    def __init__(self, counterpart: Counterpart, *tokens: str) -> None:
        self.tokens = list(tokens)
        self._news = threading.Condition()
        self.snapshot = Snapshot()
        way = DaemonRoute(
            lambda: Target(f"127.0.0.1:{counterpart.port}"),
            lambda: self.tokens[0] if self.tokens else "",
            lambda token: self.tokens.remove(token) if token in self.tokens else None,
        )
        self.feed = DaemonFeed("demo", way, self._told)

    def _told(self, snapshot: Snapshot) -> None:
        with self._news:
            self.snapshot = snapshot
            self._news.notify_all()

    def until(self, holds: Callable[[Snapshot], bool]) -> Snapshot:
        """Wait for a snapshot of which that holds."""
        with self._news:
            assert self._news.wait_for(lambda: holds(self.snapshot), PATIENCE_S)
            return self.snapshot


@contextmanager
def watched(*tokens: str, refused: Collection[str] = ()) -> Iterator[tuple[Counterpart, Watched]]:
    """A counterpart and a feed that looks at it. refused: tokens that are refused from the feed's first look on."""
    with answering() as counterpart:
        counterpart.refused.update(refused)
        one = Watched(counterpart, *tokens)
        try:
            yield counterpart, one
        finally:
            counterpart.go.set()
            one.feed.close()


def test_fifty_who_ask_the_same_cost_what_one_costs() -> None:
    with watched("token-of-somebody") as (counterpart, one):
        for _ in range(50):
            one.feed.want((STATUS, RUNS))
        first = one.until(lambda s: s.get(RUNS) is not None).number
        began, before = time.monotonic(), counterpart.calls["runs/list"]
        one.until(lambda s: s.number >= first + 8)
        periods = (time.monotonic() - began) / RUNS.every_s
        assert counterpart.calls["runs/list"] - before <= periods + 2


def test_what_nobody_wants_any_more_is_not_asked() -> None:
    with watched("token-of-somebody") as (counterpart, one):
        one.feed.want((STATUS, RUNS))
        one.until(lambda s: s.get(RUNS) is not None)
        one.feed.release((RUNS,))
        one.until(lambda s: RUNS not in s.answers)
        asked, number = counterpart.calls["runs/list"], one.snapshot.number
        one.until(lambda s: s.number >= number + 2)
        assert counterpart.calls["runs/list"] == asked


def test_a_slow_verb_does_not_make_the_rest_stale() -> None:
    with watched("token-of-somebody") as (_, one):
        one.feed.want((STATUS, SLOW))
        said = one.until(lambda s: s.refusal(SLOW) != "")
        assert "no answer within" in said.refusal(SLOW)
        heard = said.heard_at
        again = one.until(lambda s: s.heard_at > heard)
        assert again.problem == ""
        assert again.get(STATUS) == REPLY


def test_a_token_that_is_refused_is_given_back_and_the_next_one_used() -> None:
    with watched("token-of-one", "token-of-another", refused=["token-of-one"]) as (counterpart, one):
        one.feed.want((STATUS,))
        assert one.until(lambda s: s.get(STATUS) is not None).problem == ""
        assert one.tokens == ["token-of-another"]
        counterpart.refused.add("token-of-another")
        assert one.until(lambda s: "nobody is logged in" in s.problem).get(STATUS) == REPLY  # known, and old
        asked, number = counterpart.calls["status"], one.snapshot.number
        one.until(lambda s: s.number > number)
        assert counterpart.calls["status"] == asked


def test_who_comes_when_nobody_looked_does_not_wait() -> None:
    with watched("token-of-somebody") as (_, one):
        one.until(lambda s: s.get(STATUS) is not None)  # the slow look while nobody is there
        began = time.monotonic()
        heard = one.snapshot.heard_at
        one.feed.want((STATUS,))
        one.until(lambda s: s.heard_at > heard)
        assert time.monotonic() - began < 5
