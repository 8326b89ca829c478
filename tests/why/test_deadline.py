"""`sigc why` names the deadline when a stage was given up at it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sigc.errors import Severity
from sigc.store.ledger.records import Finding, RunStage, StageName
from sigc.why.run_links import _of_stage


@pytest.mark.parametrize("name", [StageName.LOAD, StageName.COMPUTE, StageName.VALIDATE])
def test_a_stage_that_passed_its_deadline(name: StageName) -> None:
    text = "the stage took longer than its deadline of 2 s"
    finding = Finding("E803", Severity.ERROR, text)
    stage = RunStage("one", name, datetime(2024, 1, 3, tzinfo=UTC), 2.0, "late", (finding,))
    assert _of_stage(stage, "") == ("deadline", text)
