"""Books between their runs, in real daemons whose clock is turned by hand: verdicts, fills, NAVs, mirror and anchor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from sigc.daemon.reconcile_loop import AFTER_CLOSE, BookState, after_success
from sigc.rpc.messages.history import RunsPageReply
from sigc.rpc.messages.status import StatusReply
from sigc.store.audit.anchor import read_anchors
from sigc.store.ledger import books, jobs, orders, runs
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import BookKey, Outcome
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.daemon.hand_daemon import turn
from tests.trading.floor import weekdays

BOOK = BookKey("momentum", "main")
QUICK = {"lookup_grace_s": 0.2, "lookup_backoff_s": 0.05, "fill_wait_s": 0.0}


def at(day: str, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) + timedelta(hours=hour, minutes=minute)


@contextmanager
def hand_daemon(site: Site, now: datetime, *fault: str) -> Iterator[Path]:
    """A daemon for which it is `now`; the file of its clock."""
    clock = site.folder / "clock"
    site.settings["execution"] = QUICK
    site.write()
    turn(clock, now)
    program = ("tests.daemon.hand_daemon", str(site.config), str(clock), *fault)
    with Daemon(site, program=program) as daemon:
        yield clock
        assert site.sigc("stop").returncode == 0
        assert daemon.end()[0] == 0


def close_of(day: str) -> datetime:
    (session,) = weekdays().sessions(date.fromisoformat(day), date.fromisoformat(day))
    return session.close


def session_of(site: Site, run: str) -> str:
    with connect_reader(site.folder / "work" / FILE) as connection:
        return runs.find(connection, run).key.session


@pytest.mark.parametrize("point", ["send:begun", "post:after", "acknowledge:written"])
def test_a_run_that_fails_by_a_mistake_after_it_decided_gets_its_verdict_from_the_running_daemon(
    site: Site, point: str
) -> None:
    """Each order is in the broker's book once, the run is over, and no restart was needed."""
    with hand_daemon(site, at(DAYS[0], 12), point, "1"):
        failed = site.run()
        assert failed.outcome in ("failed", "unresolved")

        def is_resolved() -> bool:
            with connect_reader(site.folder / "work" / FILE) as connection:
                order = jobs.find(connection, failed.id)
                return not runs.left_open(connection) and order is not None and order.outcome is Outcome.DONE

        site.until(is_resolved, "the run has its verdict")
        with connect_reader(site.folder / "work" / FILE) as connection:
            found = runs.find(connection, failed.id)
            sent = orders.of_run(connection, failed.id)
        assert found.outcome is Outcome.DONE
        assert "resumed after it failed" in found.message
        assert sent
        assert all(i.broker_order_id for i in sent)
        assert len({i.broker_order_id for i in sent}) == len(sent)
        site.until(lambda: site.status().strategies[0].status == "success", "status shows the verdict")
        with site.client() as client:
            shown = client.get("runs/show", {"id": failed.id})
        assert shown["outcome"] == "done"
        again = site.run()
        assert (again.outcome, again.findings[0].code) == ("refused", "E800")


def test_fills_nav_mirror_and_anchor_do_not_wait_for_the_next_run(site: Site) -> None:
    """Day by day the book is valued after the close with no run at all, and the audit leaves the ledger."""
    audit = site.folder / "work" / "audit"
    with hand_daemon(site, at(DAYS[0], 12)) as clock:
        run = site.run()
        assert run.outcome == "done", run.message
        session = session_of(site, run.id)

        def filled_of() -> set[str]:
            with site.client() as client:
                status = client.get("status", reply=StatusReply)
                listed = client.get("history/runs", reply=RunsPageReply).runs
            return {one.filled for one in status.strategies if one.run == run.id} | {r.filled for r in listed}

        site.until(lambda: filled_of() == {"open"}, "its orders wait for the close")
        following = [day for day in DAYS if day >= session][:3]
        for day in following:
            turn(clock, close_of(day) + AFTER_CLOSE + timedelta(seconds=1))

            def is_valued(day: str = day) -> bool:
                with connect_reader(site.folder / "work" / FILE) as connection:
                    last = books.last_nav(connection, BOOK)
                anchored = {a.at[:10] for a in read_anchors(audit / "anchors.jsonl")}  # what is done last
                return last is not None and last.session == day and day in anchored

            site.until(is_valued, f"the book is valued for {day}")
        site.until(lambda: filled_of() == {"all"}, "status and runs say that they were filled")
        with connect_reader(site.folder / "work" / FILE) as connection:
            filled = books.fills_of(connection, run.id)
            navs = [n.session for n in books.navs(connection, BOOK)]
            account = json.loads((site.folder / "work" / "runs" / run.id / "account.json").read_text())
        assert filled
        assert navs == sorted(set(navs))
        assert set(following) <= set(navs)
        assert len(account["fills"]) == len(filled)
        assert all((audit / f"{day}.jsonl").exists() for day in following)


def test_a_session_without_data_is_valued_when_they_come(site: Site) -> None:
    """No data is no trouble: it is waited for, and told once."""
    from tests.world import write_world

    with hand_daemon(site, at(DAYS[0], 12)) as clock:
        assert site.run().outcome == "done"
        last = str(weekdays().before_or_on(date(2018, 2, 14)).day)
        turn(clock, at(last, 22))
        site.until(
            lambda: any(r["text"] == "a book is not up to date yet" for r in site.log()),
            "it says what is left to be done",
        )
        write_world(site.folder, 1000)

        def is_valued() -> bool:
            now = datetime.fromisoformat(clock.read_text()) + timedelta(minutes=16)
            if now < at(last, 23, 59):
                turn(clock, now)
            with connect_reader(site.folder / "work" / FILE) as connection:
                found = books.last_nav(connection, BOOK)
            return found is not None and found.session == last

        site.until(is_valued, "the data have come")


def test_a_book_that_was_traded_in_the_past_stays_there(site: Site) -> None:
    """A run as of an earlier date does not make the daemon move its book on to the present."""
    with hand_daemon(site, at(DAYS[6], 12)) as clock:
        assert site.run(date=DAYS[0]).outcome == "done"
        turn(clock, at(DAYS[6], 22))
        site.until(lambda: (site.folder / "work" / "audit" / f"{DAYS[6]}.jsonl").exists(), "the audit is published")
        with connect_reader(site.folder / "work" / FILE) as connection:
            assert [n.session for n in books.navs(connection, BOOK)] == [DAYS[0]]
        second = site.run(date=DAYS[1])
        assert second.outcome == "done"


def test_care_is_due_after_the_session_that_is_not_over() -> None:
    calendar = weekdays()
    (monday,) = calendar.sessions(date(2017, 3, 6), date(2017, 3, 6))
    for now in (monday.open - timedelta(hours=1), monday.open, monday.close, monday.close + AFTER_CLOSE / 2):
        assert after_success(now, calendar) == BookState(monday.close + AFTER_CLOSE)
    tuesday = calendar.after(monday.day)
    assert after_success(monday.close + AFTER_CLOSE, calendar) == BookState(tuesday.close + AFTER_CLOSE)
