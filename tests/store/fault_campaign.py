"""Run as a process of its own, under `faults.c`: fail the 1st, the 2nd, ... call of the disk until none is left to fail.

For each call a child is forked. It opens a ledger, writes some transactions, closes, opens it again; what fails must be
told as E310 and leave nothing half-written; then the fault is cleared and the rest is done. It ends by SIGKILL, and
the parent looks at what is on the disk. Some faults are deaths: the child is killed at the call, half of it written.

    python -m tests.store.fault_campaign FOLDER SET STRIDE      SET: ledger or migration

prints a line of JSON: how often each fault was met, and how often it was told.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from sigc.clock import HandClock
from sigc.errors import SigcError
from sigc.store.audit.chain import AuditEvent
from sigc.store.audit.verify import verify
from sigc.store.ledger.connection import FILE, connect_writer
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.schema import MIGRATIONS
from tests.store.chains import SECOND, START, reading, write

WRITES, SYNCS, TRUNCATES, OPENS = 1, 2, 4, 8
_LIBRARY = ctypes.CDLL(None)
_LIBRARY.fault_clear.restype = ctypes.c_long
_LAST = 8  # transactions of a session


@dataclass(frozen=True)
class Fault:
    """What fails: which calls, with which error (0: death), once or from then on, after half of the bytes or none.

    stride: every so many of the calls are failed in the short campaign; the long one fails all.
    """

    name: str
    kinds: int
    error: int
    is_sticky: bool = False
    is_torn: bool = False
    stride: int = 1

    def arm(self, folder: Path, k: int) -> None:
        arguments = (os.fsencode(folder), self.kinds, ctypes.c_long(k), self.error, self.is_sticky, self.is_torn)
        _LIBRARY.fault_arm(*arguments)


FAULTS = (
    Fault("disk full", WRITES | TRUNCATES, errno.ENOSPC, is_sticky=True, is_torn=True),
    Fault("disk full, once", WRITES, errno.ENOSPC, is_torn=True, stride=5),
    Fault("disk full, nothing written", WRITES, errno.ENOSPC, is_sticky=True, stride=5),
    Fault("quota", WRITES, errno.EDQUOT, is_sticky=True, stride=9),
    Fault("I/O error of a write", WRITES, errno.EIO, is_torn=True, stride=2),
    Fault("I/O error of a sync", SYNCS, errno.EIO),
    Fault("I/O errors", WRITES | SYNCS | TRUNCATES, errno.EIO, is_sticky=True, stride=5),
    Fault("read-only", OPENS | WRITES, errno.EROFS, is_sticky=True, stride=5),
    Fault("no rights", OPENS, errno.EACCES, is_sticky=True),
    Fault("too many files", OPENS, errno.EMFILE, is_sticky=True),
    Fault("too many files, once", OPENS, errno.EMFILE),
    Fault("death", WRITES | SYNCS | TRUNCATES | OPENS, 0, stride=3),
    Fault("death in a write", WRITES, 0, is_torn=True, stride=3),
)


@dataclass
class Session:
    """A child's work, and what of it was acknowledged; told to `say` as it is."""

    folder: Path
    done: list[int] = field(default_factory=list)
    attempt: str = "first"
    ledger: Ledger | None = None
    say: Callable[[int], object] = int

    def work(self) -> None:
        """Everything that is not done yet, from where it stands. Raises SigcError."""
        for number in range(1, _LAST + 1):
            if number in self.done:
                continue
            if self.ledger is None:
                self.ledger = Ledger.open(self.folder, HandClock(START + timedelta(minutes=number)))
            self.transaction(self.ledger, number)
            self.say(number)
            self.done.append(number)
            if number in (3, 6):  # what is written goes from the log into the file
                self.ledger.close()
                self.ledger = None

    def transaction(self, ledger: Ledger, number: int) -> None:
        """A row, a record, a row: all of them or none."""
        with ledger.transaction("control") as tx:
            text = str(number) * (20_000 if number == 5 else 10)
            row = (f"n{number}", text)
            tx.connection.execute("INSERT OR REPLACE INTO control VALUES (?, '', ?, 'ann', '', '')", row)
            tx.audit(AuditEvent("control.put", {"number": number, "text": text}))
            tx.connection.execute("INSERT INTO meta VALUES (?, '')", (f"try-{number}-{self.attempt}",))


def check_told(error: SigcError, folder: Path) -> None:
    """In our words, with the file and what to do."""
    (found,) = error.diagnostics
    assert found.code == "E310", found
    assert str(folder) in found.message, found
    assert found.hint, found


