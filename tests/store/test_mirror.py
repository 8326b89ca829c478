"""The mirror: all records, once, whatever day and death; compressed and deleted without breaking the chain."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.config.settings import AuditSettings
from sigc.store.audit.anchor import Anchor
from sigc.store.audit.chain import ledger_id
from sigc.store.audit.mirror import Mirrored, day_files, mirror, mirror_lines, verify_mirror
from sigc.store.audit.sign import checker, signer
from sigc.store.ledger.ledger import Ledger
from tests.daemon.processes import environment
from tests.store.chains import START, add, reading, write
from tests.store.test_verify import make_key

EVERY = timedelta(hours=6)


def mirrored(ledger: Path, audit: Path, days: float, **settings: int) -> Mirrored:
    with reading(ledger) as connection:
        return mirror(connection, audit, AuditSettings.model_validate(settings), START + timedelta(days=days))


def numbers(audit: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in mirror_lines(day_files(audit))]


def test_a_file_a_day(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 10, every=EVERY)
    audit = tmp_path / "audit"
    done = mirrored(ledger, audit, 3)
    assert (done.copied, done.last.seq, done.findings) == (10, 10, ())
    assert [f.path.name for f in day_files(audit)] == [f"2024-01-0{d}.jsonl" for d in (2, 3, 4, 5)]
    assert numbers(audit) == list(range(1, 11))
    line = json.loads(next(iter(mirror_lines(day_files(audit)))))
    assert set(line) == {"seq", "digest", "signature", "record"}
    assert line["record"]["payload"]["number"] == 1
    assert all(f.path.stat().st_mode & 0o777 == 0o600 for f in day_files(audit))
    write(tmp_path / "work", 3, every=EVERY)
    assert mirrored(ledger, audit, 4).copied == 3
    assert mirrored(ledger, audit, 4).copied == 0
    assert numbers(audit) == list(range(1, 14))


def test_many_records_go_in_batches(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 2_500, every=timedelta(minutes=1))
    assert mirrored(ledger, tmp_path / "audit", 2).copied == 2_500
    assert numbers(tmp_path / "audit") == list(range(1, 2_501))
    assert verify_mirror(tmp_path / "audit").records == 2_500


def test_old_files_are_compressed_and_the_chain_holds(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 40, every=EVERY)
    audit = tmp_path / "audit"
    assert not mirrored(ledger, audit, 11, compress_days=3).findings
    packed = [f for f in day_files(audit) if f.is_packed]
    assert {(START + timedelta(days=11)).date() - f.day > timedelta(days=3) for f in packed} == {True}
    assert len(packed) == 8
    assert numbers(audit) == list(range(1, 41))
    assert verify_mirror(audit).records == 40
    content = packed[1].path.read_bytes()
    assert gzip.decompress(content).count(b"\n") == 4
    again = tmp_path / "again"
    mirrored(ledger, again, 11, compress_days=3)
    assert (again / packed[1].path.name).read_bytes() == content  # same records, same bytes


def test_a_record_of_a_day_that_is_closed_goes_into_the_next(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 4, every=EVERY)
    audit = tmp_path / "audit"
    assert not mirrored(ledger, audit, 1, compress_days=0).findings
    assert all(f.is_packed for f in day_files(audit)[:1])
    assert not mirrored(ledger, audit, 2, compress_days=0).findings
    assert all(f.is_packed for f in day_files(audit))
    with Ledger.open(tmp_path / "work", HandClock(START), durable=False) as late:  # its clock was set back
        add(late, 0, EVERY)
    assert mirrored(ledger, audit, 2, compress_days=0).copied == 1
    assert numbers(audit) == [1, 2, 3, 4, 5]
    assert verify_mirror(audit).is_whole


def test_what_is_deleted_is_remembered(tmp_path: Path) -> None:
    key = make_key(tmp_path / "audit.pem")
    ledger = write(tmp_path / "work", 40, every=EVERY, sign=signer(key))
    audit = tmp_path / "audit"
    assert not mirrored(ledger, audit, 11, compress_days=2, retention_days=5).findings
    kept = numbers(audit)
    assert kept[0] > 1
    assert kept[-1] == 40
    verdict = verify_mirror(audit, (), checker([key]))
    assert (verdict.is_whole, verdict.records, verdict.signed) == (True, len(kept), len(kept))
    # A year on all is old; the next record still goes behind the last.
    assert not mirrored(ledger, audit, 365, retention_days=5).findings
    assert numbers(audit) == []
    assert verify_mirror(audit).head.seq == 40
    write(tmp_path / "work", 1, every=timedelta(days=9), sign=signer(key))
    assert mirrored(ledger, audit, 369, retention_days=5).copied == 1
    assert numbers(audit) == [41]
    assert verify_mirror(audit).is_whole
    (audit / "retained.json").unlink()
    assert verify_mirror(audit).bad == 1


def test_anchors_and_damage_are_told_from_the_lines_alone(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 20, every=EVERY)
    audit = tmp_path / "audit"
    mirrored(ledger, audit, 6, compress_days=2)
    with reading(ledger) as connection:
        name = ledger_id(connection)
        rows = dict(connection.execute("SELECT seq, digest FROM audit"))
    assert verify_mirror(audit, [Anchor("2024-01-07", name, 20, rows[20])]).anchors == 1
    assert verify_mirror(audit, [Anchor("2024-01-07", name, 21, rows[20])]).bad == 21
    newest = day_files(audit)[-1].path
    newest.write_bytes(newest.read_bytes().replace(b'"yes":true', b'"yes":null', 1))
    assert verify_mirror(audit).bad == json.loads(newest.read_bytes().splitlines()[0])["seq"]
    oldest = day_files(audit)[0].path
    oldest.write_bytes(oldest.read_bytes()[:-20])
    assert verify_mirror(audit).bad in (1, 2, 3)


def test_a_mirror_that_can_not_be_written_is_a_finding_and_goes_on_later(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 5)
    (tmp_path / "audit").write_text("in the way")
    failed = mirrored(ledger, tmp_path / "audit", 1)
    assert [f.check for f in failed.findings] == ["mirror"]
    assert str(tmp_path / "audit") in failed.findings[0].message
    (tmp_path / "audit").unlink()
    assert mirrored(ledger, tmp_path / "audit", 1).copied == 5


def test_a_damaged_or_foreign_mirror_is_left_as_it_is(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 5)
    audit = tmp_path / "audit"
    mirrored(ledger, audit, 1)
    newest = day_files(audit)[-1].path
    whole = newest.read_bytes()
    newest.write_bytes(whole[:-5] + b"???}\n")
    assert "damaged" in mirrored(ledger, audit, 1).findings[0].message
    assert newest.read_bytes() == whole[:-5] + b"???}\n"
    newest.write_bytes(whole)
    other = write(tmp_path / "other", 9, every=timedelta(seconds=7))
    assert "another chain" in mirrored(other, audit, 1).findings[0].message
    assert numbers(audit) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("torn", [b'{"digest":"ab', b"\0" * 500, b'{"digest":"\xc3'])
def test_a_torn_line_is_written_again(tmp_path: Path, torn: bytes) -> None:
    ledger = write(tmp_path / "work", 5)
    audit = tmp_path / "audit"
    mirrored(ledger, audit, 1)
    write(tmp_path / "work", 2)
    newest = day_files(audit)[-1].path
    newest.write_bytes(newest.read_bytes() + torn)
    assert verify_mirror(audit).records == 5  # it is being written
    assert mirrored(ledger, audit, 1).copied == 2
    assert numbers(audit) == list(range(1, 8))
    newest.write_bytes(torn)  # and when nothing else is there
    mirrored(ledger, audit, 1)
    assert numbers(audit) == list(range(1, 8))


def test_switched_off_it_writes_nothing(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 5)
    with reading(ledger) as connection:
        done = mirror(connection, tmp_path / "audit", AuditSettings(mirror=False), datetime(2024, 1, 3, tzinfo=UTC))
    assert done.copied == 0
    assert not (tmp_path / "audit").exists()


def test_killed_anywhere_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    script = Path(__file__).with_name("mirror_campaign.py")
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.mirror_campaign", str(tmp_path)],
        cwd=script.parent.parent.parent,
        env=environment(PYTHONPATH=os.pathsep.join([str(script.parent.parent.parent)])),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    killed, torn = map(int, done.stdout.split())
    assert killed > 40
    assert torn > 10
