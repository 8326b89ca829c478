"""Every view in a real browser: it has data, says nothing wrong, asks nobody else, fits a phone, follows the system."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from sigc_dashboard.views import VIEWS
from tests.daemon.daemons import Daemon, Site
from tests.dashboard.browsers import PageServer, reader

# What a view shows of the daemon's own, which no template has.
DATA = {
    "overview": ("momentum", "success", "data connection", "trade"),
    "orders": ("momentum", "Halt trading", "0 9 * ", "rebalance"),
    "cluster": ("look-ups", "threads of the daemon", "Directory"),
}
LISTED = [view.name for view in VIEWS if view.is_listed]


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_view_renders_with_data_and_without_complaint(
    shown: PageServer, browser: Browser, name: str, width: int
) -> None:
    with reader(browser, shown, viewport={"width": width, "height": 800}) as person:
        person.log_in(shown.site.token)
        window = person.look(name)
        for words in DATA.get(name, ()):
            expect(window.locator("main")).to_contain_text(words)
        expect(window.locator("nav a[aria-current=page]")).to_have_count(1)
        expect(window.locator("#age")).to_contain_text("s old")
        assert window.evaluate("document.documentElement.scrollWidth") <= width
        assert person.complaints == []
        assert person.foreign == []


def test_the_page_is_readable_without_its_script(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown, java_script_enabled=False) as person:
        person.log_in(shown.site.token)
        person.window.goto(shown.address("overview"))
        expect(person.window.locator("header")).to_contain_text("demo")
        expect(person.window.locator("main h2").first).to_be_visible()


def test_the_look_follows_the_system(shown: PageServer, browser: Browser) -> None:
    paper = {}
    for scheme in ("light", "dark"):
        with reader(browser, shown, color_scheme=scheme) as person:
            person.log_in(shown.site.token)
            window = person.look("overview")
            paper[scheme] = window.evaluate("getComputedStyle(document.body).backgroundColor")
    light, dark = (sum(int(part) for part in paper[s][4:-1].split(",")) for s in ("light", "dark"))
    assert light > 600 > 200 > dark


def test_times_are_the_readers_and_the_exchanges(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown, timezone_id="Asia/Tokyo") as person:
        person.log_in(shown.site.token)
        window = person.look("overview")
        # 09:00 of New York is 23:00 in Tokyo, or 22:00 in summer.
        row = window.locator("#part-strategies tr", has_text="momentum").locator("time").last
        expect(row).to_contain_text("09:00 New York")
        assert any(hour in row.inner_text() for hour in ("23:00", "22:00"))


def test_the_page_can_be_used_by_keyboard_and_screen_reader(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        window = person.look("overview")
        window.keyboard.press("Tab")
        assert window.evaluate("document.activeElement.className") == "skip"
        window.keyboard.press("Enter")
        assert window.evaluate("document.activeElement.id") == "content"
        nameless = """[...document.querySelectorAll('button, a, input, [role=region], section:not(.bare)')].filter(
            e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length || e.getAttribute('aria-labelledby')
                   || e.type === 'hidden'))"""
        assert window.evaluate(f"{nameless}.length") == 0
        assert window.evaluate("document.querySelectorAll('main, nav, header, h1').length") == 4
        window.locator("button[data-do=pause]").first.focus()
        window.keyboard.press("Enter")
        assert window.evaluate("document.activeElement.id") == "typed"
        window.keyboard.press("Escape")
        assert window.evaluate("document.activeElement.dataset.do") == "pause"


def test_news_leave_focus_and_dialog_alone(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        window = person.look("overview")
        before = window.locator("#part-recent tbody tr").count()
        window.locator("button[data-do=run]").first.focus()
        mark = "document.activeElement.mark = 'the same'"
        window.evaluate(mark)
        shown.site.run("momentum", is_dry=True)
        expect(window.locator("#part-recent tbody tr")).to_have_count(min(8, before + 1))
        assert window.evaluate("document.activeElement.mark") == "the same"


def test_a_daemon_without_anything_is_shown_too(site: Site, browser: Browser) -> None:
    site.settings["strategies"] = []
    site.write()
    with Daemon(site), PageServer(site) as server, reader(browser, server) as person:
        person.log_in(site.token)
        for name in LISTED:
            window = person.look(name)
            expect(window.locator("main section").first).to_be_visible()
            expect(window.locator("main")).not_to_contain_text("Waiting for the daemon")
        assert person.complaints == []


def test_several_daemons_share_a_page(site: Site, shown: PageServer, browser: Browser) -> None:
    both = ("--address", f"demo={site.address}", "--address", f"other={shown.site.address}")
    with Daemon(site), PageServer(site, *both) as server, reader(browser, server) as person:
        person.window.goto(server.address("overview"))
        expect(person.window.locator("#daemon option")).to_have_count(2)
        person.log_in(site.token)
        window = person.look("overview")
        window.click("details.switch summary")
        window.click("details.switch a >> text=other")
        window.fill("#user", "anna")
        window.fill("#token", shown.site.token)
        window.click("form.card button")
        expect(window.locator(".masthead .name")).to_have_text("other")
        expect(window.locator("#part-recent")).to_contain_text("trade")
        person.look("overview")  # the first one knows them still
        expect(window.locator(".masthead .name")).to_have_text("demo")
