"""A strategy's file edited beside a daemon that runs: what trades is what was loaded, over a crash too, until a reload."""

from __future__ import annotations

import json

from tests.daemon.daemons import Site
from tests.daemon.test_completing import all_orders, handed
from tests.trading.floor import TEXT

NEW = TEXT.replace("top=0.3", "top=0.1").replace("bottom=0.3", "bottom=0.1")
HALF = NEW[: NEW.index("emit")]


def edited(site: Site) -> str:
    (found,) = site.status().strategies
    return found.edited


def health(site: Site) -> str:
    return str(json.loads(site.page("health", "/health")[1])["checks"].get("strategy_files"))


def wanted(site: Site, what: str) -> list[tuple[str, str]]:
    """The orders of a dry run: sides and assets."""
    orders = site.run(what, is_dry=True).result["orders"]
    return sorted((one["asset"], one["side"]) for one in orders)


def test_an_edited_strategy_is_not_traded_until_a_reload(site: Site) -> None:
    site.settings["daemon"]["health"] = {"port": 0, "interval_seconds": 0.5}
    site.settings["execution"] = {"fill_wait_s": 0.0}
    site.settings["schedule"]["jobs"] = [
        {"name": "trade", "kind": "execute", "strategy": "momentum", "trigger": "0 9 29 2 *"}
    ]
    site.write()
    file = site.folder / "momentum.sig"
    assert NEW != TEXT
    with handed(site, -30) as daemon:
        before = wanted(site, "momentum")
        file.write_text(NEW)

        refused = site.sigc("run", "momentum")
        assert refused.returncode == 11
        assert "edited, not loaded: momentum.sig was edited at " in refused.stderr
        assert "`sigc reload` loads it" in refused.stderr
        assert all_orders(site) == ()
        tried = site.sigc("run", "momentum.sig", "--dry-run")
        assert tried.returncode == 0, tried.stderr
        assert "warning[W009]: edited, not loaded: " in tried.stderr
        assert "this run took the file as it is now" in tried.stderr
        assert wanted(site, "momentum") == before
        assert wanted(site, str(file)) != before
        site.until(lambda: edited(site).endswith("and is not loaded"), "status tells it")
        assert "    File: momentum.sig was edited at " in site.sigc("status").stdout
        assert health(site) == "ok"

        file.write_text(HALF)
        site.until(lambda: "momentum.sig was edited at " in health(site), "health tells that it is broken")
        assert site.sigc("reload").returncode == 3  # does not compile
        daemon.kill()
    with handed(site, -30) as daemon:
        site.until(lambda: "and can't be loaded: " in edited(site), "status tells it after the crash")
        assert site.sigc("schedule", "run", "trade").returncode == 0
        site.until(lambda: bool(all_orders(site)), "the job trades")
        assert sorted((one.asset, str(one.side)) for one in all_orders(site)) == before

        file.write_text(NEW)
        assert site.sigc("reload").returncode == 0
        assert edited(site) == ""
        assert wanted(site, "momentum") == wanted(site, str(file))
        file.write_text(HALF)
        assert site.sigc("stop").returncode == 0
        daemon.end()
    with handed(site, -30, wait=False) as daemon:  # stopped, not cut off: a start takes the files
        code, said = daemon.end()
        assert code == 3
        assert "momentum.sig" in said
