"""Run as a process of its own: kill the mirroring process at each failpoint and after each so many bytes, then go on.

Prints how many children were killed, and of how many the mirror was found torn. Fails when a record is lost or doubled.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sigc import failpoint
from sigc.config.settings import AuditSettings
from sigc.store.audit.anchor import FILE as ANCHORS
from sigc.store.audit.anchor import anchor, read_anchors
from sigc.store.audit.mirror import day_files, mirror, mirror_lines, verify_mirror
from tests.store.chains import START, reading, write

RECORDS = 60  # a quarter of a day apart: 15 days
EVERY = timedelta(hours=6)
SETTINGS = AuditSettings(compress_days=3, retention_days=8)
KEEPS_ALL = AuditSettings(compress_days=3)


def die_at(name: str, number: int) -> Callable[[], None]:
    """Arms the number-th pass of a failpoint."""

    def arm() -> None:
        passed = [0]

        def hook(at: str) -> None:
            passed[0] += at == name
            if passed[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

        failpoint.arm(hook)

    return arm


def die_after(size: int) -> Callable[[], None]:
    """No file may grow beyond so many bytes: the kernel ends the process in the middle of a write."""

    def arm() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return arm


def in_child(arm: Callable[[], None], ledger: Path, audit: Path, settings: AuditSettings, days: int) -> bool:
    """Mirror and anchor in a child that is armed; whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            with reading(ledger) as connection:
                arm()
                mirror(connection, audit, settings, START + timedelta(days=days))
                anchor(connection, audit / ANCHORS, START + timedelta(days=days))
            os._exit(0)
        except BaseException:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WIFSIGNALED(status), status
    return status != 0


def main(folder: Path) -> None:
    ledger = write(folder / "work", RECORDS, every=EVERY)
    dice = random.Random(4)
    arms = [die_at("mirror:append", n) for n in range(1, 16)] + [die_at("mirror:rotate", n) for n in range(1, 8)]
    arms.append(die_at("anchor", 1))
    arms += [die_after(dice.randrange(1, 2600)) for _ in range(30)]
    killed = torn = 0
    for number, arm in enumerate(arms):
        settings = SETTINGS if number % 2 else KEEPS_ALL
        audit = folder / f"audit-{number}"
        days = 10 if number % 3 else 16
        killed += in_child(arm, ledger, audit, settings, days)
        files = day_files(audit)
        torn += bool(files) and not files[-1].is_packed and not files[-1].raw().endswith(b"\n")
        if number % 4 == 0:  # and once more, on what the first left
            killed += in_child(dice.choice(arms), ledger, audit, settings, days)
        with reading(ledger) as connection:
            done = mirror(connection, audit, settings, START + timedelta(days=16))
            assert not done.findings, done
            assert done.last.seq == RECORDS
            assert mirror(connection, audit, settings, START + timedelta(days=16)).copied == 0
            assert not anchor(connection, audit / ANCHORS, START + timedelta(days=16)).findings
        kept = [json.loads(line)["seq"] for line in mirror_lines(day_files(audit))]
        assert kept == list(range(kept[0], RECORDS + 1)), kept
        assert kept[0] == 1 or settings is SETTINGS
        anchors = read_anchors(audit / ANCHORS)
        assert 1 <= len(anchors) <= 2
        verdict = verify_mirror(audit, anchors)
        assert verdict.is_whole, verdict
        assert verdict.head.seq == RECORDS
        names = {p.name for p in audit.iterdir()}
        assert not [n for n in names if n.endswith(".part")]
        assert len(day_files(audit)) == len([n for n in names if n not in ("retained.json", ANCHORS)])  # no day twice
        shutil.rmtree(audit)
    print(killed, torn)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
