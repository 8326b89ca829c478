"""What a comparison with the broker waits for is named while it waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc_cli.wait_hints import reads_here
from sigc_pipelines.brokers.protocol import Account
from sigc_pipelines.reconcile.adopt import compare
from tests.trading.script import D1, scene, written


def test_the_broker_is_named_while_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scene(written(tmp_path, {"A": 0.1}), D1) as desk:
        seen, ask = list[str](), desk.trading.broker.account

        def account() -> Account:
            seen.extend(what for what, _ in reads_here())
            return ask()

        monkeypatch.setattr(desk.trading.broker, "account", account)
        assert compare(desk.trading).found == ()
        assert set(seen) == {"reading the broker's account (paper)"}
        assert reads_here() == []
