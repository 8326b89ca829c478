"""What a person does on the page is done by the daemon, once, and audited with their name; what they may not, is not."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, expect

from sigc.rpc.messages.alerts import AlertsReply
from tests.daemon.daemons import Daemon, Gate, Site
from tests.dashboard.browsers import READ_TOKEN, PageServer, reader


def records(site: Site, verb: str) -> list[dict[str, object]]:
    """The audit's records of a verb that was asked for."""
    said = site.sigc("audit", "query", "--json", "--config", str(site.config)).stdout
    found = [json.loads(line) for line in said.splitlines()] if not said.startswith("[") else json.loads(said)
    return [one for one in found if one["event"] == "rpc.asked" and one["payload"]["verb"] == verb]


def test_a_run_that_is_started_here_goes_through_and_appears(site: Site, browser: Browser) -> None:
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        window = person.look("overview")
        said = person.confirm("button[data-do=dry_run][data-name=second]", "second", "a look")
        match = re.search(r"Run (\S+) of second has begun", said)
        assert match is not None
        row = window.locator("#part-recent tr", has_text=match[1])
        expect(row).to_contain_text("done")
        window.click("#ask-close")
        assert "has begun" in person.confirm("button[data-do=run][data-name=momentum]", "momentum")
        expect(window.locator("#part-strategies tr", has_text="momentum")).to_contain_text("success")
        assert person.complaints == []
        assert {str(r["who"]) for r in records(site, "run")} == {"main (anna (page, 127.0.0.1))"}


def test_pause_and_resume_work_and_are_audited_with_the_user(site: Site, browser: Browser) -> None:
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token, user="Zoë <b>")
        window = person.look("overview")
        row = window.locator("#part-strategies tr", has_text="momentum")
        person.confirm("button[data-do=pause][data-name=momentum]", "momentum", "<i>why</i> not")
        window.click("#ask-close")
        expect(row).to_contain_text("paused")
        assert site.status().strategies[0].state == "paused"
        person.look("orders")
        expect(window.locator("#part-decisions")).to_contain_text("<i>why</i> not")
        expect(window.locator(".who")).to_contain_text("Zoë <b>")
        person.look("overview")
        person.confirm("button[data-do=resume][data-name=momentum]", "momentum")
        expect(row).to_contain_text("active")
        assert person.complaints == []
        (paused,), (resumed,) = records(site, "pause"), records(site, "resume")
        assert "<b>" in str(paused["who"])
        assert "page, 127.0.0.1" in str(paused["who"])
        assert str(paused["who"]).startswith("main (")
        assert str(resumed["who"]).startswith("main (")


def test_trading_is_halted_and_let_go_on(site: Site, browser: Browser) -> None:
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        window = person.look("orders")
        person.confirm("button[data-do=halt_all]", "demo", "the market is closed early")
        window.click("#ask-close")
        expect(window.locator("#part-trading")).to_contain_text("halted")
        expect(window.locator("#part-decisions")).to_contain_text("the market is closed early")
        run = site.run("momentum", date="2017-03-01")
        assert run.outcome != "done"
        assert "halted" in run.message
        person.confirm("button[data-do=unhalt_all]", "demo")
        expect(window.locator("#part-trading")).to_contain_text("open")
        assert site.run("momentum", date="2017-03-01").outcome == "done"


def test_an_alert_is_shown_and_acknowledged_with_the_user(site: Site, browser: Browser) -> None:
    """A halt raises one; a channel where nobody answers leaves it undelivered; who acknowledged is told and audited."""
    site.settings["alerts"] = {"channels": {"ops": {"type": "webhook", "url": "http://127.0.0.1:9"}}}
    site.write()
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        window = person.look("overview")
        card = window.locator("#part-alerts")
        expect(card).to_contain_text("No alert is open.")
        with site.client() as client:
            client.post("safety/halt", {"strategy": "momentum", "reason": "<b>enough</b>"})
        row = card.locator("tbody tr", has_text="momentum: trading halted")
        expect(row).to_contain_text("critical")
        expect(row).to_contain_text("nobody")
        expect(card).to_contain_text("1 undelivered")
        row.locator("summary").click()
        expect(row).to_contain_text("<b>enough</b>")
        with site.client() as client:
            (before,) = client.get("alerts/list", reply=AlertsReply).alerts
        said = person.confirm("button[data-do=ack]", f"alert {before.id}", "I look")
        assert f"alert {before.id} is acknowledged" in said
        window.click("#ask-close")
        expect(row).to_contain_text("anna (page, 127.0.0.1)")
        expect(row).to_contain_text("I look")
        expect(row.locator("button")).to_have_count(0)
        with site.client() as client:
            (after,) = client.get("alerts/list", reply=AlertsReply).alerts
        assert (after.state, after.reason) == ("acknowledged", "I look")
        assert [str(r["who"]) for r in records(site, "alerts/ack")] == ["main (anna (page, 127.0.0.1))"]
        assert person.complaints == []


