"""The zone of times on the command line: as the configuration has it, whatever else is wrong there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sigc.config.daemon_settings import ScheduleSettings
from sigc.rpc.discovery import DEFAULT_ZONE, zone_here
from sigc.rpc.messages.alerts import AlertLine
from sigc.rpc.messages.breakers import BreakerStatus
from sigc_cli.breakers import breakers_text
from sigc_cli.commands.alerts import _alert_text

NOON = datetime(2024, 1, 15, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone"),
    [("schedule: {timezone: Asia/Tokyo}", "Asia/Tokyo"), ("sizing: 3", DEFAULT_ZONE), ("a: [", DEFAULT_ZONE)],
)
def test_the_zone_is_read_of_any_configuration(tmp_path: Path, text: str, zone: str) -> None:
    path = tmp_path / "sigc.yaml"
    path.write_text(text)
    assert zone_here(path, {}) == zone
    assert zone_here(path, {"SIGC_SCHEDULE__TIMEZONE": "Europe/Paris"}) == "Europe/Paris"


def test_the_default_is_that_of_the_setting() -> None:
    assert ScheduleSettings().timezone == DEFAULT_ZONE


def test_an_alert_and_its_repeats_are_told_in_that_zone() -> None:
    alert = AlertLine(
        *(7, NOON, "critical", "halted", "open", "one", "", "one: trading halted", "one is halted by ann."),
        *(0, NOON, "", "", None),
    )
    head = "7  2024-01-15 12:00:00 EST  critical  one: trading halted\n    one is halted by ann.\n    open"
    assert _alert_text(alert, "America/New_York") == f"{head}  (rule halted)"
    once, twice = (_alert_text(replace(alert, repeats=count), "America/New_York") for count in (1, 2))
    assert once == f"{head}, told again 1 time  (rule halted)"
    assert twice == f"{head}, told again 2 times  (rule halted)"


def test_a_breaker_and_its_pause_are_told_in_that_zone() -> None:
    found = BreakerStatus("b", "loss", "one", "main", "pause_30min", 0.02, 1, "tripped", why="it lost", since=NOON)
    text = breakers_text([replace(found, until=NOON + timedelta(minutes=30))], "America/New_York")
    assert "tripped since 2024-01-15 12:00:00 EST" in text
    assert "b of one: it lost (no run begins until 2024-01-15 12:30:00 EST)" in text.splitlines()
