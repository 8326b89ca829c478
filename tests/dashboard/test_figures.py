"""What a daemon and its page say of a book whose figures were worked out by hand: whole rows and tiles, from literals.

Read as documents from a real daemon's answers, and once from the browser's own elements.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from sigc.rpc.messages.history import NavReply
from sigc.rpc.verb import Role
from sigc_dashboard import tracks
from sigc_dashboard.daemon_feed import STATUS, Ask, FeedAnswer, Snapshot
from sigc_dashboard.reports.figures import DOWN, UP
from sigc_dashboard.view_api import Following, Look, Where
from sigc_dashboard.views import VIEWS
from tests.daemon.daemons import Daemon, Site
from tests.dashboard.browsers import PageServer, reader
from tests.dashboard.conftest import site_in
from tests.dashboard.reading import Document
from tests.store import worked_book
from tests.store.worked_book import FIRST, LAST

pytestmark = pytest.mark.xdist_group("worked book")  # one daemon for all of them
TILES = {
    "NAV": ("100,688", "close of 2024-01-11"),
    "Total return": ("+0.69%", "+77.8% a year"),
    "Last session": ("+1.41%", "-1.9% to +1.4%"),
    "Drawdown": ("-0.55%", "deepest -1.9%"),
    "Sharpe": ("2.03", "volatility 29.9% a year"),
    "Exposure": ("60%", "gross; net +20%"),
    "Turnover": ("41%", "mean of a rebalance"),
    "Slippage": ("+10.8 bps", "commission 10.60"),
}
HELD = [
    ("Asset", "Held", "Target", "Drift", "", "Value", "Quantity", "Price", "Unrealised"),
    ("AAA", "46.69%", "50.00%", "-3.31%", "", "46,690", "460", "101.50", "+518"),
    ("BBB", "-20.00%", "-21.00%", "+1.00%", "", "-20,000", "-400", "50.00", "-40"),
    ("CCC", "0.00%", "3.00%", "-3.00%", "", "0", "0", "20.00", "+0"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, world: Path, jit_directory: Path) -> Iterator[Site]:
    """A daemon that has found the book in its work dir, and leaves it as it is."""
    made = site_in(tmp_path_factory.mktemp("worked"), world, jit_directory)
    worked_book.write(made.folder / "work")
    with Daemon(made):
        yield made


def seen(site: Site, name: str, what: str = "") -> Mapping[str, Document]:
    """The parts of a view, of what the daemon answers now."""
    view, where = next(one for one in VIEWS if one.name == name), Where("demo", what)
    answers: dict[Ask[Any], FeedAnswer] = {}
    with site.client() as client:
        for _ in range(2):
            look = Look(where, Snapshot(MappingProxyType(dict(answers)), 1.0), Role.TRADE)
            more = view.follow(look) if isinstance(view, Following) else ()
            for ask in {STATUS, *view.asks(where), *more} - answers.keys():
                answers[ask] = FeedAnswer(client.get(ask.verb, dict(ask.fields), reply=ask.reply))
    look = Look(where, Snapshot(MappingProxyType(answers), 1.0), Role.TRADE)
    return {part.name: Document(str(part.html)) for part in view.parts(look)}


def asked(site: Site, verb: str, **fields: object) -> Any:
    with site.client() as client:
        return client.get(verb, fields)


def rounded(told: Mapping[str, Any]) -> dict[str, Any]:
    """To the digits of the sums that were made by hand."""
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in told.items()}


# What the daemon answers.


def test_the_track_as_data(site: Site) -> None:
    found = asked(site, "history/nav", strategy="momentum")
    figures, totals = found.pop("figures"), found.pop("totals")
    assert found == {
        "strategy": "momentum",
        "portfolio": "main",
        "capital": 100_000.0,
        "cash": 74_002.99,
        "opened": "2024-01-08T09:00:00+00:00",
        "sessions": 3,
        "session": ["2024-01-09", "2024-01-10", "2024-01-11"],
        "nav": [101_241.0, 99_285.5, 100_687.5],
        "drawdown": [0.0, -0.019315297, -0.005467153],
        "daily": [0.01241, -0.019315297, 0.014120894],
        "gross": [0.697346, 0.604318, 0.601862],
        "net": [0.310151, 0.193382, 0.204593],
        "turnover": [0.702, 0.124949, None],
        "commission": [9.0, 10.0, 10.0],
        "slippage": [150.0, 99.0, 99.0],
        "months": {"2024-01": 0.006875},
        "receivables": 0.0,
        "declared_until": "",
    }
    assert rounded(figures) == {
        "sessions": 3,
        "first": "2024-01-09",
        "last": "2024-01-11",
        "nav": 100_687.5,
        "total_return": 0.006875,
        "annual_return": 0.778062,
        "volatility": 0.298916,
        "sharpe": 2.027693,
        "max_drawdown": 0.019315,
        "peak": "2024-01-09",
        "trough": "2024-01-10",
        "recovery": "",
        "best": 0.014121,
        "worst": -0.019315,
        "win_rate": 0.666667,
        "turnover": 0.413474,  # the mean of 0.702 and 0.124949
    }
    assert rounded(totals) == {
        "orders": 7,
        "ordered": 99_075.0,
        "fills": 5,
        "traded": 86_404.91,
        "commission": 10.6,
        "slippage": 92.91,
        "referenced": 86_290.0,
        "slippage_bps": 10.76718,
    }


def test_positions_as_data(site: Site) -> None:
    found = asked(site, "positions/list", strategy="momentum")
    names = ("asset", "quantity", "average_price", "price", "value", "weight", "unrealised", "target", "drift")
    assert [tuple(one[name] for name in names) for one in found.pop("positions")] == [
        ("AAA", 460.0, 100.3737173913, 101.5, 46_690.0, 0.4669, 518.09, 0.5, -0.0331),
        ("BBB", -400.0, 49.9, 50.0, -20_000.0, -0.2, -40.0, -0.21, 0.01),
        ("CCC", 0.0, 0.0, 20.0, 0.0, 0.0, 0.0, 0.03, -0.03),
    ]
    assert found == {
        "strategy": "momentum",
        "portfolio": "main",
        "nav": 100_687.5,
        "cash": 74_002.99,
        "as_of": "2024-01-11",
        "run": LAST,
        "total": 3,
        "money": 100_000.0,
        "receivables": 0.0,
    }


def test_orders_and_fills_as_data(site: Site) -> None:
    assert asked(site, "orders/open") == {"orders": {"momentum": {"acknowledged": 1, "partially_filled": 1}}}
    names = ("client_order_id", "session", "asset", "side", "quantity", "price", "state", "filled", "sent", "message")
    rows = [tuple(one[name] for name in names) for one in asked(site, "orders/list", strategy="momentum")["orders"]]
    sent = {day: f"2024-01-{day}T13:31:00+00:00" for day in ("09", "10", "12")}
    assert rows == [
        ("r0112-trade-1", "2024-01-12", "BBB", "sell", 20, 50.25, "acknowledged", 0, sent["12"], ""),
        ("r0112-trade-0", "2024-01-12", "AAA", "buy", 150, 101.5, "partially_filled", 60, sent["12"], ""),
        ("r0110-trade-1", "2024-01-10", "BBB", "buy", 50, 48.5, "expired", 0, sent["10"], "the session has ended"),
        ("r0110-trade-0", "2024-01-10", "AAA", "sell", 100, 102, "filled", 100, sent["10"], ""),
        ("r0109-trade-2", "2024-01-09", "CCC", "buy", 10, 20, "rejected", 0, sent["09"], "CCC is not traded"),
        ("r0109-trade-1", "2024-01-09", "BBB", "sell", 400, 50, "filled", 400, sent["09"], ""),
        ("r0109-trade-0", "2024-01-09", "AAA", "buy", 500, 100, "filled", 500, sent["09"], ""),
    ]
    for state, count in (("open", 2), ("filled", 3), ("rejected", 1), ("expired", 1), ("cancelled", 0)):
        assert len(asked(site, "orders/list", state=state)["orders"]) == count
    told = ("asset", "side", "quantity", "price", "commission", "slippage_bps", "run", "at")
    assert [tuple(rounded(one)[name] for name in told) for one in asked(site, "fills/list")["fills"]] == [
        ("AAA", "buy", 60, 101.3985, 0.6, -10.0, LAST, "2024-01-12T14:30:00+00:00"),
        ("AAA", "sell", 100, 102.51, 1.0, -50.0, "r0110-trade", "2024-01-10T14:30:00+00:00"),
        ("AAA", "buy", 200, 100.4, 2.0, 40.0, FIRST, "2024-01-09T14:35:00+00:00"),
        ("BBB", "sell", 400, 49.9, 4.0, 20.0, FIRST, "2024-01-09T14:30:00+00:00"),
        ("AAA", "buy", 300, 100.1, 3.0, 10.0, FIRST, "2024-01-09T14:30:00+00:00"),
    ]


def test_runs_as_data(site: Site) -> None:
    names = ("id", "kind", "as_of", "session", "outcome", "message")
    rows = [
        (LAST, "trade", "2024-01-11", "2024-01-12", "done", "2 orders"),
        ("r0112-refused", "trade", "2024-01-11", "2024-01-12", "refused", "prices of AAA are missing"),
        ("r0111-dry", "dry", "2024-01-11", "2024-01-12", "done", "2 orders, none of them sent"),
        ("r0110-trade", "trade", "2024-01-09", "2024-01-10", "done", "2 orders"),
        (FIRST, "trade", "2024-01-08", "2024-01-09", "done", "3 orders"),
    ]
    for verb in ("history/runs", "runs/list"):
        assert [tuple(one[name] for name in names) for one in asked(site, verb)["runs"]] == rows
    found = asked(site, "runs/detail", id=FIRST)
    assert found["orders"] == {"filled": 2, "rejected": 1}
    assert rounded(found["totals"]) == {
        "orders": 3,
        "ordered": 70_200.0,
        "fills": 3,
        "traded": 70_070.0,
        "commission": 9.0,
        "slippage": 150.0,
        "referenced": 70_000.0,
        "slippage_bps": 21.428571,
    }
    days = asked(site, "signals/history", strategy="momentum")["days"]
    assert [(d["session"], d["slippage_bps"], d["commission"], d["traded"]) for d in days] == [
        ("2024-01-12", -10.0, 0.6, 6083.91),
        ("2024-01-10", -50.0, 1.0, 10_251.0),
        ("2024-01-09", 21.4286, 9.0, 70_070.0),
    ]


def test_the_status_and_the_metrics_of_the_book(site: Site) -> None:
    """As `sigc status` prints them; the metrics once the book was looked after."""
    block = site.sigc("status", "--json")
    assert block.returncode == 0
    told = json.loads(block.stdout)["strategies"]
    assert [(one["name"], one["state"], one["last_run"], one["status"], one["run"]) for one in told] == [
        ("momentum", "active", "2024-01-15T12:00:00+00:00", "success", LAST),
        ("second", "active", None, "never run", ""),
    ]

    def gauges() -> dict[str, float]:
        lines = site.page("metrics", "/metrics")[1].decode().splitlines()
        own = (line for line in lines if '{strategy="momentum"}' in line)
        return {line.partition("{")[0]: round(float(line.split()[-1]), 6) for line in own}

    site.until(lambda: "sigc_nav_dollars" in gauges(), "the book is looked after")
    found = gauges()
    assert found == {
        "sigc_positions_count": 2,
        "sigc_trades_total": 0,  # fills before this daemon's start
        "sigc_nav_dollars": 100_687.5,
        "sigc_daily_return_ratio": 0.014121,
        "sigc_drawdown_ratio": 0.005467,
        "sigc_gross_exposure_ratio": 0.601862,
        "sigc_net_exposure_ratio": 0.204593,
        "sigc_turnover_ratio": 0.161142,
    }


# What the page shows.


def test_the_view_of_a_strategy(site: Site) -> None:
    parts = seen(site, "strategy", "momentum")
    assert parts["head"].facts == {"Last run": "success Jan 15 07:00", "Next run": parts["head"].facts["Next run"]}
    assert parts["head"].words.startswith("momentumactive")
    assert seen(site, "strategy", "second")["head"].facts == {"Last run": "never run –", "Next run": "–"}
    assert parts["figures"].tiles == TILES
    assert parts["positions"].tables["Positions"] == HELD
    assert "At the prices of 2024-01-11; weights are shares of 100,000." in parts["positions"].words
    signs = parts["positions"].classes
    assert (signs["+518"], signs["-40"], "+0" in signs) == ("up", "down", False)
    assert parts["months"].tables["Return by month and year, in percent"][1] == ("2024", "0.7", *[""] * 11, "0.7")
    assert [row[:4] for row in parts["runs"].tables["Newest runs"]] == [
        ("Run", "Outcome", "Kind", "As of"),
        (LAST, "done", "trade", "2024-01-11"),
        ("r0112-refused", "refused", "trade", "2024-01-11"),
        ("r0111-dry", "done", "dry", "2024-01-11"),
        ("r0110-trade", "done filled in part", "trade", "2024-01-09"),
        (FIRST, "done", "trade", "2024-01-08"),
    ]
    assert parts["runs"].tables["Newest runs"][1][4:] == ("Jan 12 08:30", "2 d 22 h", "2 orders", "why")


def test_the_tones_of_the_figures(site: Site) -> None:
    """A gain is good, also where today's drawdown is not."""
    view, where = next(one for one in VIEWS if one.name == "strategy"), Where("demo", "momentum")
    with site.client() as client:
        answers = {ask: FeedAnswer(client.get(ask.verb, dict(ask.fields), reply=ask.reply)) for ask in view.asks(where)}
    parts = view.parts(Look(where, Snapshot(MappingProxyType(answers), 1.0), Role.READ))
    html = next(str(part.html) for part in parts if part.name == "figures")
    for label, tone in (("Total return", "tile good"), ("Last session", "tile good"), ("Drawdown", "tile")):
        assert f'<div class="{tone}"><span>{label}</span>' in html


