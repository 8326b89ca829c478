"""The contract over real folders, answered by the order management system of the docs, in every form of files."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from sigc_pipelines.brokers.contract import Bench, BrokerContract
from tests.brokers.folder_bench import THEIRS, FolderBench, FolderKind

KINDS = {
    "csv": FolderKind(),
    "jsonl, their columns, fees": FolderKind({"format": "jsonl", "columns": THEIRS}, commission=Decimal("1.25")),
    "a file a row, moved away, half shares": FolderKind(
        {"columns": THEIRS, "quantity_step": "0.5"}, scattered=True, moves=True
    ),
    "long only": FolderKind({"shorting": False}),
}


class TestFolders(BrokerContract):
    @pytest.fixture(params=KINDS)
    def bench(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
        bench = FolderBench(tmp_path, KINDS[request.param])
        yield bench
        bench.end()
