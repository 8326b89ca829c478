"""Reports of what is traded: by the command and by a job; one file that needs nothing else and runs nobody's markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sigc.rpc.client import Client
from sigc.rpc.messages.requests import JobRunReply, RunStatus
from sigc_dashboard.reports.live_report import LiveView, render
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.daemon.processes import PATIENCE_S


class Page(HTMLParser):
    """What a report shows and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.fetched: list[str] = []
        self.words = ""
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag in ("h1", "h2"):
            self.headings.append(data)
        if self._tag not in ("script", "style"):
            self.words += f" {data}"


@pytest.fixture
def reported(site: Site) -> Site:
    """A site with a job that reports all, and one for a strategy."""
    site.settings["schedule"]["jobs"] = [
        {"name": "all", "kind": "report", "trigger": "0 0 29 2 *"},
        {"name": "one", "kind": "report", "trigger": "0 0 29 2 *", "strategy": "momentum"},
    ]
    site.write()
    return site


def report(client: Client, job: str) -> RunStatus:
    """Run a report job to its end."""
    begun = client.post("schedule/run", {"job": job}, reply=JobRunReply)
    assert list(client.events("runs/events", {"id": begun.run}))[-1]["state"] == "ended"
    return client.get("runs/show", {"id": begun.run}, reply=RunStatus)


def test_a_job_and_the_command_write_the_same_report(reported: Site, tmp_path: Path) -> None:
    work = reported.folder / "work"
    with Daemon(reported), reported.client(PATIENCE_S) as client:
        early = report(client, "all")
        assert (early.outcome, early.message) == ("done", "nothing has been traded yet")
        for day in DAYS[:3]:
            assert reported.run(date=day).outcome == "done"
        ended = report(client, "one")
        path = work / "reports" / f"momentum-{DAYS[2]}.html"
        assert ended.message == f"reports/{path.name}"
        written = path.read_text()
        path.unlink()
        assert report(client, "all").result == {"reports": [f"reports/{path.name}"]}
        done = reported.sigc("report", "momentum", "--work-dir", str(work), "-o", "mine.html")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "mine.html\n"
        assert "3 sessions" in done.stderr
    mine = (reported.folder / "mine.html").read_text()
    page = Page(mine)
    assert _without_ids(path.read_text()) == _without_ids(mine) == _without_ids(written)
    assert page.headings[0] == "momentum (main)"
    assert {"NAV", "Drawdown", "Positions", "Newest runs", "Made of", "Months", "Signal momentum: coverage"} <= set(
        page.headings
    )
    assert page.fetched == []
    assert DAYS[2] in page.words
    assert not list((work / "reports").glob(".*"))


def _without_ids(text: str) -> str:
    """A report without the ids that Bokeh draws by lot."""
    return re.sub(r'p\d+|[0-9a-f]{8}-[0-9a-f-]{27}|"id":"\w+"', "", text)


def test_what_was_never_traded_has_no_report(site: Site) -> None:
    with Daemon(site):
        pass
    done = site.sigc("report", "momentum", "--work-dir", str(site.folder / "work"))
    assert done.returncode == 1
    assert "has not traded" in done.stderr


def test_markup_in_names_is_shown_as_text() -> None:
    from sigc.rpc.messages.history import NavReply, PositionsReply, SignalDay, SignalLine
    from sigc.store.history.holding import Holding

    evil = "<script>alert('x')</script>"
    held = Holding(evil, 1.0, 1.0, 1.0, 1.0, 0.1, 0.0, 0.1, 0.0)
    day = SignalDay(evil, "2024-01-03", "2024-01-02", 3, (SignalLine(evil, 1, (0.0,) * 7),))
    view = LiveView(
        NavReply(evil, evil),
        PositionsReply(evil, positions=(held,), total=1),
        (day,),
        {},
        (),
        ((evil,) * 6,),
        ((evil, evil),),
        ((evil, evil),),
        evil,
    )
    text = render(view)
    assert evil not in text
    assert evil in Page(text).words
