"""Pictures of the page, taken from a demo that runs: `make screenshots`.

A daemon on a small synthetic market, three strategies with some weeks of paper trading, a cluster of two workers. Every
view, light, dark and 390 px wide, goes to build/screenshots as it is; a few, made small, to docs/pictures.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import LocalCluster
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from sigc_cli.synthetic_universe import business_days
from sigc_dashboard.views import VIEWS
from tests.daemon.daemons import Daemon, Site
from tests.daemon.processes import ROOT
from tests.dashboard.browsers import CHROMIUM, PageServer, reader
from tests.trading.floor import TEXT
from tests.world import write_world

WHOLE = ROOT / "build" / "screenshots"
SMALL = ROOT / "docs" / "pictures"
SESSIONS = 45
STRATEGIES = {
    "momentum": TEXT,
    "reversal": TEXT.replace("ret(prices, 20)", "-ret(prices, 5)"),
    "calm": TEXT.replace("ret(prices, 20)", "-rolling_std(ret(prices, 1), 60)"),
}
LOOKS = {"light": ("light", 1280), "dark": ("dark", 1280), "phone": ("light", 390), "phone-dark": ("dark", 390)}
# What the README and the documentation show: file, width.
KEPT = {
    "overview-light": 1100,
    "strategy-light": 900,
    "run-dark": 900,
    "orders-light": 900,
    "cluster-dark": 900,
    "overview-phone": 390,
}


def site_in(folder: Path, jit: Path, scheduler: str) -> Site:
    """A site with strategies on schedules."""
    world = folder / "world"
    world.mkdir()
    write_world(world)
    place = folder / "site"
    place.mkdir()
    site = Site(place, world, jit)
    for name, text in STRATEGIES.items():
        (place / f"{name}.sig").write_text(text)
    triggers = ("open+5m", "close-15m", "0 12 * * 1-5")
    site.settings["strategies"] = [
        {"name": name, "file": f"{name}.sig", "schedule": trigger}
        for name, trigger in zip(STRATEGIES, triggers, strict=True)
    ]
    site.settings["daemon"] |= {"max_memory_mb": 4096}
    site.settings["cluster"] = {"type": "address", "address": scheduler, "security": "none"}
    site.write()
    return site


def trade(site: Site) -> None:
    """Some weeks of it, a run that is refused, a strategy that is paused."""
    days = [str(day) for day in business_days("2017-03-01", SESSIONS).astype("datetime64[D]")]
    for number, day in enumerate(days):
        for name in STRATEGIES:
            site.run(name, date=day, is_dry=number % 9 == 8 and name == "calm")
    site.run("reversal", date="2001-01-02")
    for name in ("momentum", "reversal"):
        site.run(name, date=days[-1], is_dry=True)
    with site.client() as client:
        client.post("pause", {"strategy": "calm", "reason": "until the data of May are checked"})


@contextmanager
def demo() -> Iterator[PageServer]:
    """The page of it all."""
    with tempfile.TemporaryDirectory(prefix="sigc-pictures-") as folder:
        jit = Path(folder) / "compiled"
        (jit / "jit").mkdir(parents=True)
        with LocalCluster(
            n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit="1GiB"
        ) as cluster:
            site = site_in(Path(folder), jit, cluster.scheduler_address)
            with Daemon(site):
                trade(site)
                with PageServer(site, "--address", f"paper={site.address}") as server:
                    yield server


def take(browser: Browser, server: PageServer) -> None:
    """Every view in every look; the login, the question before a run."""
    for look, (scheme, width) in LOOKS.items():
        with reader(browser, server, color_scheme=scheme, viewport={"width": width, "height": 860}) as person:
            person.window.goto(server.url)
            shoot(person.window, f"login-{look}")
            person.log_in(server.site.token)
            for view in VIEWS:
                what = {"strategy": "momentum", "run": newest(server)}.get(view.name, "")
                window = person.window
                window.goto(f"{server.url}{view.name}?daemon=paper&what={what}")
                window.wait_for_selector("body[data-live]")
                window.wait_for_timeout(3500)  # until the slowest of what it asks is there
                shoot(window, f"{view.name}-{look}")
            window.goto(f"{server.url}overview?daemon=paper")
            window.wait_for_selector("body[data-live]")
            window.wait_for_timeout(1500)
            window.click("button[data-do=run][data-name=momentum]")
            shoot(window, f"dialog-{look}", whole=False)


def newest(server: PageServer) -> str:
    """The newest run that traded."""
    with server.site.client() as client:
        found = client.get("runs/list", {"most": 20, "strategy": "momentum"})["runs"]
    return str(next(run["id"] for run in found if run["kind"] == "trade"))


def shoot(window: Page, name: str, *, whole: bool = True) -> None:
    """Take one."""
    window.screenshot(path=WHOLE / f"{name}.png", full_page=whole)


def shrink() -> None:
    """The few that are kept, small."""
    SMALL.mkdir(parents=True, exist_ok=True)
    for name, width in KEPT.items():
        with Image.open(WHOLE / f"{name}.png") as picture:
            top = picture.crop((0, 0, picture.width, min(picture.height, 1500 if width < 500 else 1250)))
            small = top.resize((width, top.height * width // top.width), Image.Resampling.LANCZOS)
            small.convert("RGB").save(SMALL / f"{name}.webp", quality=82, method=6)


def main() -> int:
    """Take them all."""
    shutil.rmtree(WHOLE, ignore_errors=True)
    WHOLE.mkdir(parents=True)
    with demo() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        take(browser, server)
        browser.close()
    shrink()
    for path in sorted(SMALL.glob("*.webp")):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
