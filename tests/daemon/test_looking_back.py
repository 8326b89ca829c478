"""What the daemon tells of the past: each verb against the ledger and the files themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from sigc.errors import SigcError
from sigc.rpc.client import Client
from sigc.rpc.messages.history import (
    AuditReply,
    CacheReply,
    DetailReply,
    FillsReply,
    NavReply,
    OpenReply,
    OrdersReply,
    PositionsReply,
    RunsPageReply,
    SignalsReply,
)
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import BookKey
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.world import write_world

BOOK = BookKey("momentum", "main")


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory, jit_directory: Path) -> Iterator[Site]:
    """A daemon that has traded some days, run dry once, and been refused once."""
    world, folder = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("site")
    write_world(world)
    site = Site(folder, world, jit_directory)
    with Daemon(site):
        for day in DAYS[:4]:
            assert site.run(date=day).outcome == "done"
        assert site.run(date=DAYS[4], is_dry=True).outcome == "done"
        assert site.run(date=DAYS[3]).outcome == "refused"
        yield site


@pytest.fixture
def client(traded: Site) -> Iterator[Client]:
    with traded.client() as found:
        yield found


@pytest.fixture
def work(traded: Site) -> Path:
    return traded.folder / "work"


def test_nav_is_that_of_the_ledger(client: Client, work: Path) -> None:
    found = client.get("history/nav", {"strategy": "momentum"}, reply=NavReply)
    with closing(connect_reader(work / FILE)) as connection:
        book, navs = books.book(connection, BOOK), books.navs(connection, BOOK)
        assert book is not None
        assert (found.capital, found.opened) == (float(book.capital), book.opened)
        assert found.cash == round(float(book.cash), 2)
        fills = [f for r in runs.recent(connection, 99) for f in books.fills_of(connection, r.id)]
    assert found.session == tuple(n.session for n in navs)
    assert found.nav == tuple(float(n.nav) for n in navs)
    assert found.figures.sessions == found.sessions == len(navs) == 4
    assert found.figures.total_return == pytest.approx(float(navs[-1].nav / book.capital) - 1)
    assert found.totals.fills == len(fills)
    assert found.totals.commission == pytest.approx(sum(float(f.commission) for f in fills))
    assert found.turnover[1] is not None
    one = client.get("history/nav", {"strategy": "momentum", "start": navs[1].session, "end": navs[2].session})
    assert one["session"] == [navs[1].session, navs[2].session]
    assert one["figures"]["sessions"] == 4


def test_runs_are_all_there_page_by_page(client: Client) -> None:
    seen: list[str] = []
    before = ""
    while True:
        page = client.get("history/runs", {"before": before, "most": 2}, reply=RunsPageReply)
        seen += [run.id for run in page.runs]
        before = page.before
        if not before:
            break
    every = client.get("runs/list")["runs"]
    assert seen == [run["id"] for run in every]
    assert len(seen) == 6
    dry = client.get("history/runs", {"strategy": "momentum", "kind": "dry"}, reply=RunsPageReply).runs
    assert [run.kind for run in dry] == ["dry"]
    assert [r.outcome for r in client.get("history/runs", {"outcome": "refused"}, reply=RunsPageReply).runs] == [
        "refused"
    ]


def test_orders_and_fills_are_those_of_the_ledger(client: Client, work: Path) -> None:
    with closing(connect_reader(work / FILE)) as connection:
        sent = orders.recent(connection, 1000)
        last = runs.last_decided(connection, "momentum", "main")
    found = client.get("orders/list", {"strategy": "momentum", "most": 500}, reply=OrdersReply)
    assert [o.client_order_id for o in found.orders] == [o.client_order_id for o in sent]
    assert found.before == ""
    open_ones = client.get("orders/list", {"state": "open"}, reply=OrdersReply).orders
    assert {o.run for o in open_ones} == {last}  # the paper broker fills at the next close
    fills = client.get("fills/list", {"strategy": "momentum", "most": 500}, reply=FillsReply).fills
    assert {f.client_order_id for f in fills} == {o.client_order_id for o in sent if o.run != last}
    with pytest.raises(SigcError, match="belongs to another list"):
        client.get("orders/list", {"before": "1"})


def test_positions_are_held_against_their_targets(client: Client, work: Path) -> None:
    found = client.get("positions/list", {"strategy": "momentum", "most": 3}, reply=PositionsReply)
    with closing(connect_reader(work / FILE)) as connection:
        held = books.positions(connection, BOOK)
        run = runs.find(connection, runs.last_decided(connection, "momentum", "main"))
    weights = json.loads((work / "runs" / run.id / "weights.json").read_text())
    assert (found.run, found.as_of) == (run.id, run.as_of)
    assert len(found.positions) == 3 <= found.total
    assert found.total >= len(held)
    for one in found.positions:
        assert one.target == weights.get(one.asset, {"target": 0.0})["target"]
        assert one.drift == pytest.approx((one.weight or 0.0) - one.target)


def test_audit_records_come_newest_first(client: Client) -> None:
    first = client.get("audit/recent", {"event": "order", "most": 5}, reply=AuditReply)
    assert [r.event.split(".")[0] for r in first.records] == ["order"] * 5
    second = client.get("audit/recent", {"event": "order", "most": 5, "before": first.before}, reply=AuditReply)
    numbers = [r.seq for r in (*first.records, *second.records)]
    assert numbers == sorted(set(numbers), reverse=True)
    assert all("client_order_id" in json.loads(r.payload) for r in first.records)


def test_open_orders_are_counted(client: Client) -> None:
    found = client.get("orders/open", reply=OpenReply).orders
    assert sum(found["momentum"].values()) == len(client.get("orders/list", {"state": "open", "most": 500})["orders"])


def test_the_cache_is_looked_at(client: Client) -> None:
    found = client.get("cache/status", reply=CacheReply)
    assert found.is_enabled
    assert found.blocks == sum(one.blocks for one in found.by_source) > 0
    assert found.bytes == sum(one.bytes for one in found.by_source)
    assert {"source", "signal"} == {one.kind for one in found.by_source}
    assert found.limit_bytes == 10_000_000_000


def newest(client: Client, kind: str) -> str:
    found = client.get("history/runs", {"strategy": "momentum", "kind": kind, "outcome": "done"}, reply=RunsPageReply)
    return found.runs[0].id


def test_a_run_is_told_whole(client: Client, work: Path) -> None:
    run = newest(client, "trade")
    found = client.get("runs/detail", {"id": run}, reply=DetailReply)
    with closing(connect_reader(work / FILE)) as connection:
        stages = runs.stages_of(connection, run)
        assert found.orders == orders.states_of(connection, run)
    assert [(s.name, s.seconds, s.started) for s in found.stages] == [(s.name, s.seconds, s.started) for s in stages]
    assert [s.name for s in found.stages] == ["load", "compute", "validate", "execute", "audit"]
    assert [a.name for a in found.artifacts] == sorted(p.name for p in (work / "runs" / run).iterdir())
    assert found.totals.orders == sum(found.orders.values()) > 0
    assert (found.portfolio, found.broker, found.status.outcome) == ("main", "paper", "done")
    with pytest.raises(SigcError, match="there is no run"):
        client.get("runs/detail", {"id": run[:-2]})


@pytest.mark.parametrize("kind", ["trade", "dry"])
def test_the_plan_of_a_run_is_its_dag(client: Client, traded: Site, kind: str) -> None:
    plan = client.get("runs/detail", {"id": newest(client, kind)}, reply=DetailReply).plan
    assert plan is not None
    text = (traded.folder / "momentum.sig").read_text().splitlines()
    assert plan.file == "momentum.sig"
    labels = [node.label for node in plan.nodes]
    assert {"prices", "ret 20", "zscore"} <= set(labels)
    for node in plan.nodes:
        if node.operator in ("zscore", "ret", "neutralize", "long_short"):
            assert node.operator in text[node.line - 1]
    for before, after in plan.edges:
        assert before < after  # inputs first
    taken = {after for _, after in plan.edges}
    assert all((number in taken) is (node.kind != "source") for number, node in enumerate(plan.nodes))
    stored = {node.name: node for node in plan.nodes if node.is_stored}
    assert {"momentum", "main.weights"} == set(stored)
    assert sum(n.computed + n.cached for n in stored.values()) == sum(plan.blocks.values())
    assert sum(n.seconds or 0.0 for n in plan.nodes) <= plan.seconds + 1e-3
    assert any(node.seconds for node in plan.nodes)


def values_of(work: Path, run: str) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads((work / "runs" / run / "signal-values.json").read_text())
    return data


def test_signals_are_told_and_held_against_what_followed(client: Client, work: Path, traded: Site) -> None:
    import pyarrow.parquet as pq

    found = client.get("signals/history", {"strategy": "momentum"}, reply=SignalsReply)
    assert [day.as_of for day in found.days] == list(DAYS[:4])[::-1]
    table = pq.read_table(traded.folder / "prices.parquet").to_pandas()
    prices = table.set_index(table["date"].astype(str).str[:10])
    newest_day, *earlier = found.days
    assert {line.ic for line in newest_day.signals} == {None}  # its next session is not known
    for day in earlier:
        told = values_of(work, day.run)
        after = DAYS[DAYS.index(day.as_of) + 1]
        for line in day.signals:
            values = np.array([np.nan if v is None else v for v in told["values"][line.name]])
            valid = values[np.isfinite(values) & ((values != 0.0) | (line.name != "weights"))]
            assert line.count == len(valid)
            assert line.quantiles == pytest.approx(np.quantile(valid, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]))
            then, now = (prices.loc[str(d), told["names"]].to_numpy(dtype=float) for d in (day.as_of, after))
            returns = now / then - 1
            both = np.isfinite(values) & np.isfinite(returns)
            assert line.ic == pytest.approx(spearmanr(values[both], returns[both])[0], abs=1e-6)
        assert {line.name for line in day.signals} == {"momentum", "weights"}
        assert day.universe >= max(line.count for line in day.signals)
    assert len(found.fifths["momentum"]) == 5  # of the weights some fifth is empty: most are the same
    page = client.get("signals/history", {"strategy": "momentum", "most": 3}, reply=SignalsReply)
    rest = client.get("signals/history", {"strategy": "momentum", "most": 3, "before": page.before}, reply=SignalsReply)
    assert [d.run for d in (*page.days, *rest.days)] == [d.run for d in found.days]


@pytest.mark.parametrize("name", ["history/nav", "positions/list", "signals/history"])
def test_a_strategy_that_is_not_known_is_refused(client: Client, name: str) -> None:
    with pytest.raises(SigcError, match="there is no strategy 'momentun'") as told:
        client.get(name, {"strategy": "momentun"})
    assert "momentum" in told.value.diagnostics[0].hint
