"""A copy of a ledger in use is whole; brought back it halts everything, and what was traded since is sent once."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sigc.clock import HandClock, SystemClock
from sigc.daemon.kill_file_halts import lift
from sigc.errors import SigcError
from sigc.store.audit.mirror import beside_mirror
from sigc.store.audit.verify import verify
from sigc.store.backup import MANIFEST, backup, read_backup, restore
from sigc.store.ledger import books, control, proof
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Outcome
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.reconcile.adopt import Adoption, adopt, compare
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, D5, free, written

KEY = BookKey("scripted", "main")


def traded(folder: Path, *days: str) -> Floor:
    """A book that trades on each of these days, each time another amount."""
    floor = written(folder, {"A": [0.1, 0.2, 0.1, 0.3, 0.25], "B": [-0.1, 0.1, -0.2, 0.1, 0.1]}, config=free())
    for day in days:
        assert floor.day(day, day).run.outcome is Outcome.DONE
    return floor


def is_whole(work: Path) -> bool:
    with closing(connect_reader(work / FILE)) as connection:
        return verify(connection).is_whole and proof.faults(connection) == ()


def brought_back(folder: Path, work: Path, day: str, floor: Floor, *, keeps_paper: bool = False) -> None:
    clock = HandClock(instant_of(floor.calendar, day))
    restore(folder, work, clock, who="ann", reason="the disk died", keeps_paper=keeps_paper)


def test_a_copy_is_as_it_was_and_halts_when_it_is_back(tmp_path: Path) -> None:
    floor = traded(tmp_path / "floor", D1, D2)
    made = backup(floor.work_dir, tmp_path / "copy", SystemClock().now())
    assert read_backup(tmp_path / "copy") == made
    assert {FILE, "paper.sqlite"} <= set(made.files)
    assert not [name for name in made.files if name.endswith(("-wal", "-shm", "lock", "token"))]
    brought_back(tmp_path / "copy", tmp_path / "other", D2, floor)
    assert is_whole(tmp_path / "other")
    with (
        closing(connect_reader(floor.work_dir / FILE)) as old,
        closing(connect_reader(tmp_path / "other" / FILE)) as new,
    ):
        assert books.books(new) == books.books(old)
        assert books.positions(new) == books.positions(old)
        halt = control.get(new, control.HALTED, "")
        assert halt is not None
        assert (halt.who, "the disk died" in halt.reason) == ("ann", True)
        assert beside_mirror(new, tmp_path / "other" / "audit") == beside_mirror(old, floor.work_dir / "audit")


@pytest.mark.parametrize("late", [(), (D2,), (D2, D3, D4)])
def test_a_broker_that_moved_on_is_met_without_an_order_sent_twice(tmp_path: Path, late: tuple[str, ...]) -> None:
    """What was traded since is named and adopted; the next run trades what a calm book would."""
    floor = traded(tmp_path / "floor", D1)
    backup(floor.work_dir, tmp_path / "copy", SystemClock().now())
    for day in late:
        floor.day(day, day)
    last = late[-1] if late else D1
    brought_back(tmp_path / "copy", floor.work_dir, last, floor, keeps_paper=True)
    with closing(sqlite3.connect(floor.work_dir / "paper.sqlite")) as paper:
        ids = {id for (id,) in paper.execute("SELECT client_order_id FROM orders")}
    with floor.open(D5) as trading:
        with pytest.raises(SigcError, match="everything is halted"):
            floor.run(trading, "too early")
        with trading.ledger.transaction("control") as tx:
            assert lift(tx, floor.work_dir, "", "ann", "compared")
        found = compare(trading).found
        assert bool(found) == bool(late)
        if found:
            assert [d.code for d in floor.run(trading, "refused").problems] == ["E602"]
            adopt(trading, Adoption("ann", "traded after the copy", KEY))
            assert compare(trading).found == ()
        ended = floor.run(trading, "next", is_forced=True, reason="after the copy")
        assert ended.run.outcome.is_success
    with floor.open("2016-01-11") as trading:
        floor.run(trading, "later", slot="2")
        with trading.ledger.reading() as connection:
            held = books.quantities(connection, KEY)
            assert proof.faults(connection) == ()
        assert held == trading.broker.positions()
    calm = traded(tmp_path / "calm", D1, *late, D5)
    with calm.open("2016-01-11") as trading:
        calm.run(trading, "later", slot="2")
        with trading.ledger.reading() as connection:
            assert held == books.quantities(connection, KEY)
    with closing(sqlite3.connect(floor.work_dir / "paper.sqlite")) as paper:
        after = [id for (id,) in paper.execute("SELECT client_order_id FROM orders")]
    assert len(after) == len(set(after))
    assert ids <= set(after)


def test_a_copy_is_whole_while_somebody_writes(tmp_path: Path) -> None:
    floor = traded(tmp_path / "floor", D1)
    ended = threading.Event()

    def write() -> None:
        with Ledger.open(floor.work_dir, SystemClock(), durable=False) as ledger:
            number = 0
            while not ended.is_set():
                number += 1
                with ledger.transaction("control") as tx:
                    control.put(tx, control.PAUSED, f"s{number % 7}", "by hand", "ann", str(number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        heads = [backup(floor.work_dir, tmp_path / f"copy-{n}", SystemClock().now()).seq for n in range(5)]
    finally:
        ended.set()
        writer.join()
    assert heads == sorted(heads)
    assert heads[0] < heads[-1]
    assert all(is_whole(tmp_path / f"copy-{n}") for n in range(5))


def test_what_was_there_is_kept_aside(tmp_path: Path) -> None:
    floor = traded(tmp_path / "floor", D1)
    backup(floor.work_dir, tmp_path / "copy", SystemClock().now())
    floor.day(D2, D2)
    with closing(connect_reader(floor.work_dir / FILE)) as connection:
        before = connection.execute("SELECT digest FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    for _ in range(2):  # a repeat keeps that, too
        done = restore(
            tmp_path / "copy", floor.work_dir, HandClock(instant_of(floor.calendar, D2)), who="ann", reason="x"
        )
    assert done.aside is not None
    kept = sorted(floor.work_dir.glob("before-restore-*"))
    assert len(kept) == 2
    with closing(connect_reader(kept[0] / FILE)) as connection:
        assert connection.execute("SELECT digest FROM audit ORDER BY seq DESC LIMIT 1").fetchone() == before
    assert is_whole(floor.work_dir)


@pytest.mark.parametrize("at", range(8))
def test_a_restore_that_is_cut_off_leaves_a_ledger_and_can_be_repeated(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails at the first, second, ... renaming: never is there no ledger, or one that trades on."""
    floor = traded(tmp_path / "floor", D1)
    backup(floor.work_dir, tmp_path / "copy", SystemClock().now())
    floor.day(D2, D2)
    real, done = Path.replace, []

    def replace(path: Path, to: Path) -> Path:
        if "restore" in str(path) + str(to):
            done.append(path)
            if len(done) == at + 1:
                raise OSError(5, "the disk died")
        return real(path, to)

    monkeypatch.setattr(Path, "replace", replace)
    with suppress(SigcError):
        brought_back(tmp_path / "copy", floor.work_dir, D2, floor)
    monkeypatch.undo()
    assert done
    with closing(connect_reader(floor.work_dir / FILE)) as connection:
        is_old = connection.execute("SELECT 1 FROM runs WHERE id = ?", (D2,)).fetchone() is not None
        assert is_old or control.get(connection, control.HALTED, "") is not None
    brought_back(tmp_path / "copy", floor.work_dir, D2, floor)
    assert is_whole(floor.work_dir)


