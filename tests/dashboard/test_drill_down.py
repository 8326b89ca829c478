"""Strategy and run in a real browser: reached by links, drawn with the daemon's data, live while a run goes on."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from sigc.rpc.messages.requests import JobRunReply
from tests.daemon.daemons import Daemon, Gate, Site
from tests.dashboard.browsers import PageServer, reader


def test_from_the_overview_to_a_strategy_to_its_run(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        window = person.look("overview")
        window.click("#part-strategies a >> text=momentum")
        expect(window).to_have_url(shown.address("strategy", what="momentum"))
        expect(window.locator("h2.big")).to_have_text("momentum")
        window.locator("#part-runs tr", has_text="trade").locator("a").first.click()
        expect(window.locator("h2.big")).to_contain_text("r20")
        expect(window.locator("#part-stages")).to_contain_text("execute")
        window.click("#part-head a >> text=momentum")
        expect(window.locator("h2.big")).to_have_text("momentum")
        assert person.complaints == []


@pytest.mark.parametrize("how", [{"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}])
def test_a_strategy_is_shown_with_its_book_and_its_signals(
    shown: PageServer, browser: Browser, how: dict[str, object]
) -> None:
    with reader(browser, shown, **how) as person:
        person.log_in(shown.site.token)
        window = person.look("strategy", what="momentum")
        expect(window.locator("#part-figures")).to_contain_text("1,000,000")
        expect(window.locator("#part-positions")).to_contain_text("-25.00%")  # wanted, and not filled yet
        expect(window.locator("#part-signals")).to_contain_text("wanted weights")
        expect(window.locator("#part-months")).to_contain_text("2017")
        expect(window.locator(".plot")).to_have_count(10)
        drawn = "document.querySelectorAll('.plot').length === 10 && [...document.querySelectorAll('.plot')].every("
        window.wait_for_function(drawn + "p => p.shadowRoot || p.querySelector('*'))")
        assert window.evaluate("[...document.querySelectorAll('.plot')].every(p => p.ariaLabel)")
        assert window.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert person.complaints == []
        assert person.foreign == []


def test_a_run_is_shown_with_its_plan_orders_and_log(shown: PageServer, browser: Browser) -> None:
    with shown.site.client() as client:
        run = client.get("history/runs", {"kind": "trade", "outcome": "done"})["runs"][0]["id"]
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        window = person.look("run", what=run)
        expect(window.locator("svg.dag g.node")).to_have_count(6)
        expect(window.locator("svg.dag")).to_contain_text("ret 20")
        expect(window.locator("#part-stages tbody tr")).to_have_count(5)
        expect(window.locator("#part-orders")).to_contain_text("acknowledged")
        expect(window.locator("#part-files")).to_contain_text("plan.json")
        expect(window.locator("#part-log")).to_contain_text("run ended")
        window.click("#part-plan summary")
        expect(window.locator("#part-plan table")).to_contain_text("momentum.sig:6")
        assert person.complaints == []


def test_why_from_a_row_of_runs_and_of_orders(shown: PageServer, browser: Browser) -> None:
    """The page says what the command says, of the run's session and of one of its assets."""
    with shown.site.client() as client:
        run = client.get("history/runs", {"kind": "trade", "outcome": "done"})["runs"][0]["id"]
    work = ("--work-dir", str(shown.site.folder / "work"))
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        window = person.look("run")
        window.locator("#part-newest tr", has_text=run).locator("a >> text=why").click()
        expect(window.locator("h2.big")).to_contain_text("momentum, session 2017-03-02")
        expect(window.locator("#part-chain tbody tr")).to_have_count(18)
        expect(window.locator("#part-chain")).to_contain_text("orders open at the broker")
        told = shown.site.sigc("why", "momentum", "--run", run, *work).stdout.strip()
        assert window.locator("#part-text pre").inner_text().strip() == told
        window = person.look("run", what=run)
        window.locator("#part-orders tbody tr", has_text="S000").locator("a >> text=why").click()
        expect(window.locator("h2.big")).to_have_text("momentum S000, session 2017-03-02")
        expect(window.locator("#part-chain")).to_contain_text("after constraints")
        told = shown.site.sigc("why", "momentum", "S000", "--run", run, *work).stdout.strip()
        assert window.locator("#part-text pre").inner_text().strip() == told
        assert person.complaints == []


def test_a_run_that_is_not_known_is_said_to_be_so(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        expect(person.look("run", what="nobody").locator("#part-head")).to_contain_text("there is no run nobody")
        window = person.look("strategy", what="nobody")
        expect(window.locator("#part-figures")).to_contain_text("there is no strategy 'nobody'")


def test_a_run_is_followed_while_it_goes_on(site: Site, browser: Browser) -> None:
    gate = Gate.make(site.folder)
    site.settings["schedule"]["jobs"] = [site.script("gate", *gate.command)]
    site.write()
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        with site.client() as client:
            run = client.post("schedule/run", {"job": "gate"}, reply=JobRunReply).run
        gate.wait()
        person.log_in(site.token)
        window = person.look("run", what=run)
        expect(window.locator("#part-head .badge")).to_have_text("running")
        expect(window.locator("#part-head button")).to_have_text("Cancel")
        gate.open()
        expect(window.locator("#part-head .badge")).to_have_text("done", timeout=2500)
        expect(window.locator("#part-head button")).to_have_count(0)
        assert person.complaints == []