def test_the_view_of_orders(site: Site) -> None:
    parts = seen(site, "orders")
    assert parts["open"].tables["Open orders"] == [
        ("Asset", "Side", "Quantity", "Filled", "Price", "State", "Strategy", "Session", "Sent", "Why"),
        ("BBB", "sell", "20", "0", "50.25", "acknowledged", "momentum", "2024-01-12", "Jan 12 08:31", "why"),
        ("AAA", "buy", "150", "60", "101.50", "partially filled", "momentum", "2024-01-12", "Jan 12 08:31", "why"),
    ]
    assert parts["positions"].tables["Positions"] == [
        ("Asset", "Strategy", "Quantity", "Price", "Value", "Weight", "Target", "Drift", "Unrealised"),
        ("AAA", "momentum", "460", "101.50", "46,690", "46.7%", "50.0%", "-3.3%", "+518"),
        ("BBB", "momentum", "-400", "50.00", "-20,000", "-20.0%", "-21.0%", "+1.0%", "-40"),
        ("CCC", "momentum", "0", "20.00", "0", "0.0%", "3.0%", "-3.0%", "+0"),
    ]
    assert parts["fills"].tables["Latest fills"] == [
        ("Asset", "Side", "Quantity", "Price", "Slippage", "Commission", "Strategy", "When"),
        ("AAA", "buy", "60", "101.40", "-10.0 bps", "0.60", "momentum", "Jan 12 09:30"),
        ("AAA", "sell", "100", "102.51", "-50.0 bps", "1.00", "momentum", "Jan 10 09:30"),
        ("AAA", "buy", "200", "100.40", "+40.0 bps", "2.00", "momentum", "Jan 09 09:35"),
        ("BBB", "sell", "400", "49.90", "+20.0 bps", "4.00", "momentum", "Jan 09 09:30"),
        ("AAA", "buy", "300", "100.10", "+10.0 bps", "3.00", "momentum", "Jan 09 09:30"),
    ]
    assert parts["trading"].tiles == {
        "Trading": ("open", "orders may be sent"),
        "Broker": ("paper", "a simulation"),
        "Schedule": ("on", "of 2 strategies"),
        "Under way": ("0 runs",),
        "Decisions that hold": ("0",),
        "Circuit breakers": ("0", "none is set"),
    }


