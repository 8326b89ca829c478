"""A copy of a work dir that a daemon may be writing to, and its way back.

    backup(work_dir, to, now)       the copy; whole once its manifest is there
    read_backup(folder)             what it is of; every file is as it was written, or it is refused
    restore(folder, work_dir, ...)  put it in place of what is there, which is kept aside; everything is halted then

The order of copying is that of a broker that moves on: mirror and anchors, then the ledger, then the paper broker's
book. So the mirror never has more than the chain, and the broker never less than the ledger.

A kill file stays as it is. A restored ledger does not know what was traded since: it halts everything before it is in
place, and nothing is sent until a person has compared it with the broker (`sigc reconcile`) and lifts the halt.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from sigc.clock import Clock
from sigc.errors import Diagnostic, SigcError
from sigc.private import make_private
from sigc.store.audit.chain import AuditEvent, Sign, head, ledger_id
from sigc.store.audit.verify import verify
from sigc.store.files import RUNS, sync_directory, write_whole
from sigc.store.ledger import halting, proof
from sigc.store.ledger.connection import FILE, Lock, connect_reader, told
from sigc.store.ledger.ledger import Ledger
from sigc.words import local_time

MANIFEST = "backup.json"
RESTORED = "restore"  # the value of the halt of a ledger that was brought back
PAPER = "paper.sqlite"
_FOLDERS = ("audit", RUNS, "reports")
_PART = "restore.part"
_ASIDE = "before-restore"


@dataclass(frozen=True, slots=True)
class Backup:
    """The manifest of a copy. ledger: its id; seq, digest: the last record of its audit; files: sha256 by path."""

    ledger: str
    seq: int
    digest: str
    taken: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore. aside: the folder of what was there before, None if nothing was; lost: number of audit
    records that the ledger had there and the copy has not.
    """

    backup: Backup
    aside: Path | None
    lost: int


def backup(work_dir: Path, to: Path, now: datetime) -> Backup:
    """Copy a work dir to a folder that is empty or not there yet.

    Raise SigcError: E310 without a ledger, or for one that can't be read; E200 if the copy can't be written.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise SigcError(Diagnostic("E200", f"{to} is not empty", hint="name a folder of its own for each copy"))
    try:
        with closing(connect_reader(work_dir / FILE)):  # before a folder is made
            pass
        make_private(to)
        for name in _FOLDERS:
            _copy_folder(work_dir / name, to / name)
        _copy_database(work_dir / FILE, to / FILE)
        if (work_dir / PAPER).is_file():
            _copy_database(work_dir / PAPER, to / PAPER)
        with closing(connect_reader(to / FILE)) as connection:
            seq, digest = head(connection)
            id = ledger_id(connection)
        _remove_side_files(to)
        made = Backup(id, seq, digest, now.isoformat(), {str(p.relative_to(to)): _digest(p) for p in _files_of(to)})
        write_whole(to / MANIFEST, (json.dumps(asdict(made), indent=2) + "\n").encode())
    except OSError as error:
        raise SigcError(Diagnostic("E200", f"can't copy to {to}: {error}")) from error
    return made


def read_backup(folder: Path) -> Backup:
    """Return what a copy is of. Raise SigcError E200 if it is none, is incomplete, or a file of it has changed."""
    try:
        made = Backup(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        hint = "a copy has it once it is complete"
        raise SigcError(Diagnostic("E200", f"{folder} is no backup: it has no {MANIFEST}", hint=hint)) from None
    except (OSError, ValueError, TypeError) as error:
        raise SigcError(Diagnostic("E200", f"can't read {folder / MANIFEST}: {error}")) from error
    for name, digest in made.files.items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            what = "has changed since it was copied" if (folder / name).exists() else "is gone"
            raise SigcError(Diagnostic("E200", f"{folder / name} {what}", hint="use another copy"))
    return made


def restore(
    folder: Path,
    work_dir: Path,
    clock: Clock,
    *,
    who: str,
    reason: str,
    sign: Sign | None = None,
    keeps_paper: bool = False,
) -> Restored:
    """Put a copy in place of what is in the work dir, which is kept aside, and halt everything. A repeat is harmless.

    keeps_paper: leave the paper broker's book, which moved on. Raise SigcError: E200 for the copy; E311 while another
    process has the work dir; E312 if that has another ledger; E810, E812 for a copy that does not verify.
    """
    made = read_backup(folder)
    lock = Lock(work_dir)
    try:
        there = _head_of(work_dir / FILE)
        if there is not None and there[0] != made.ledger:
            message = f"{work_dir} has another ledger ({there[0]}), the copy is of {made.ledger}"
            raise SigcError(Diagnostic("E312", message, hint="restore into an empty work dir (--work-dir)"))
        lost = 0 if there is None else max(there[1] - made.seq, 0)
        aside = _free(work_dir / f"{_ASIDE}-{clock.now():%Y%m%dT%H%M%SZ}") if (work_dir / FILE).exists() else None
        part = work_dir / _PART
        shutil.rmtree(part, ignore_errors=True)
        _copy_folder(folder, part)
        _refuse_broken(part / FILE)
        _halted(part, clock, sign, made, (who, reason, lost, aside))
        _put(part, work_dir, aside, keeps_paper=keeps_paper)
        shutil.rmtree(part)
    except OSError as error:
        hint = "what was there is untouched, or aside; repeat it"
        raise SigcError(Diagnostic("E200", f"can't restore into {work_dir}: {error}", hint=hint)) from error
    finally:
        lock.release()
    return Restored(made, aside, lost)


def _free(folder: Path) -> Path:
    """Return a folder's name, with a number behind it if there is one of that name."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(path for path in chain([folder], numbered) if not path.exists())


