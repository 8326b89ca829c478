"""A browser for a module; a daemon with strategies, a run behind it, and its page, for tests that only look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.daemon.daemons import Daemon, Site
from tests.dashboard.browsers import BROWSERS, CHROMIUM, PATIENCE_MS, READ_TOKEN, PageServer
from tests.needs import program
from tests.world import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data that strategies read, made once."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, without a window. Of a module: its driver has a loop in this thread, which others need free."""
    program(*BROWSERS)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Tests run as root in containers, where Chromium's own sandbox can't be set up.
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


def site_in(folder: Path, world: Path, jit_directory: Path) -> Site:
    """A site with two strategies, one on a schedule, and a token that may only look."""
    far = (datetime.now(UTC).month + 5) % 12 + 1  # half a year away: no fire comes among the runs of the tests
    site = Site(folder, world, jit_directory)
    site.settings["strategies"] = [
        {"name": "momentum", "file": "momentum.sig", "schedule": f"0 9 * {far} 1-5"},
        {"name": "second", "file": "momentum.sig"},
    ]
    site.settings["daemon"]["rpc"]["tokens"] = [{"name": "wall", "role": "read", "token": READ_TOKEN}]
    site.settings["safety"]["on_stale_data"] = "alert"  # they end years ago
    site.write()
    return site


@pytest.fixture
def site(tmp_path: Path, world: Path, jit_directory: Path) -> Site:
    """A site without a daemon yet."""
    return site_in(tmp_path, world, jit_directory)


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory, world: Path, jit_directory: Path) -> Iterator[PageServer]:
    """The page of a daemon that has run, for tests that only look, or undo what they did."""
    site = site_in(tmp_path_factory.mktemp("shown"), world, jit_directory)
    with Daemon(site):
        assert site.run("momentum", date="2017-03-01").outcome == "done"
        with PageServer(site) as server:
            yield server