def test_the_view_of_a_run(site: Site) -> None:
    parts = seen(site, "run", LAST)
    assert parts["head"].facts == {
        LAST: "done",
        "Strategy": "momentum",
        "Portfolio": "main",
        "Kind": "trade, paper",
        "As of, for": "2024-01-11, 2024-01-12",
        "Asked": "Jan 12 08:30",
        "Took": "2 d 22 h",
        "By": "anna@cli",
    }
    assert parts["figures"].tiles == {
        "Orders": ("2", "1 acknowledged, 1 partially filled"),
        "Filled": ("6,084", "of 16,225 ordered"),
        "Slippage": ("-10.0 bps", "against the sizing price"),
        "Commission": ("0.60", "1 fill"),
    }
    assert parts["stages"].tables["Stages"][1:] == [
        ("load", "", "125.0 ms", "done", ""),
        ("validate", "", "500.0 ms", "done", "1 finding"),
    ]
    assert parts["findings"].tables["Findings"][1:] == [
        ("warning", "validate", "data.missing", "2 prices are missing", "CCC")
    ]
    assert parts["orders"].tables["Orders"] == [
        ("Asset", "Side", "Quantity", "Filled", "Price", "Value", "State", "Sent", "Why"),
        ("BBB", "sell", "20", "0", "50.25", "1,005", "acknowledged", "Jan 12 08:31", "why"),
        ("AAA", "buy", "150", "60", "101.50", "15,225", "partially filled", "Jan 12 08:31", "why"),
    ]
    assert parts["fills"].tables["Fills"] == [
        ("Asset", "Side", "Quantity", "Price", "Value", "Slippage, bps", "Commission", "At"),
        ("AAA", "buy", "60", "101.3985", "6,084", "-10.0", "0.60", "Jan 12 09:30"),
    ]
    first = seen(site, "run", FIRST)["figures"].tiles
    assert first["Orders"] == ("3", "2 filled, 1 rejected")
    assert first["Filled"] == ("70,070", "of 70,200 ordered")
    assert first["Slippage"] == ("+21.4 bps", "against the sizing price")
    assert first["Commission"] == ("9.00", "3 fills")
    newest = seen(site, "run")["newest"].tiles
    assert newest == {"Shown": ("5", "the newest"), "Done": ("4",), "Refused or failed": ("1",), "Under way": ("0",)}