def _head_of(ledger: Path) -> tuple[str, int] | None:
    """Return the id and the last record's number of the ledger that is to be replaced; None if it can't be read."""
    if not ledger.is_file():
        return None
    with suppress(SigcError, sqlite3.Error), closing(connect_reader(ledger)) as connection:
        return ledger_id(connection), head(connection)[0]
    return None


def _refuse_broken(ledger: Path) -> None:
    with told(ledger), closing(connect_reader(ledger)) as connection:
        verdict, faults = verify(connection), proof.faults(connection)
    if not verdict.is_whole:
        raise SigcError(Diagnostic("E810", f"the copy is not whole: record {verdict.bad} is bad: {verdict.reason}"))
    if faults:
        raise SigcError(Diagnostic("E812", f"the copy is not what its audit comes to: {proof.shown(faults)}"))


def _halted(
    part: Path, clock: Clock, sign: Sign | None, made: Backup, about: tuple[str, str, int, Path | None]
) -> None:
    """Halt everything in the copy, before it is in place, and record where it comes from."""
    who, reason, lost, aside = about
    with Ledger.open(part, clock, sign=sign) as ledger, ledger.transaction("control") as tx:
        said = {"taken": made.taken, "seq": made.seq, "lost": lost, "aside": str(aside or ""), "reason": reason}
        tx.audit(AuditEvent("ledger.restored", said, who=who))
        halting.halt(
            tx,
            "",
            RESTORED,
            who,
            f"restored from a copy of {local_time(datetime.fromisoformat(made.taken), tx.zone)}: {reason}",
        )
    (part / "lock").unlink(missing_ok=True)
    _remove_side_files(part)


def _put(part: Path, work_dir: Path, aside: Path | None, *, keeps_paper: bool) -> None:
    """Move the copy into place. At each instant there is a ledger: the old one, or the new one, which is halted."""
    names = [FILE, *([] if keeps_paper else [PAPER]), *_FOLDERS]
    if aside is not None:
        make_private(aside)
        # Nothing of an old write-ahead log may be taken for the new file's.
        for name in (FILE, PAPER):
            if (work_dir / name).exists() and name in names:
                _settle(work_dir / name)
                # Only what is replaced: to rename a file to another name of itself would leave it where it is.
                if (part / name).exists():
                    os.link(work_dir / name, aside / name)
    for name in names:
        new, old = part / name, work_dir / name
        is_replaced_by_itself = old.is_file() and new.exists()
        if aside is not None and old.exists() and not is_replaced_by_itself:
            old.replace(aside / name)
        if new.exists():
            new.replace(old)
    for folder in (work_dir, *([aside] if aside is not None else [])):
        sync_directory(folder)


def _settle(database: Path) -> None:
    """Write a database's log into its file; remove the log of one that is damaged."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for end in ("-wal", "-shm"):
        database.with_name(f"{database.name}{end}").unlink(missing_ok=True)


def _remove_side_files(folder: Path) -> None:
    for name in (FILE, PAPER):
        if (folder / name).is_file():
            _settle(folder / name)


def _copy_database(database: Path, to: Path) -> None:
    """Copy a database in one consistent state, beside whoever writes it."""
    source = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    with told(database), closing(source), closing(sqlite3.connect(to)) as target:
        source.backup(target)
    to.chmod(0o600)


def _copy_folder(folder: Path, to: Path) -> None:
    if not folder.is_dir():
        return
    make_private(to)
    for path in sorted(folder.iterdir()):
        with suppress(FileNotFoundError):  # rotated, or renamed, meanwhile
            if path.is_dir():
                _copy_folder(path, to / path.name)
            elif path.name != MANIFEST and not path.name.endswith(".part"):
                _copy_file(path, to / path.name)


def _copy_file(path: Path, to: Path) -> None:
    shutil.copyfile(path, to)
    to.chmod(0o600)


def _files_of(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
