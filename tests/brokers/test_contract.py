"""The contract over the paper broker: in-process, opened anew for each request, and behind a wire that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sigc.config.settings import PaperSettings
from sigc_pipelines.brokers.contract import Bench, BookContract, BrokerContract
from sigc_pipelines.brokers.faulty import Faults
from tests.brokers.benches import COSTS, FaultyBench, PaperBench

LONG_ONLY = PaperSettings(shorting=False)


class TestPaper(BookContract):
    @pytest.fixture(params=[PaperSettings(), COSTS, LONG_ONLY], ids=["plain", "costs", "long only"])
    def bench(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
        bench = PaperBench(tmp_path / "paper.sqlite", request.param)
        yield bench
        bench.end()


class TestPaperReopened(BookContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        bench = PaperBench(tmp_path / "paper.sqlite", COSTS, reopened=True)
        yield bench
        bench.end()


class TestPaperBehindAWire(BrokerContract):
    """Answers all arrive, but for what a test asks for."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        bench = FaultyBench(tmp_path / "paper.sqlite", COSTS, Faults(lag_s=8.0, late_s=4.0), seed=0)
        yield bench
        bench.end()


class TestPaperBehindABadWire(BrokerContract):
    """Most requests fail."""

    @pytest.fixture(params=range(4))
    def bench(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
        rates = Faults(
            unknown=0.2, lost=0.1, late=0.1, throttled=0.1, refused=0.1, unreachable=0.3, lag_s=8.0, late_s=25.0
        )
        bench = FaultyBench(tmp_path / "paper.sqlite", COSTS, rates, request.param)
        yield bench
        bench.end()