def test_the_overview(site: Site) -> None:
    parts = seen(site, "overview")
    first, second = parts["strategies"].tables["Strategies"][1:]
    assert first[:3] == ("momentum active", "100,688+0.7%", "successJan 15 07:00")
    assert second[:3] == ("second active", "–", "never run")
    assert parts["strategies"].classes["+0.7%"] == "up"
    assert parts["strategies"].pictures == ["NAV of momentum over 3 sessions"]
    assert parts["recent"].tables["Runs"][1:] == [
        ("momentum", "done", "trade", "Jan 12 08:30", "2 d 22 h", LAST),
        ("momentum", "refused", "trade", "Jan 12 08:30", "2 d 22 h", "r0112-refused"),
        ("momentum", "done", "dry", "Jan 12 08:30", "2 d 22 h", "r0111-dry"),
        ("momentum", "done", "trade", "Jan 10 08:30", "4 d 22 h", "r0110-trade"),
        ("momentum", "done", "trade", "Jan 09 08:30", "5 d 22 h", FIRST),
    ]


def test_the_columns_that_are_drawn(site: Site) -> None:
    with site.client() as client:
        nav = client.get("history/nav", {"strategy": "momentum"}, reply=NavReply)
    columns = tracks.track_columns(nav)
    assert math.isnan(columns["turnover"].pop())
    assert columns == {
        "x": [1704758400000.0, 1704844800000.0, 1704931200000.0],
        "nav": [101_241.0, 99_285.5, 100_687.5],
        "drawdown": [0.0, -0.019315297, -0.005467153],
        "daily": [0.01241, -0.019315297, 0.014120894],
        "colour": [UP, DOWN, UP],
        "gross": [0.697346, 0.604318, 0.601862],
        "net": [0.310151, 0.193382, 0.204593],
        "turnover": [0.702, 0.124949],
        "commission": [9.0, 10.0, 10.0],
        "slippage": [150.0, 99.0, 99.0],
    }


def test_the_browser_shows_the_same(site: Site, browser: Browser) -> None:
    """Each cell where a reader looks for it: what the script moves about or fills in is as the document has it."""
    with PageServer(site) as server, reader(browser, server, timezone_id="America/New_York") as person:
        person.log_in(site.token)
        window = person.look("strategy", what="momentum")
        expect(window.locator("#part-figures .tile")).to_have_count(len(TILES))
        tiles = "tiles => tiles.map(tile => [...tile.children].map(one => one.textContent))"
        shown = window.locator("#part-figures .tile").evaluate_all(tiles)
        assert {label: tuple(words) for label, *words in shown} == TILES
        cells = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        rows = window.locator("#part-positions tr").evaluate_all(cells)
        assert [tuple(row) for row in rows] == HELD
        window = person.look("orders")
        expect(window.locator("#part-open tbody tr")).to_have_count(2)
        rows = window.locator("#part-open tbody tr").evaluate_all(cells)
        assert [row[:8] for row in rows] == [
            ["BBB", "sell", "20", "0", "50.25", "acknowledged", "momentum", "2024-01-12"],
            ["AAA", "buy", "150", "60", "101.50", "partially filled", "momentum", "2024-01-12"],
        ]
        assert person.complaints == []
