"""The contract, run as an outside author runs it, over brokers that each break one promise: it finds every one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.daemon.processes import environment

OUTSIDE = """
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.config.settings import PaperSettings
from sigc_pipelines.brokers.contract import BookContract
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import NotSentError, RejectedError
from tests.brokers.benches import PaperBench


def bench_of(broken):
    class Bench(PaperBench):
        def _open(self):
            return broken(self._path, self._settings, self.clock, durable=False)

    return Bench


class Honest(PaperBroker):
    pass


class Doubles(PaperBroker):
    def submit(self, request):
        if self.order(request.client_order_id) is not None:
            super().submit(replace(request, client_order_id=request.client_order_id + "-again"))
        return super().submit(request)


class Overwrites(PaperBroker):
    def submit(self, request):
        found = self.order(request.client_order_id)
        return found if found is not None else super().submit(request)


class ForgetsCancels(PaperBroker):
    def cancel(self, client_order_id):
        if self.order(client_order_id) is None:
            raise RejectedError("none")


class CancelsAnything(PaperBroker):
    def cancel(self, client_order_id):
        if self.order(client_order_id) is not None:
            super().cancel(client_order_id)


class SkipsActivities(PaperBroker):
    def activities(self, cursor):
        read = super().activities(cursor)
        return replace(read, fills=read.fills[:-1]) if cursor and len(read.fills) > 1 else read


class StaleCursor(PaperBroker):
    def activities(self, cursor):
        return replace(super().activities(cursor), cursor="")


class RoundsCash(PaperBroker):
    def account(self):
        account = super().account()
        return replace(account, cash=round(account.cash, 1))


class RoundsQuantities(PaperBroker):
    def submit(self, request):
        whole = request.quantity.is_finite() and request.quantity >= 1
        return super().submit(replace(request, quantity=Decimal(int(request.quantity))) if whole else request)


class ShortsInSecret(PaperBroker):
    def capabilities(self):
        return replace(super().capabilities(), shorting=False)


class LosesOrders(PaperBroker):
    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        for order in self.orders(self._clock.now()):
            super().cancel(order.request.client_order_id)


class HidesOldOrders(PaperBroker):
    def orders(self, since):
        return tuple(order for order in super().orders(since) if order.submitted >= since)


class HoldsZeros(PaperBroker):
    def positions(self):
        return {"ALPHA": Decimal(0)} | super().positions()


for kind in (
    Honest, Doubles, Overwrites, ForgetsCancels, CancelsAnything, SkipsActivities, StaleCursor, RoundsCash,
    RoundsQuantities, ShortsInSecret, LosesOrders, HidesOldOrders, HoldsZeros,
):
    def suite(broken):
        class Suite(BookContract):
            @pytest.fixture
            def bench(self, tmp_path):
                settings = PaperSettings(commission_bps=3, slippage_bps=1, quantity_step="0.5")
                bench = bench_of(broken)(tmp_path / "paper.sqlite", settings)
                yield bench
                bench.end()

        return Suite

    globals()[f"Test{kind.__name__}"] = suite(kind)
"""


def test_every_broken_promise_is_found(tmp_path: Path) -> None:
    (tmp_path / "test_outside.py").write_text(OUTSIDE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-rfE", "--tb=no"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path / "test_outside.py")],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert not [line for line in lines if line.startswith("ERROR")], done.stdout
    found = {line.split("::")[1].removeprefix("Test") for line in lines}
    kinds = {line.split()[1].split("(")[0] for line in OUTSIDE.splitlines() if line.endswith("(PaperBroker):")}
    assert found == kinds - {"Honest"}, done.stdout
