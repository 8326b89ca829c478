"""Runs that a crash left, completed by the next daemon side by side while it answers; and a pause under way."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from sigc.errors import SigcError
from sigc.store.ledger import orders, runs
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import UNRESOLVED, Intent, IntentState, Outcome
from sigc_cli.daemon_call import _status
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.daemon.hand_daemon import turn
from tests.daemon.processes import PATIENCE_S
from tests.trading.floor import TEXT, weekdays

S = IntentState
OPEN = weekdays().before_or_on(datetime.fromisoformat(DAYS[2]).date()).open
TWAP = {
    "style": "twap",
    "slices": 6,
    "window_minutes": 60.0,
    "lookup_grace_s": 1.0,
    "lookup_backoff_s": 0.1,
    "fill_wait_s": 0.0,
}
LEAST = timedelta(minutes=2.5)  # a quarter of the gap


def books(site: Site, count: int) -> list[str]:
    """A site with so many strategies, all of them twaps of an hour from the open on."""
    names = [f"book{n:02d}" for n in range(count)]
    for name in names:
        (site.folder / f"{name}.sig").write_text(TEXT)
    site.settings["strategies"] = [{"name": name, "file": f"{name}.sig"} for name in names]
    site.settings["daemon"]["max_runs"] = max(count, 2)
    site.settings["execution"] = TWAP
    site.write()
    return names


def set_clock(site: Site, minute: float) -> None:
    turn(site.folder / "clock", OPEN + timedelta(minutes=minute))


@contextmanager
def handed(site: Site, minute: float, *fault: str, wait: bool = True) -> Iterator[Daemon]:
    set_clock(site, minute)
    program = ("tests.daemon.hand_daemon", str(site.config), str(site.folder / "clock"), *fault)
    with Daemon(site, program=program, wait=wait) as daemon:
        yield daemon


def all_orders(site: Site) -> tuple[Intent, ...]:
    with closing(connect_reader(site.folder / "work" / FILE)) as connection:
        return orders.recent(connection, 1_000_000)[::-1]


def is_done_to(site: Site, minute: float) -> bool:
    """Whether nothing that is due by then waits, and nothing is on its way.

    A clock that is turned while a request is on its way makes that one late, and the next of its asset wait.
    """
    at = OPEN + timedelta(minutes=minute)
    found = all_orders(site)
    return not any(
        i.state in UNRESOLVED or (i.state is S.PLANNED and i.not_before is not None and i.not_before <= at)
        for i in found
    )


def in_the_book(site: Site) -> list[str]:
    with closing(sqlite3.connect(site.folder / "work" / "paper.sqlite")) as connection:
        return [str(id) for (id,) in connection.execute("SELECT client_order_id FROM orders")]


def planned_first(site: Site) -> dict[str, datetime]:
    """When each slice was due by the plan."""
    with closing(connect_reader(site.folder / "work" / FILE)) as connection:
        rows = connection.execute("SELECT record FROM audit WHERE event = 'order.planned'").fetchall()
    said = [json.loads(record)["payload"] for (record,) in rows]
    return {one["client_order_id"]: datetime.fromisoformat(one["not_before"]) for one in said}


def begin(site: Site, names: Sequence[str]) -> list[str]:
    """Begin a run of each; wait until the first slices are out."""
    with site.client() as client:
        begun = [str(client.post("run", {"strategy": name})["id"]) for name in names]
    site.until(lambda: len({i.run for i in all_orders(site)}) == len(names), "all have decided")
    site.until(lambda: is_done_to(site, 0), "the first slices are out")
    return begun


def together(intents: Sequence[Intent]) -> list[str]:
    """Slices of one asset of a run that left closer together than the least gap."""
    found = []
    of: dict[tuple[str, str], list[datetime]] = {}
    for one in intents:
        if one.sent_at is not None:
            of.setdefault((one.run, one.asset), []).append(one.sent_at)
    for key, times in of.items():
        found += [f"{key}: {a} {b}" for a, b in pairwise(sorted(times)) if b - a < LEAST]
    return found


def told(intents: Sequence[Intent], first: dict[str, datetime]) -> str:
    """A line for each book and slice: its planned and its real minute (of the first asset)."""
    by: dict[tuple[str, int], Intent] = {}
    for one in intents:
        by.setdefault((one.key.strategy, one.slice), one)
    lines = []
    for (strategy, number), one in sorted(by.items()):
        due = (first[one.client_order_id] - OPEN).total_seconds() / 60
        at = "unsent" if one.sent_at is None else f"{(one.sent_at - OPEN).total_seconds() / 60:6.2f}"
        lines.append(f"{strategy} slice {number}: planned {due:5.1f}, sent {at}, {one.state}")
    return "\n".join(lines)


def test_ten_books_are_completed_side_by_side(site: Site) -> None:
    """Killed in minute 12 of 60, started again in minute 35: the slices of 20 and 30 are late in every book."""
    names = books(site, 10)
    with handed(site, 0) as daemon:
        begun = begin(site, names)
        set_clock(site, 12)
        site.until(lambda: is_done_to(site, 12), "the second slices are out")
        daemon.kill()
    before = len(in_the_book(site))
    set_clock(site, 35)
    with handed(site, 35) as daemon, site.client() as client:
        # Ready, though no run is over; each is shown, and cannot be doubled.
        going = {r.id: r for r in (_status(d) for d in client.get("runs/list", {"most": 50})["runs"])}
        assert {going[id].state for id in begun} == {"running"}
        assert {s.status for s in site.status().strategies} == {"running"}
        with pytest.raises(SigcError, match="under way"):
            client.post("run", {"strategy": names[0]})
        for minute in range(35, 62):
            set_clock(site, minute)
            site.until(lambda minute=minute: is_done_to(site, minute), f"minute {minute}")  # type: ignore[misc]
        ends = [_status(list(client.events("runs/events", {"id": id}))[-1]) for id in begun]
        assert {end.outcome for end in ends} == {"done"}, ends
        assert all(end.message.startswith("resumed after the process ended") for end in ends)
        assert site.sigc("stop").returncode == 0
        assert daemon.end()[0] == 0
    everything = all_orders(site)
    print(told(everything, planned_first(site)))
    assert together(everything) == []
    assert {i.state for i in everything} <= {S.ACKNOWLEDGED, S.FILLED}
    booked = in_the_book(site)
    assert sorted(booked) == sorted(i.client_order_id for i in everything)
    assert len(booked) == 3 * before
    # No book waits for another one: the third slices of all leave at the start, the rest is spread alike.
    for number in range(3, 7):
        times = {i.sent_at.replace(second=0, microsecond=0) for i in everything if i.slice == number and i.sent_at}
        assert max(times) - min(times) <= timedelta(minutes=1), (number, times)


def test_controls_answer_while_the_broker_is_silent_at_the_start(site: Site) -> None:
    """One look-up has no answer: the daemon is not ready. Halt, pause and cancel are answered before it is."""
    names = books(site, 4)
    with handed(site, 0, "post:after", str(4 * 8 + 6), "kill") as daemon:
        begun = dict(zip(names, begin(site, names), strict=True))
        assert len(all_orders(site)) == 4 * 8 * 6
        set_clock(site, 10)
        daemon.process.wait(PATIENCE_S)  # as it sends the second slices
    assert doubtful(site)
    answer = site.folder / "answer"
    with handed(site, 11, "lookup:before", "1", f"until={answer}", wait=False) as daemon:
        daemon.until("EXTEND_TIMEOUT_USEC")  # systemd is told that the start takes longer
        # The other books have sent what is due. One waits for its answer.
        ticks = iter(range(1, 1_000_000))

        def later(is_so: bool) -> bool:
            set_clock(site, 11 + next(ticks) / 600)  # absent ones are certain only after their grace
            return is_so

        site.until(lambda: later(len(waiting_books(site)) == 3), "all but one wait for their next slices")
        (silent,) = set(names) - waiting_books(site)
        halted, paused, cancelled = (name for name in names if name != silent)
        with site.client() as client:
            assert client.get("status")["status"] == "starting"
            assert client.post("safety/halt", {"strategy": halted, "reason": "enough"})["halted"] == [halted]
            assert client.post("pause", {"strategy": paused})["is_changed"]
            client.post("runs/cancel", {"id": begun[cancelled], "reason": "no"})
            told = client.get("safety/status")["decisions"]
            assert [(d["kind"], d["strategy"]) for d in told] == [("halted", halted), ("paused", paused)]
            with pytest.raises(SigcError, match="the daemon is starting: runs that were left open"):
                client.post("run", {"strategy": names[0]})
            # All this was answered before the broker was heard, and before the daemon was ready.
            assert client.get("status")["status"] == "starting"
        answer.touch()
        site.until(lambda: later(site.status().is_ready), "it is ready")
        with site.client() as client:
            end = _status(list(client.events("runs/events", {"id": begun[cancelled]}))[-1])
            assert end.outcome == "partial"
            with pytest.raises(SigcError, match="under way"):
                client.post("run", {"strategy": silent})
            site.until(lambda: "held" in client.get("runs/show", {"id": begun[paused]})["text"], "it is held")
            set_clock(site, 21)
            site.until(lambda: waiting_to(site, 21) == {paused}, "the third slices, where they may go")
        daemon.kill()
    third = {name: {i.state for i in all_orders(site) if (i.key.strategy, i.slice) == (name, 3)} for name in names}
    assert third[silent] <= {S.ACKNOWLEDGED, S.SENDING}  # its last answers are written down with the next turn
    assert (third[halted], third[paused], third[cancelled]) == ({S.DENIED}, {S.PLANNED}, {S.CANCELLED})
    assert together(all_orders(site)) == []


def waiting_books(site: Site) -> set[str]:
    """The strategies of which a run under way waits for its next slice."""
    with site.client() as client:
        found = [_status(one) for one in client.get("runs/list", {"most": 50})["runs"]]
    return {run.strategy for run in found if ", the next until " in run.text}


def doubtful(site: Site) -> set[str]:
    """The strategies that have orders on their way."""
    return {i.key.strategy for i in all_orders(site) if i.state in UNRESOLVED}


def waiting_to(site: Site, minute: float) -> set[str]:
    """The strategies of which slices wait that are due by then."""
    at = OPEN + timedelta(minutes=minute)
    waiting = [i for i in all_orders(site) if i.state is S.PLANNED]
    return {i.key.strategy for i in waiting if i.not_before is not None and i.not_before <= at}


def test_a_pause_holds_a_run_under_way_over_a_crash(site: Site) -> None:
    """Paused in minute 5, killed, started again in minute 25, resumed in minute 40: four slices in twenty minutes."""
    (name,) = books(site, 1)
    with handed(site, 0) as daemon:
        (run,) = begin(site, [name])
        set_clock(site, 5)
        assert site.sigc("pause", name, "--reason", "lunch").returncode == 0
        with site.client() as client:
            site.until(lambda: "held: paused by" in client.get("runs/show", {"id": run})["text"], "it is held")
            assert "held: paused by" in site.sigc("runs", "show", run).stdout
            assert "held: paused by" in site.sigc("status", "--detailed").stdout
            set_clock(site, 15)
            site.until(lambda: daemon_has_looked(client, run), "it has seen the time")
        out = len(in_the_book(site))
        daemon.kill()
    with handed(site, 25) as daemon, site.client() as client:
        site.until(lambda: "held: paused by" in client.get("runs/show", {"id": run})["text"], "it is held again")
        assert len(in_the_book(site)) == out
        set_clock(site, 40)
        assert site.sigc("resume", name).returncode == 0
        for minute in range(40, 62):
            set_clock(site, minute)
            site.until(lambda minute=minute: is_done_to(site, minute), f"minute {minute}")  # type: ignore[misc]
        end = _status(list(client.events("runs/events", {"id": run}))[-1])
        assert end.outcome == "done", end
        assert site.sigc("stop").returncode == 0
        assert daemon.end()[0] == 0
    print(told(all_orders(site), planned_first(site)))
    assert together(all_orders(site)) == []
    assert len(in_the_book(site)) == 6 * out


def daemon_has_looked(client: Any, run: str) -> bool:
    return "held" in client.get("runs/show", {"id": run})["text"]


def test_a_run_that_fails_with_slices_left_goes_on_as_one_under_way(site: Site) -> None:
    (name,) = books(site, 1)
    with handed(site, 0, "post:after", "12") as daemon, site.client() as client:
        (run,) = begin(site, [name])
        set_clock(site, 10)
        site.until(lambda: any(r["text"] == "run is completed" for r in site.log()), "it is completed")
        with pytest.raises(SigcError, match=f"under way: {run}"):
            client.post("run", {"strategy": name})
        for second in range(600, 620):  # what is absent is certain after its grace
            set_clock(site, second / 60)
        for minute in range(11, 62):
            set_clock(site, minute)
            site.until(lambda minute=minute: is_done_to(site, minute), f"minute {minute}")  # type: ignore[misc]
        end = _status(list(client.events("runs/events", {"id": run}))[-1])
        assert (end.outcome, "resumed after it failed" in end.message) == ("done", True), end
        assert site.sigc("stop").returncode == 0
        assert daemon.end()[0] == 0
    assert together(all_orders(site)) == []
    assert sorted(in_the_book(site)) == sorted(i.client_order_id for i in all_orders(site))


def test_a_daemon_that_was_frozen_spreads_what_is_late(site: Site) -> None:
    """Stopped by SIGSTOP in minute 5 and woken in minute 35: three slices are late, none goes with another."""
    (name,) = books(site, 1)
    with handed(site, 0) as daemon, site.client() as client:
        (run,) = begin(site, [name])
        set_clock(site, 5)
        daemon.signal(signal.SIGSTOP)
        set_clock(site, 35)
        daemon.signal(signal.SIGCONT)
        for minute in range(35, 62):
            set_clock(site, minute)
            site.until(lambda minute=minute: is_done_to(site, minute), f"minute {minute}")  # type: ignore[misc]
        end = _status(list(client.events("runs/events", {"id": run}))[-1])
        assert end.outcome == "done", end
        assert site.sigc("stop").returncode == 0
        assert daemon.end()[0] == 0
    print(told(all_orders(site), planned_first(site)))
    assert together(all_orders(site)) == []


def test_a_fire_of_the_schedule_waits_for_a_run_that_is_completed(site: Site) -> None:
    """The job's run of before the crash is still its run: the next fire is skipped as it would have been."""
    (name,) = books(site, 1)
    site.settings["schedule"]["jobs"] = [
        {"name": "trade", "kind": "rebalance", "strategy": name, "trigger": "30,45 9 * * 1-5", "overlap": "skip"}
    ]
    site.write()
    with handed(site, -1 / 60) as daemon:
        set_clock(site, 0)
        site.until(lambda: bool(all_orders(site)) and is_done_to(site, 0), "the fire of half past nine has traded")
        daemon.kill()
    (run,) = {i.run for i in all_orders(site)}
    with handed(site, 5) as daemon, site.client() as client:
        set_clock(site, 15)
        client.post("resume")  # the schedule looks at the clock now
        said = "an earlier run was going on"
        site.until(lambda: said in site.sigc("schedule", "history", "trade").stdout, "a quarter to ten is skipped")
        assert {r["id"] for r in client.get("runs/list", {"most": 9})["runs"]} == {run}
        client.post("runs/cancel", {"id": run, "reason": "enough"})
        site.until(lambda: not client.get("status", {"is_detailed": True})["detailed"]["queue"], "it is over")
        assert "partial" in site.sigc("schedule", "history", "trade").stdout


def test_a_completed_run_can_be_cancelled(site: Site) -> None:
    (name,) = books(site, 1)
    with handed(site, 0) as daemon:
        (run,) = begin(site, [name])
        daemon.kill()
    with handed(site, 12), site.client() as client:
        client.post("runs/cancel", {"id": run, "reason": "enough"})
        end = _status(list(client.events("runs/events", {"id": run}))[-1])
        assert end.outcome in ("partial", "cancelled"), end
        site.until(lambda: not client.get("status", {"is_detailed": True})["detailed"]["queue"], "it is over")
        assert client.post("run", {"strategy": name, "is_dry": True})["kind"] == "dry"
    with closing(connect_reader(site.folder / "work" / FILE)) as connection:
        assert runs.find(connection, run).outcome is not Outcome.OPEN
        assert runs.open_trades(connection) == ()  # the dry run may be under way


assert OPEN.tzinfo is UTC