def test_a_run_under_way_is_cancelled(site: Site, browser: Browser) -> None:
    gate = Gate.make(site.folder)
    site.settings["schedule"]["jobs"] = [site.script("gate", *gate.command)]
    site.write()
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        site.sigc("schedule", "run", "gate", "--config", str(site.config))
        gate.wait()
        person.log_in(site.token)
        window = person.look("orders")
        assert "ends as soon as it can" in person.confirm("button[data-do=cancel]", "gate")
        window.click("#ask-close")
        expect(window.locator("#part-under_way")).to_contain_text("No run is under way")


def test_nothing_is_done_without_the_name(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        window = person.look("overview")
        window.click("button[data-do=pause][data-name=momentum]")
        window.fill("#typed", "momentun")
        expect(window.locator("#ask-do")).to_be_disabled()
        window.keyboard.press("Enter")
        window.keyboard.press("Escape")
    cookie = shown.cookie(shown.site.token)
    for typed in ("", "momentun", "second"):
        status, said = shown.do(cookie, "pause", "momentum", typed=typed)
        assert (status, said["ok"]) == (422, False)
    status, _ = shown.do(cookie, "pause_all", "momentum")  # of everything, the daemon's name is typed
    assert status == 422
    assert not shown.site.status().is_paused
    assert {one.state for one in shown.site.status().strategies} == {"active"}


def test_who_may_only_look_sees_everything_and_changes_nothing(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        person.log_in(READ_TOKEN, user="wall")
        window = person.look("overview")
        expect(window.locator("#part-strategies")).to_contain_text("momentum")
        for view in ("overview", "orders"):
            person.look(view)
            expect(window.locator("button[data-do]").first).to_be_disabled()
            expect(window.locator("button[data-do]:enabled")).to_have_count(0)
        title = window.locator("button[data-do]").first.get_attribute("title") or ""
        assert "takes the role operate" in title
    cookie = shown.cookie(READ_TOKEN)
    for what, name in (("pause", "momentum"), ("run", "momentum"), ("halt_all", "demo")):
        status, said = shown.do(cookie, what, name)
        assert status == 403
        assert "role" in said["message"]
    assert not shown.site.status().is_paused


def test_what_the_daemon_refuses_is_told(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        window = person.look("orders")
        person.confirm("button[data-do=pause][data-name=second]", "second")
        window.click("#ask-close")
        said = person.confirm("button[data-do=run][data-name=second]", "second")
        assert said.startswith("The daemon refused:")
        assert "paused" in said
        window.click("#ask-close")
        person.confirm("button[data-do=resume][data-name=second]", "second")
        window.click("#ask-close")
        expect(window.locator("button[data-do=pause][data-name=second]")).to_be_visible()


@pytest.mark.parametrize(
    "wish", [b"", b"[]", b"{", b'{"do": 1}', b'{"daemon":"demo","do":"x","name":"a","typed":"a","key":"k"}']
)
def test_wishes_that_are_none_change_nothing(shown: PageServer, wish: bytes) -> None:
    headers = {"Content-Type": "application/json", "Cookie": shown.cookie(shown.site.token)}
    status, _, body = shown.ask("POST", "/do", wish, headers)
    assert status == (404 if b'"do":"x"' in wish else 400)  # a wish in form, of an action that there is not
    assert not json.loads(body)["ok"]


def test_a_wish_is_done_once_however_often_it_is_sent(shown: PageServer) -> None:
    cookie = shown.cookie(shown.site.token)
    (said,) = {shown.do(cookie, "dry_run", "second", key="the-same-key-twice")[1]["message"] for _ in range(3)}
    assert re.search(r"Run \S+ of second has begun", said)  # a refusal would be the same three times too


@pytest.mark.parametrize(
    ("name", "id"),
    [("alert 3", "4"), ("alert 3", ""), ("alert x", "x"), ("alert ٣", "٣"), ("3", "3"), ("alert 03", "03")],
)
def test_an_alert_is_named_by_its_number(shown: PageServer, name: str, id: str) -> None:
    status, said = shown.do(shown.cookie(shown.site.token), "ack", name, id=id)
    assert (status, said["message"]) == (422, f"Nothing was done: '{name}' is not the alert {id}.")


def test_an_alert_that_there_is_not_is_told(shown: PageServer) -> None:
    status, said = shown.do(shown.cookie(shown.site.token), "ack", "alert 999", id="999")
    assert (status, said["message"].startswith("The daemon refused: E312: there is no alert 999")) == (409, True), said
