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
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Browser, expect

from sigc.store.ledger.connection import FILE, connect_reader
from tests.alerts.servers import Hook
from tests.daemon.daemons import DAYS, Daemon, Site, free_port
from tests.daemon.hand_daemon import turn
from tests.daemon.test_tending import QUICK, at
from tests.dashboard.browsers import PageServer, reader
from tests.needs import lack
from tests.system.test_dask import _announced, _process

FIRST, SECOND = DAYS[:2]
BEFORE = "2017-02-28"  # the session whose rows the run of FIRST reads
WIDE = {"width": 1440, "height": 900}
_FILLER = "filler"
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
    _after: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

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
        self._after.close()

    # The daemon and its clock.

    def begin(self, now: datetime | None = None, *fault: str, path: str = "") -> None:
        """Start the daemon, a second before nine; fault: a point where it meets a mistake, or dies.

        path: a folder of the site whose modules stand before all others.
        """
        self.site.write()
        self.turn(now or self.at_nine(-1.0))
        clock = str(self.site.folder / "clock")
        program = ("tests.daemon.hand_daemon", str(self.site.config), clock, *fault)
        self.daemon = Daemon(self.site, program=program, PYTHONPATH=self.path_with(path))

    def path_with(self, folder: str) -> str:
        """PYTHONPATH with a folder of the site before all others; '' for none."""
        own = self.site.environment["PYTHONPATH"]
        return f"{self.site.folder / folder}{os.pathsep}{own}" if folder else own

    def cannot_start(self, **environment: str) -> None:
        """Start the daemon, which is refused."""
        started = self.site.sigc("daemon", "--config", str(self.site.config), **environment)
        self.notes.append(f"exit {started.returncode}: {started.stderr.strip()[:160]}")
        assert started.returncode != 0

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

    def until_resolved(self, rule: str) -> None:
        """The channel has the end of that alert."""
        self.site.until(
            lambda: ("resolve", rule) in {(said["kind"], said["rule"]) for said in self.told.taken}, f"{rule} is over"
        )

    def stage(self) -> str:
        """Of the run under way, '' while there is none."""
        with self.site.client() as client:
            queue = client.get("status", {"is_detailed": True})["detailed"]["queue"]
        return str(queue[0]["stage"]) if queue else ""

    def count(self, what: str) -> int:
        """Rows of the ledger."""
        with contextlib.closing(connect_reader(self.site.folder / "work" / FILE)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608

    # What may go wrong.

    def is_not_examined(self) -> None:
        """No check of health falls between a turn of the hands by hours and the schedule's next turn, which is then late."""
        self.site.settings["daemon"]["health"]["interval_seconds"] = 600

    def safety(self, **limits: Any) -> None:
        """Limits."""
        self.site.settings["safety"].update(limits)

    def prices(self, change: Callable[[np.ndarray[Any, Any], int], None], *, until: str = "") -> None:
        """Rewrite the prices: of all rows and the row that the run is as of; or cut them after a day."""

        def changed(values: np.ndarray[Any, Any], names: list[str], row: int) -> list[str]:
            change(values, row)
            return names

        self.prices_of(changed, until=until)

    def prices_of(
        self, change: Callable[[np.ndarray[Any, Any], list[str], int], list[str]], *, until: str = ""
    ) -> None:
        """Rewrite the prices: of all rows, their assets, and the row that the run is as of; it says which assets they are then."""
        path = self.site.folder / "prices.parquet"
        table = pq.read_table(path)
        dates = table["date"].to_numpy().astype("datetime64[D]")
        if until:
            table = table.slice(0, int(np.searchsorted(dates, np.datetime64(until), "right")))
            dates = dates[: len(table)]
        names = [n for n in table.column_names if n != "date"]
        values = np.column_stack([table[n].to_numpy() for n in names]).copy()
        names = change(values, names, int(np.searchsorted(dates, np.datetime64(BEFORE))))
        columns = {"date": dates} | {n: values[:, i] for i, n in enumerate(names)}
        pq.write_table(pa.table(columns), path)

    def small_disk(self, name: str, megabytes: int) -> Path:
        """A disk of that size in the place of a folder of the site."""
        disk = self.site.folder / name
        disk.mkdir(parents=True, mode=0o700, exist_ok=True)
        options = f"size={megabytes}m,mode=700"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], capture_output=True, text=True)
        if mounted.returncode:
            lack("mount", f"a disk of its own can't be mounted here: {mounted.stderr.strip()}")
        self.site.settings["daemon"]["health"]["min_free_mb"] = 0
        self._after.callback(lambda: subprocess.run(["umount", "-l", disk], check=True))
        return disk

    def remount_read_only(self, name: str) -> None:
        """As the kernel does it to a disk that fails."""
        subprocess.run(["mount", "-o", "remount,ro", self.site.folder / name], check=True)

    def fill(self, name: str) -> None:
        """Fill that disk to its last byte."""
        with (self.site.folder / name / _FILLER).open("wb", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while filler.write(b"x" * size):
                        pass

    def clear(self, name: str) -> None:
        """Somebody makes room again."""
        (self.site.folder / name / _FILLER).unlink()

    @contextlib.contextmanager
    def workers(self, number: int) -> Iterator[list[subprocess.Popen[str]]]:
        """A scheduler of the site's own, and its workers, which no nanny starts again."""
        port, folder = free_port(), self.site.folder / "dask"
        folder.mkdir()
        address = f"tcp://127.0.0.1:{port}"
        cluster = {"type": "address", "address": address, "security": "none", "connect_timeout_s": 5}
        self.site.settings["cluster"] = cluster
        own = ("--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory", str(folder))
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(
                _process("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
            )
            _announced(first, "Scheduler at:")
            found = [stack.enter_context(_process("worker", address, *own)) for _ in range(number)]
            for worker in found:
                _announced(worker, "Registered to:")
            yield found

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
            tile = window.locator(".tile", has_text="Health").first
            expect(tile).not_to_contain_text("–")  # the status is known, the checks not yet
            health = " ".join(tile.inner_text().split())
            return ", ".join(badges) + "; " + health
