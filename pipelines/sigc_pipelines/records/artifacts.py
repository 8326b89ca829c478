"""Files of a run in `work_dir/runs/ID/`, each written to a temporary file and renamed.

weights.json    wanted, target and held weights by asset: written before the run decides
data.json, decision.json    the state of the sources, and the sizing of each asset (`decision_record`)
plan.json, signals.json, signal-values.json   the computation, for people to read (`plan_record`, `signal_record`)
account.json    the run, its stages with findings, orders, fills: rewritten when more is known (`refresh`)
report.html     the same as a page, where a renderer is given
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigc.errors import Diagnostic, SigcError
from sigc.failpoint import failpoint
from sigc.private import make_private
from sigc.store.files import run_folder
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Fill, Intent, Run, RunStage

if TYPE_CHECKING:
    from sigc.panel import Floats

_ACCOUNT = "account.json"
_writing = threading.Lock()  # a run and the maintenance of its book may write at the same moment


@dataclass(frozen=True, slots=True)
class RunArtifacts:
    """All known facts of a run. weights: by asset, each with wanted, target and held.

    filled: how far the orders at the broker are filled (open, all, part or none), '' if it took none.
    """

    run: Run
    stages: tuple[RunStage, ...]
    intents: tuple[Intent, ...]
    fills: tuple[Fill, ...]
    weights: Mapping[str, Mapping[str, float]]
    filled: str = ""


Render = Callable[[RunArtifacts], str]


def folder_of(work_dir: Path, run: str) -> Path:
    """Return the folder of a run's files."""
    return run_folder(work_dir, run)


def write_weights(
    work_dir: Path, run: str, names: tuple[str, ...], wanted: Floats, target: Floats, held: Floats
) -> Path:
    """Write the weights of a run, for each asset that is wanted or held."""
    rows = zip(names, wanted.tolist(), target.tolist(), held.tolist(), strict=True)
    weights = {n: {"wanted": w if w == w else 0.0, "target": t, "held": h} for n, w, t, h in rows if w or t or h}
    return write_text(folder_of(work_dir, run) / "weights.json", _json(weights))


def read_weights(work_dir: Path, run: str) -> dict[str, dict[str, float]]:
    """Return the weights that `write_weights` wrote; empty if the run did not get that far."""
    path = folder_of(work_dir, run) / "weights.json"
    if not path.is_file():
        return {}
    found: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def account_of(connection: sqlite3.Connection, work_dir: Path, run: str) -> RunArtifacts:
    """Return a run as the ledger has it now. Raises E312."""
    found = runs.find(connection, run)
    return RunArtifacts(
        found,
        runs.stages_of(connection, found.id),
        orders.of_run(connection, found.id),
        books.fills_of(connection, found.id),
        read_weights(work_dir, found.id),
        str(orders.filled_of(connection, [found.id]).get(found.id, "")),
    )


def write_account(ledger: Ledger, run: str, render: Render | None = None) -> Path:
    """Write the account of a run as the ledger has it now."""
    with _writing:  # read under the lock: the last writer has the newest state
        with ledger.reading() as connection:
            account = account_of(connection, ledger.directory, run)
        failpoint("artifacts:before")
        path = folder_of(ledger.directory, run) / _ACCOUNT
        if render is not None:
            write_text(path.with_name("report.html"), render(account))
        # After the report: `refresh` reads this file alone to see if both are up to date.
        write_text(path, _json(plain(account)))
        failpoint("artifacts:after")
        return path.parent


def refresh(ledger: Ledger, book: BookKey, render: Render | None = None, but: str = "") -> None:
    """Rewrite the files of a book's last two sessions where the ledger knows more by now: fills, an outcome.

    but: a run under way, which writes its own once it has its verdict.
    """
    with ledger.reading() as connection:
        found = runs.of_last_sessions(connection, book.strategy, book.portfolio)
        stale = [r.id for r in found if r.id != but and not _is_told(connection, ledger.directory, r)]
    for run in reversed(stale):
        write_account(ledger, run, render)


def _is_told(connection: sqlite3.Connection, work_dir: Path, run: Run) -> bool:
    """Return True if the file has the outcome, the fills and each order's state: all that changes after a run."""
    try:
        told = json.loads((folder_of(work_dir, run.id) / _ACCOUNT).read_text("utf-8"))
        then = told["run"]["outcome"], Counter(i["state"] for i in told["intents"]), len(told["fills"])
    except (FileNotFoundError, ValueError, KeyError):  # missing, damaged, or of another version
        return False
    return then == (run.outcome, orders.states_of(connection, run.id), books.count_fills(connection, run.id))


def plain(value: Any) -> Any:
    """Return a record as plain data: decimals and instants as text, enums by value."""
    match value:
        case Mapping():
            return {str(k): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
        case Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case _ if is_dataclass(value):
            return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
        case Enum():
            return value.value
        case _:
            return value


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write an optional file atomically, without waiting for the disk (no fsync)."""
    make_private(path.parent)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(data, sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(path)


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> Path:
    """Write a file whole, on the disk when it returns. Raise E300."""
    with _told(path):
        make_private(path.parent)
        part = path.with_name(f".{path.name}.part")
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # before the rename: a power cut must not leave the new name with no content
        failpoint("artifact:rename")
        part.replace(path)
    return path


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise OSErrors as E300 that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        hint = "check free space and permissions of the work dir (`sigc doctor`), then run again"
        raise SigcError(Diagnostic("E300", f"{path} can't be written: {error.strerror}", hint=hint)) from error
