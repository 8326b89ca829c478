"""docs/alerts.md says what the program has: rules, numbers, channels; its example is a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigc.alerts.condition import NUMBERS
from sigc.alerts.rules import RULES
from sigc.config.check import load_config
from sigc.daemon.configured.configured import examine
from sigc.errors import SigcError
from tests.daemon.processes import ROOT

PAGE = (ROOT / "docs" / "alerts.md").read_text()
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_rule_is_in_the_table_with_its_severity() -> None:
    told = PAGE.split("## What is told")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+)", told, re.MULTILINE)
    assert [name for name, _ in rows] == list(RULES)
    assert {name: severity for name, severity in rows if severity != "yours"} == {
        name: str(rule.urgency) for name, rule in RULES.items() if name != "condition"
    }


def test_every_number_is_named() -> None:
    text = PAGE.split("## Conditions")[1].split("##")[0]
    assert set(re.findall(r"`(\w+_\w+|nav|positions)`", text)) == set(NUMBERS)


def test_the_example_is_a_configuration_with_every_type(tmp_path: Path) -> None:
    (tmp_path / "sigc.yaml").write_text(EXAMPLE)
    alerts = load_config(tmp_path / "sigc.yaml", {}, examine=examine).config.alerts
    assert {channel.type for channel in alerts.channels.values()} == {
        "slack",
        "pagerduty",
        "email",
        "telegram",
        "webhook",
        "apprise",
    }
    assert alerts.quiet.end == "07:00"


@pytest.mark.parametrize(
    ("change", "code", "message", "hint"),
    [
        ({"routes": {"critical": ["opps"]}}, "E402", "no channel of the name 'opps'", "did you mean 'ops'?"),
        ({"disabled": ["run_faild"]}, "E402", "no alert rule 'run_faild'", "did you mean 'run_failed'?"),
        ({"rules": [{"name": "a", "when": "navv < 1"}]}, "E402", "unknown name 'navv'", "did you mean 'nav'?"),
        ({"rules": [{"name": "a", "when": f"nav < {n}"} for n in (1, 2)]}, "E402", "two conditions are named 'a'", ""),
        ({"quiet": {"begin": "22:00"}}, "E402", "needs both begin and end", "such as"),
        ({"quiet": {"begin": "25:00", "end": "07:00"}}, "E402", "alerts.quiet.begin", ""),
        ({"chanels": {}}, "E401", "unknown setting 'alerts.chanels'", "did you mean 'channels'?"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, change: dict[str, Any], code: str, message: str, hint: str
) -> None:
    ops = {"ops": {"type": "slack", "url": "https://hooks.example.com/x"}}
    (tmp_path / "sigc.yaml").write_text(yaml.safe_dump({"alerts": {"channels": ops, **change}}))
    with pytest.raises(SigcError) as refused:
        load_config(tmp_path / "sigc.yaml", {}, examine=examine)
    (found,) = refused.value.diagnostics
    assert found.code == code
    assert message in found.message
    assert found.hint.startswith(hint)
    assert found.span is not None
    assert found.span.line > 1


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    text = "alerts: {channels: {ops: {type: webhook, url: 'https://h/hunter22', secret: hunter23}}}"
    (tmp_path / "sigc.yaml").write_text(text)
    loaded = load_config(tmp_path / "sigc.yaml", {}, examine=examine)
    assert "hunter" not in str(loaded.shown())
    assert "hunter" not in repr(loaded.config)
