"""Some forty-five ways in which a night goes wrong: what is told, what `sigc why` says, what the page shows.

The table of them is written to build/nights.md.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.alerts.servers import Hook, hook
from tests.daemon.daemons import Site
from tests.nights.night import Night
from tests.nights.nights import WAYS

for _module in sorted(Path(__file__).parent.glob("[!t]*.py")):  # whichever declares some
    if "\n@way(" in _module.read_text(encoding="utf-8"):
        importlib.import_module(f"tests.nights.{_module.stem}")

SOME = ("every_order_is_denied", "data_are_stale", "killed_in_execute", "the_disk_is_full")
TABLE = Path(os.environ.get("SIGC_NIGHTS", Path(__file__).parent.parent.parent / "build" / "nights.md"))


@pytest.fixture
def told() -> Iterator[Hook]:
    with hook() as server:
        yield server


@pytest.mark.parametrize("name", [n if n in SOME else pytest.param(n, marks=pytest.mark.soak) for n in WAYS])
def test_a_night_that_goes_wrong(name: str, site: Site, told: Hook, browser: Browser) -> None:
    way = WAYS[name]
    with Night(site, told, browser) as night:
        way.act(night)
        night.until_told(*way.alerts)
        seen = night.seen(way.day)
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    alerts = "; ".join(f"{severity} {rule}: {title}" for severity, rule, title in seen.alerts) or "none"
    verdict = seen.verdict.replace("|", "/")
    row = (
        name.replace("_", " "),
        alerts,
        f"{seen.stopped_by}: {verdict}",
        seen.look,
        seen.page,
        "; ".join(night.notes),
    )
    with TABLE.open("a") as table:
        table.write("| " + " | ".join(row) + " |\n")
    assert (seen.rules, seen.stopped_by) == (set(way.alerts), way.why), row
    assert way.page in seen.page, row
