"""The contract of a broker, as a pytest suite: a broker that passes may be traded with.

    class TestMine(BrokerContract):
        @pytest.fixture
        def bench(self, tmp_path): ...          # a Bench, see contract_bench.py

`BookContract` must hold even if answers get lost: its tests go through a `Customer` that retries. `WireContract`
tests the failures themselves. README.md shows how to run it from another project. Importing this module imports
pytest; nothing else in the package does.
"""

from __future__ import annotations

from sigc_pipelines.brokers.contract_bench import Bench, Customer
from sigc_pipelines.brokers.contract_book import BookContract
from sigc_pipelines.brokers.contract_wire import WireContract

__all__ = ["Bench", "BookContract", "BrokerContract", "Customer", "WireContract"]


class BrokerContract(BookContract, WireContract):
    """The whole contract."""