def check_state(folder: Path, done: list[int]) -> None:
    """The chain is whole, and the tables say what it says: each transaction is there whole, or not at all."""
    with reading(folder / FILE) as connection:
        verdict = verify(connection)
        assert verdict.is_whole, verdict
        records = [json.loads(r)["payload"]["number"] for (r,) in connection.execute("SELECT record FROM audit")]
        rows = {int(n[1:]) for (n,) in connection.execute("SELECT name FROM control")}
        tries = [int(k.split("-")[1]) for (k,) in connection.execute("SELECT key FROM meta WHERE key LIKE 'try-%'")]
        (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
    assert integrity == "ok", integrity
    assert set(done) <= set(records), (done, records)  # what was acknowledged is there
    assert rows == set(records), (rows, records)
    assert sorted(tries) == sorted(records), (tries, records)
    assert len(records) <= len(done) + 1, (done, records)  # and at most what was being written


def ledger_child(fault: Fault, folder: Path, k: int, pipe: int) -> None:
    """Work, fail, look, clear, go on; end without closing."""
    session = Session(folder, say=lambda number: os.write(pipe, f"{number}\n".encode()))
    told = False
    fault.arm(folder, k)
    try:
        session.work()
    except SigcError as error:
        check_told(error, folder)
        told = True
    hit = _LIBRARY.fault_clear() >= k
    if told and session.ledger is not None:
        check_state(folder, session.done)
    # The same connection goes on: nobody has to restart a daemon whose disk was full.
    session.attempt = "second"
    session.work()
    check_state(folder, session.done)
    os.write(pipe, (json.dumps({"hit": hit, "told": told}) + "\n").encode())


def ledger_parent(folder: Path, done: list[int]) -> None:
    """The next process finds all that was acknowledged, and goes on."""
    session = Session(folder, done, "third")
    session.ledger = Ledger.open(folder, HandClock(START))
    check_state(folder, done)
    session.work()
    session.ledger = session.ledger or Ledger.open(folder, HandClock(START))
    session.transaction(session.ledger, _LAST + 1)
    session.ledger.close()
    check_state(folder, list(range(1, _LAST + 2)))


def migration_prepare(folder: Path) -> None:
    """A ledger of the first version."""
    write(folder, 40)


def migration_child(fault: Fault, folder: Path, k: int, pipe: int) -> None:
    """Bring it to a second version."""
    told = False
    fault.arm(folder, k)
    try:
        connect_writer(folder / FILE, "FULL", (*MIGRATIONS, SECOND)).close()
    except SigcError as error:
        check_told(error, folder)
        told = True
    hit = _LIBRARY.fault_clear() >= k
    os.write(pipe, (json.dumps({"hit": hit, "told": told}) + "\n").encode())


def migration_parent(folder: Path, done: list[int]) -> None:
    """It is of the first or of the second version, whole; the next process ends it, and the copy is of the first."""
    with closing(connect_writer(folder / FILE, "FULL", (*MIGRATIONS, SECOND))) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        assert version == len(MIGRATIONS) + 1
        rows = connection.execute("SELECT seq, record FROM audit").fetchall()
        assert rows == connection.execute("SELECT seq, record FROM copied").fetchall()
        assert verify(connection).records == 40
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with closing(connect_writer(folder / f"{FILE}.v{len(MIGRATIONS)}")) as copy:
        assert copy.execute("SELECT seq, record FROM audit").fetchall() == rows
        assert copy.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert verify(copy).is_whole
    assert not list(folder.glob("*.part*"))


@dataclass(frozen=True)
class Campaign:
    """What is done before, in the child, and after it."""

    prepare: Callable[[Path], object]
    child: Callable[[Fault, Path, int, int], None]
    parent: Callable[[Path, list[int]], None]


CAMPAIGNS = {
    "ledger": Campaign(Path.mkdir, ledger_child, ledger_parent),
    "migration": Campaign(migration_prepare, migration_child, migration_parent),
}


def fail_call(campaign: Campaign, fault: Fault, folder: Path, k: int) -> tuple[bool, bool]:
    """One child; whether the call was reached, and whether anything was told of it."""
    campaign.prepare(folder)
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            campaign.child(fault, folder, k, write)
            os.kill(os.getpid(), signal.SIGKILL)
        except BaseException:
            _LIBRARY.fault_clear()
            traceback.print_exc()
        os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        done, end = _heard(answers)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status), f"{fault} k={k}: the child failed"
    campaign.parent(folder, done)
    shutil.rmtree(folder)
    if end is None:
        assert fault.error == 0, f"{fault} k={k}: the child died"
        return True, False
    assert end["hit"] or not end["told"]
    return end["hit"], end["told"]


def _heard(answers: BinaryIO) -> tuple[list[int], dict[str, bool] | None]:
    lines = [json.loads(line) for line in answers.read().splitlines()]
    end = lines.pop() if lines and isinstance(lines[-1], dict) else None
    return lines, end


def main(folder: Path, name: str, is_long: bool) -> None:
    """Each fault at each of its calls."""
    met: dict[str, tuple[int, int]] = {}
    for fault in FAULTS:
        k, calls, told = 1, 0, 0
        while True:
            hit, was_told = fail_call(CAMPAIGNS[name], fault, folder / f"k{k}", k)
            if not hit:
                break
            calls, told = calls + 1, told + was_told
            k += 1 if is_long else fault.stride
        met[fault.name] = (calls, told)
    print(json.dumps(met))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "long")
