"""A night that goes wrong: a real daemon whose clock is turned, a real channel, and what an operator has afterwards.

    with Night(site, told) as night:
        night.begin()      before nine of FIRST, in New York
        night.nine()       the job fires
        night.until_over() it has ended, or was missed

`momentum` is traded by the job `trade`, weekdays at nine, by its deadline of an hour. What comes of it: the alerts that
the channel got, what `sigc why` says, what the page's overview shows.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Browser

from sigc.store.connection import FILE, connect_reader
from tests.alerts.servers import Hook
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.daemon.hand_daemon import turn
from tests.daemon.test_tending import QUICK, at
from tests.dashboard.browsers import PageServer, reader

FIRST, SECOND = DAYS[:2]
BEFORE = "2017-02-28"  # the session whose rows the run of FIRST reads
WIDE = {"width": 1440, "height": 900}
_FIRE = timedelta(hours=14)  # nine in New York, in winter


@dataclass(frozen=True)
class Seen:
    """What an operator has. alerts: (severity, rule, title); stopped_by: the link of the chain; page: of the strategy."""

    alerts: tuple[tuple[str, str, str], ...]
    texts: tuple[str, ...]
    ran: bool | None
    stopped_by: str
    verdict: str
    look: str
    page: str

    @property
    def rules(self) -> set[str]:
        """The alerts' rules."""
        return {rule for _, rule, _ in self.alerts}


@dataclass
class Night:
    """A site, its daemon, and what it tells. settings of the site may be changed before `begin`."""

    site: Site
    told: Hook
    browser: Browser | None = None
    daemon: Daemon | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        channel = {"type": "webhook", "url": self.told.url, "per_minute": 100, "timeout_seconds": 1}
        job = {"name": "trade", "kind": "execute", "strategy": "momentum", "trigger": "0 9 * * 1-5", "deadline_s": 3600}
        self.job: dict[str, Any] = job
        self.site.settings["alerts"] = {"channels": {"ops": channel}}
        self.site.settings["schedule"]["jobs"] = [job]
        self.site.settings["execution"] = dict(QUICK)
        self.site.write()

    def __enter__(self) -> Night:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()

    # The daemon and its clock.

    def begin(self, now: datetime | None = None, *fault: str) -> None:
        """Start the daemon, a second before nine; fault: a point where it meets a mistake, or dies."""
        self.site.write()
        self.turn(now or self.at_nine(-1.0))
        clock = str(self.site.folder / "clock")
        self.daemon = Daemon(self.site, program=("tests.daemon.hand_daemon", str(self.site.config), clock, *fault))

    def die(self) -> None:
        """kill -9."""
        if self.daemon is not None:
            self.daemon.__exit__(None, None, None)
            self.daemon = None

    def at_nine(self, seconds: float = 0.0, day: str = FIRST) -> datetime:
        """Nine in New York, and so many seconds."""
        return at(day, 0) + _FIRE + timedelta(seconds=seconds)

    def turn(self, to: datetime) -> None:
        """Set the daemon's hands."""
        turn(self.site.folder / "clock", to)

    def nine(self, seconds: float = 1.0) -> None:
        """It is nine."""
        self.turn(self.at_nine(seconds))

    def until_over(self) -> None:
        """The job's run has ended, or a fire was missed."""
        self.until_ended(1)

    def until_ended(self, number: int, passing: str = "") -> None:
        """So many runs have ended or were missed. passing: a day on which the hands go on, a second at each look."""
        over, passed = "run_orders WHERE outcome <> 'open'", itertools.count(2)

        def is_over() -> bool:
            if passing:
                self.turn(self.at_nine(next(passed), passing))
            return self.count(over) + self.count("misses") >= number

        self.site.until(is_over, "over")

    def until_told(self, *rules: str) -> None:
        """The channel has those alerts: at once, where no daemon runs."""
        if self.daemon is None:
            assert set(rules) <= {said["rule"] for said in self.told.taken}, self.notes
            return
        self.site.until(
            lambda: set(rules) <= {said["rule"] for said in self.told.taken},
            f"told of {rules}, only of {[said['title'] for said in self.told.taken]}",
        )

    def count(self, what: str) -> int:
        """Rows of the ledger."""
        with contextlib.closing(connect_reader(self.site.folder / "work" / FILE)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608

    # What may go wrong.

    def safety(self, **limits: Any) -> None:
        """Limits."""
        self.site.settings["safety"].update(limits)

    def prices(self, change: Callable[[np.ndarray[Any, Any], int], None], *, until: str = "") -> None:
        """Rewrite the prices: of all rows and the row that the run is as of; or cut them after a day."""
        path = self.site.folder / "prices.parquet"
        table = pq.read_table(path)
        dates = table["date"].to_numpy().astype("datetime64[D]")
        if until:
            table = table.slice(0, int(np.searchsorted(dates, np.datetime64(until), "right")))
            dates = dates[: len(table)]
        names = [n for n in table.column_names if n != "date"]
        values = np.column_stack([table[n].to_numpy() for n in names]).copy()
        change(values, int(np.searchsorted(dates, np.datetime64(BEFORE))))
        columns = {"date": dates} | {n: values[:, i] for i, n in enumerate(names)}
        pq.write_table(pa.table(columns), path)

    @contextlib.contextmanager
    def broker_locked(self) -> Iterator[None]:
        """Another program holds the broker's book."""
        with contextlib.closing(sqlite3.connect(self.site.folder / "work" / "paper.sqlite", timeout=10)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield

    # What an operator has.

    def seen(self, day: str = FIRST) -> Seen:
        """Alerts, `sigc why`, the page."""
        said = self.site.sigc("why", "momentum", day, "--json")
        why: dict[str, Any] = json.loads(said.stdout) if said.returncode == 0 else {}
        page = self._page() if self.browser is not None and self.daemon is not None else ""
        taken = [one for one in self.told.taken if one["kind"] == "raise"]
        return Seen(
            tuple((one["severity"], one["rule"], one["title"]) for one in taken),
            tuple(one["text"] for one in taken),
            why.get("ran"),
            why.get("stopped_by", ""),
            why.get("verdict", said.stderr.strip()[:200]),
            why.get("look", ""),
            page,
        )

    def _page(self) -> str:
        assert self.browser is not None
        with PageServer(self.site) as server, reader(self.browser, server, viewport=WIDE) as person:
            person.log_in(self.site.token)
            window = person.look("overview")
            row = window.locator("#part-strategies tbody tr", has_text="momentum").first
            row.wait_for()
            badges = [" ".join(text.split()) for text in row.locator(".badge").all_inner_texts()]
            health = " ".join(window.locator(".tile", has_text="Health").first.inner_text().split())
            return ", ".join(badges) + "; " + health