def test_what_is_no_copy_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    floor, other = traded(tmp_path / "floor", D1), traded(tmp_path / "other", D1)
    copy = tmp_path / "copy"
    backup(floor.work_dir, copy, SystemClock().now())
    before = (other.work_dir / FILE).read_bytes()
    with pytest.raises(SigcError, match="another ledger"):
        brought_back(copy, other.work_dir, D1, other)
    with pytest.raises(SigcError, match="is not empty"):
        backup(floor.work_dir, copy, SystemClock().now())
    with pytest.raises(SigcError, match="there is no ledger"):
        backup(tmp_path / "nothing", tmp_path / "c", SystemClock().now())
    assert not (tmp_path / "c").exists()
    shutil.copytree(copy, tmp_path / "cut")
    (tmp_path / "cut" / MANIFEST).unlink()
    with pytest.raises(SigcError, match=r"it has no backup\.json"):
        brought_back(tmp_path / "cut", other.work_dir, D1, other)
    with (copy / FILE).open("r+b") as file:
        file.seek(5000)
        file.write(b"x")
    with pytest.raises(SigcError, match="has changed since it was copied"):
        brought_back(copy, floor.work_dir, D1, floor)
    backup(other.work_dir, tmp_path / "of-other", SystemClock().now())
    with Ledger.open(other.work_dir, SystemClock()), pytest.raises(SigcError, match="in use by another process"):
        brought_back(tmp_path / "of-other", other.work_dir, D1, other)
    assert (other.work_dir / FILE).read_bytes() == before
