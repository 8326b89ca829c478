"""The trace of the last hour: bounded, in order, and no peak is lost when it is thinned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sigc.daemon.activity import ActivitySample, ActivityTrace
from sigc.rpc.messages.page import TraceReply
from tests.daemon.daemons import Daemon, Site

START = datetime(2024, 1, 2, tzinfo=UTC)


def point(n: int, value: float) -> ActivitySample:
    return ActivitySample(START + timedelta(seconds=3 * n), value, value, value, value, value, float(n), float(n))


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=400), st.integers(1, 300))
def test_a_thinned_trace_keeps_its_ends_its_order_and_its_peak(values: list[float], most: int) -> None:
    trace = ActivityTrace()
    for n, value in enumerate(values):
        trace.add(point(n, value))
    reply = trace.reply(most)
    assert len(reply.at) == min(most, len(values))
    assert list(reply.at) == sorted(reply.at)
    assert reply.at[-1] == point(len(values) - 1, 0).at
    assert max(reply.memory_bytes) == max(values)
    assert reply.computed[-1] == len(values) - 1
    assert list(reply.computed) == sorted(reply.computed)


def test_it_forgets_what_is_older_than_it_has_room_for() -> None:
    trace = ActivityTrace(10)
    for n in range(25):
        trace.add(point(n, n))
    assert trace.reply(100).memory_bytes == tuple(float(n) for n in range(15, 25))


def test_a_daemon_keeps_it(site: Site) -> None:
    with Daemon(site), site.client() as client:
        site.run("momentum", date="2017-03-01")
        found = client.get("status/trace", {"most": 5}, reply=TraceReply)
        assert 1 <= len(found.at) <= 5
        assert found.memory_bytes[-1] > 1 << 20
