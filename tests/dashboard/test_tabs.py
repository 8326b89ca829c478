"""Many tabs cost the daemon what one costs, and give their memory back when they are closed."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser

from tests.daemon.daemons import Daemon, Site
from tests.dashboard.browsers import PageServer, Reader, reader

WATCHED_S = 3.0


def calls(site: Site) -> int:
    """How often the daemon has been asked anything, by its own metrics."""
    _, body = site.page("metrics", "/metrics")
    lines = [line for line in body.decode().splitlines() if line.startswith("sigc_rpc_duration_seconds_count")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def calls_in(site: Site, person: Reader, seconds: float) -> int:
    """How often it is asked while somebody watches for so long."""
    before = calls(site)
    person.window.wait_for_timeout(1000 * seconds)
    return calls(site) - before


@contextmanager
def tabs(browser: Browser, server: PageServer, count: int, people: int) -> Iterator[list[Reader]]:
    """So many tabs, of so many people."""
    with ExitStack() as stack:
        found = [stack.enter_context(reader(browser, server)) for _ in range(people)]
        for person in found:
            person.log_in(server.site.token)
            person.look("overview")
        for n in range(count - people):
            window = found[n % people].open()
            window.goto(server.address("overview"))
            window.wait_for_selector("body[data-live]")
        yield found


def settled(server: PageServer, person: Reader, most: int) -> int:
    """The memory of the page once it is at most that, or as low as it gets."""
    end = time.monotonic() + 20
    while (found := server.memory()) > most and time.monotonic() < end:
        person.window.wait_for_timeout(500)
    return found


def slowest_status_s(site: Site) -> float:
    """The 99th percentile of the time of `status`."""
    times = []
    with site.client() as client:
        for _ in range(100):
            began = time.perf_counter()
            client.get("status")
            times.append(time.perf_counter() - began)
    return statistics.quantiles(times, n=100)[98]


def campaign(site: Site, browser: Browser, count: int) -> None:
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        person.look("overview")
        with tabs(browser, server, count, 2):
            pass  # what is loaded once stays, and is no tab's
        one = calls_in(site, person, WATCHED_S)
        before = settled(server, person, 0) if count > 20 else server.memory()
        with tabs(browser, server, count, 2) as found:
            many = calls_in(site, person, WATCHED_S)
            if count > 20:  # a time means little beside other tests
                assert slowest_status_s(site) < 0.1
            assert all(one.complaints == [] for one in found)
        assert many <= one * 1.3 + 4, (one, many)
        after = settled(server, person, int(1.1 * before))
        assert after <= 1.1 * before, (before, after)
        assert person.complaints == []


def test_eight_tabs_cost_the_daemon_what_one_costs_and_give_back_what_they_took(site: Site, browser: Browser) -> None:
    campaign(site, browser, 8)


@pytest.mark.soak
def test_fifty_tabs(site: Site, browser: Browser) -> None:
    campaign(site, browser, 50)


@pytest.mark.soak
def test_a_tab_that_stays_open_does_not_grow(site: Site, browser: Browser) -> None:
    """Ten minutes, while runs come and go all along."""
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        window = person.look("overview")
        sizes = []
        end = time.monotonic() + 600
        while time.monotonic() < end:
            site.run("momentum", date="2017-03-01", is_dry=True)
            window.wait_for_timeout(200)
            sizes.append((server.memory(), window.evaluate("document.querySelectorAll('*').length")))
        third = len(sizes) // 3
        early, late = (statistics.median(s[0] for s in part) for part in (sizes[third : 2 * third], sizes[-third:]))
        assert late <= 1.05 * early, json.dumps([early, late])
        assert sizes[-1][1] <= 1.1 * sizes[third][1]


def test_nobody_looks_nobody_asks(site: Site, browser: Browser) -> None:
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        person.look("overview")
        person.window.goto("about:blank")
        end = time.monotonic() + 60  # the tab is forgotten after some seconds, later on a busy machine
        while calls_in(site, person, 4.0) > 4:
            assert time.monotonic() < end, "it is asked for somebody who has left"
