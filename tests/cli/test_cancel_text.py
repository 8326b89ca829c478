"""What `sigc runs cancel` says: the run, its stage, its orders, what stays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sigc.rpc.messages.requests import CancelledOrderCounts, CancelReply
from sigc.rpc.schema import encode
from sigc_cli.text.cancel_text import cancel_text
from sigc_dashboard.server.controls import ControlRequest, _cancelled

OUT = CancelledOrderCounts(sent=5, unsent=1, taken_back=2, filled=1, partly=1, open=1)
GOING = CancelReply(True, 1, "momentum", "trade", "execute", orders=OUT)


def test_a_run_that_was_sending() -> None:
    assert cancel_text("r1", GOING).splitlines() == [
        "r1 (momentum, trade): cancelled in the stage execute",
        "  not sent, and never will be: 1 order",
        "  had gone out: 5 orders; 2 cancelled at the broker, 1 filled, 1 that the broker has yet to confirm,"
        " 1 NOT CANCELLED: not reached, or without a known outcome",
        "  stays: what was filled of 2 orders; `sigc orders --run r1`",
    ]


@pytest.mark.parametrize(
    ("done", "lines"),
    [
        (
            CancelReply(True, 0, "momentum", "trade", "load", orders=CancelledOrderCounts()),
            ["r1 (momentum, trade): cancelled in the stage load", "  no order of it was sent or planned"],
        ),
        (
            CancelReply(False, 0, "momentum", "trade", "", "done", CancelledOrderCounts(sent=2, filled=2)),
            [
                "r1 (momentum, trade): it had ended (done) when it was cancelled",
                "  had gone out: 2 orders; 2 filled",
                "  stays: what was filled of 2 orders; `sigc orders --run r1`",
            ],
        ),
        (CancelReply(True, 0, "", "script"), ["r1 (script): cancelled before its first stage", "  it sends no orders"]),
        (CancelReply(False), ["r1: it was not under way", "  it sends no orders"]),
    ],
)
def test_a_run_in_another_state(done: CancelReply, lines: list[str]) -> None:
    assert cancel_text("r1", done).splitlines() == lines


def test_the_page_says_it_too() -> None:
    reply: Mapping[str, Any] = json.loads(json.dumps(encode(GOING)))
    said = "Run r1 was cancelled in the stage execute, and ends as soon as it can."
    said += " Orders: 1 not sent, 2 cancelled at the broker, 1 filled, 1 that the broker has yet to confirm."
    assert (
        _cancelled(ControlRequest("", "cancel", "momentum", "momentum", "k", id="r1"), reply)
        == said + " 1 not reached: cancel it again."
    )
