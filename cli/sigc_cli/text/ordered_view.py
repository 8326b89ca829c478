"""Runs that do not trade (scripts, reports, refreshes) as text: their end and their output."""

from __future__ import annotations

import shlex
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.daemon.configured.configured import configured
from sigc.errors import SigcError
from sigc.store.files import run_folder
from sigc.store.ledger import jobs, runs
from sigc.why.words import when
from sigc_pipelines.service.scripts import OUTPUT

if TYPE_CHECKING:
    from sigc.config.check import LoadedConfig

_MOST_SHOWN = 40  # lines
SILENT = "it printed nothing"


@dataclass(frozen=True, slots=True)
class Ordered:
    """A run of the daemon that is neither a trade nor a dry run. output: its text output."""

    id: str
    strategy: str
    kind: str
    job: str
    fire: datetime | None
    who: str
    reason: str
    asked: datetime
    finished: datetime | None
    outcome: str
    message: str
    as_of: str
    output: str


def find(connection: sqlite3.Connection, work_dir: Path, id: str) -> Ordered | None:
    """Return the run of that id; None for a trade, a dry run, or an unknown id."""
    order = jobs.find(connection, id)
    if order is None or _is_traded(connection, id):
        return None
    about = (order.id, order.strategy, order.kind, order.job, order.fire, order.who, order.reason)
    end = (order.asked, order.finished, str(order.outcome), order.message, order.as_of)
    return Ordered(*about, *end, _output(work_dir, id))


def _is_traded(connection: sqlite3.Connection, id: str) -> bool:
    try:
        return runs.find(connection, id).id == id
    except SigcError:
        return False


def _output(work_dir: Path, id: str) -> str:
    try:
        return (run_folder(work_dir, id) / OUTPUT).read_text("utf-8", "replace")
    except OSError:
        return ""


def command_of(loaded: LoadedConfig, found: Ordered) -> tuple[str, ...]:
    """Return the program of a script's job as configured now; empty for other kinds, or a job that is gone."""
    if found.kind != "script":
        return ()
    return next((job.command for job in configured(loaded).jobs if job.name == found.job), ())


def text(found: Ordered, zone: str, command: tuple[str, ...] = ()) -> str:
    """Return the end of a run, with the last lines of its output. command: of a script, as it is configured now."""
    what = f" of {found.strategy}" if found.strategy else ""
    fire = f", due {when(found.fire, zone)}" if found.fire is not None else ""
    began = f"asked for {when(found.asked, zone)}" + (f", ended {when(found.finished, zone)}" if found.finished else "")
    lines = [
        f"{found.kind}{what}, run {found.id}" + (f", job {found.job}{fire}" if found.job else ""),
        f"{found.outcome}, {found.message}" if found.message else found.outcome,
        f"by {found.who}" + (f": {found.reason}" if found.reason else "") + f"; {began}",
    ]
    lines += [f"the job's command is now: {shlex.join(command)}"] if command else []
    said = found.output.splitlines()
    if len(said) > _MOST_SHOWN:
        lines += ["", f"... {len(said) - _MOST_SHOWN} lines before (--output prints all)", *said[-_MOST_SHOWN:]]
    elif said:
        lines += ["", *said]
    elif found.finished is not None:
        lines.append(SILENT)
    return "\n".join(lines)
