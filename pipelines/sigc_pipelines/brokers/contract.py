"""The contract of a broker, as a suite that pytest runs: whoever passes may be traded with.

    class TestMine(BrokerContract):
        @pytest.fixture
        def bench(self, tmp_path): ...          # a Bench, see contract_bench.py

`BookContract` holds when all answers arrive, and when they don't: its tests speak through a `Customer` that asks again.
`WireContract` is about the failures themselves. README.md shows how to run it from another project. Importing this
module imports pytest; nothing else of the package does.
"""

from __future__ import annotations

from sigc_pipelines.brokers.contract_bench import Bench, Customer
from sigc_pipelines.brokers.contract_book import BookContract
from sigc_pipelines.brokers.contract_wire import WireContract

__all__ = ["Bench", "BookContract", "BrokerContract", "Customer", "WireContract"]


class BrokerContract(BookContract, WireContract):
    """All of it."""
