"""Old data never pass for new: the page turns stale within five seconds, says so, and heals by itself."""

from __future__ import annotations

import signal
import time

from playwright.sync_api import Browser, expect

from tests.daemon.daemons import Daemon, Site
from tests.dashboard.browsers import PageServer, reader

WITHIN_S = 5.0


def test_a_killed_daemon_makes_it_stale_and_its_return_heals_it(site: Site, browser: Browser) -> None:
    with PageServer(site) as server, reader(browser, server) as person:
        with Daemon(site) as first:
            person.log_in(site.token)
            window = person.look("overview")
            banner = window.locator("#banner")
            expect(banner).to_be_hidden()
            first.kill()
            killed = time.monotonic()
            expect(banner).to_be_visible()
            assert time.monotonic() - killed < WITHIN_S
            expect(banner).to_contain_text("Stale")
            expect(banner).to_contain_text("no daemon answers")
            expect(window.locator("body")).to_have_class("stale")
            expect(window.locator("#part-strategies")).to_contain_text("momentum")  # what was known stays, greyed
        with Daemon(site):
            expect(banner).to_be_hidden()
            expect(window.locator("body")).not_to_have_class("stale")
            expect(window.locator("#age")).to_contain_text("s old")


def test_a_daemon_that_hangs_makes_it_stale(site: Site, browser: Browser) -> None:
    with Daemon(site) as daemon, PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        window = person.look("overview")
        daemon.signal(signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            expect(window.locator("#banner")).to_be_visible()
            assert time.monotonic() - stopped < WITHIN_S
        finally:
            daemon.signal(signal.SIGCONT)
        expect(window.locator("#banner")).to_be_hidden()


def test_a_page_whose_own_process_is_gone_says_so_and_comes_back(site: Site, browser: Browser) -> None:
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        window = person.look("overview")
        server.kill()
        killed = time.monotonic()
        expect(window.locator("#banner")).to_be_visible()
        assert time.monotonic() - killed < WITHIN_S
        expect(window.locator("#banner")).to_contain_text("page's own process")
        with PageServer(site, port=server.port):
            expect(window.locator("#token")).to_be_visible()  # what the process knew of us went with it


def test_a_control_on_a_daemon_that_is_gone_says_that_nothing_is_known(site: Site) -> None:
    with PageServer(site) as server:
        with Daemon(site):
            cookie = server.cookie(site.token)
        status, said = server.do(cookie, "pause", "momentum")
        assert status == 503
        assert "not known" in said["message"]
