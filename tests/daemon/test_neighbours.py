"""Two daemons on one machine with many strategies each and one cache: neither notices the other, but by what is done."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sigc.store.ledger.connection import FILE, connect_reader
from sigc_cli.daemon_call import RunTarget, run_over_rpc
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.trading.floor import TEXT


def neighbour(folder: Path, world: Path, jit: Path, cache: Path, count: int) -> Site:
    """A site with so many strategies, whose cache is another's too."""
    folder.mkdir()
    site = Site(folder, world, jit)
    site.settings["daemon"]["cache"]["directory"] = str(cache)
    site.settings["daemon"]["max_runs"] = 4
    site.settings["strategies"] = []
    for number in range(count):
        name = f"strategy-{number:02d}"
        (folder / f"{name}.sig").write_text(TEXT.replace("ret(prices, 20)", f"ret(prices, {5 + number})"))
        site.settings["strategies"].append({"name": name, "file": f"{name}.sig"})
    site.write()
    return site


def trade(site: Site, name: str, day: str) -> str:
    """A session of a strategy, traded in its daemon; what its book wants, orders and holds."""
    with site.client() as client:
        ended = run_over_rpc(client, RunTarget(name, date=day))
    assert ended.outcome == "done", (ended.message, ended.findings)
    wanted = json.loads((site.folder / "work" / "runs" / ended.id / "weights.json").read_text())
    ordered = [(o["asset"], o["side"], o["quantity"]) for o in ended.result["orders"]]
    with closing(connect_reader(site.folder / "work" / FILE)) as connection:
        held = connection.execute("SELECT asset, quantity FROM positions WHERE strategy = ? ORDER BY asset", (name,))
        return json.dumps([wanted, ordered, held.fetchall()], sort_keys=True)


def both(folder: Path, world: Path, jit: Path, count: int) -> None:
    cache = folder / "cache"
    cache.mkdir()
    (cache / "jit").symlink_to(jit / "jit")
    sites = [neighbour(folder / name, world, jit, cache, count) for name in ("one", "two")]
    names = [s["name"] for s in sites[0].settings["strategies"]]
    with Daemon(sites[0], "--name", "one") as first, Daemon(sites[1], "--name", "two") as second:
        with ThreadPoolExecutor(8) as callers:
            for day in DAYS[:2]:  # one after the other: the paper market goes on for all of a daemon's strategies
                asked = [(name, site.port, callers.submit(trade, site, name, day)) for name in names for site in sites]
                books = {(name, port): told.result() for name, port, told in asked}
                for name in names:  # the same data and dates: the same books, whoever computed or found which block
                    assert books[name, sites[0].port] == books[name, sites[1].port]
        assert all(json.loads(book)[2] for book in books.values())  # the first session's orders were filled
        assert len(set(books.values())) > count // 2
        for site, daemon in zip(sites, (first, second), strict=True):
            found = site.status()
            assert (found.pid, found.is_ready) == (daemon.pid, True)
            assert {s.status for s in found.strategies} == {"success"}
            assert site.sigc("audit", "verify").returncode == 0
            assert "0 bad" in site.sigc("cache", "verify").stdout
            errors = [record for record in site.log() if record["level"] == "error"]
            assert errors == []
        assert sites[0].sigc("stop").returncode == 0
        assert sites[1].status().is_ready  # the end of one is nothing to the other
        assert sites[1].sigc("stop").returncode == 0
    assert [site.left_behind() for site in sites] == [[], []]


def test_neighbours_share_a_cache(tmp_path: Path, world: Path, jit_directory: Path) -> None:
    both(tmp_path, world, jit_directory, 6)


@pytest.mark.soak
def test_neighbours_with_24_strategies_each(tmp_path: Path, world: Path, jit_directory: Path) -> None:
    both(tmp_path, world, jit_directory, 24)
