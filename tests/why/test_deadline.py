"""`sigc why` names the deadline when a stage was given up at it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sigc.errors import Severity
from sigc.store.ledger.records import Finding, RunStage, StageName
from sigc.why.run_links import _of_stage

FOUND = Finding("E803", Severity.ERROR, "the stage took longer than its deadline of 2 s")


@pytest.mark.parametrize("name", [StageName.LOAD, StageName.COMPUTE, StageName.VALIDATE])
def test_a_stage_that_passed_its_deadline(name: StageName) -> None:
    stage = RunStage("one", name, datetime(2024, 1, 3, tzinfo=UTC), 2.0, "late", (FOUND,))
    assert _of_stage(stage, "") == ("deadline", FOUND.message)


def test_orders_that_hang_are_the_broker_s() -> None:
    """Something may have been sent: the chain goes on to what became of it."""
    stage = RunStage("one", StageName.EXECUTE, datetime(2024, 1, 3, tzinfo=UTC), 2.0, "late", (FOUND,))
    assert _of_stage(stage, "")[0] != "deadline"
