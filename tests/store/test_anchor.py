"""Anchors: one a day and on demand, durable, never in the way of a run. Keys: refused when others may read them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from sigc.errors import Severity, SigcError
from sigc.store.audit.anchor import Anchored, anchor, anchors_file, read_anchors
from sigc.store.audit.chain import digest_of
from sigc.store.audit.sign import checker, signer
from sigc.store.audit.verify import verify
from tests.needs import program
from tests.store.chains import START, reading, write
from tests.store.test_verify import make_key


def anchored(ledger: Path, file: Path, hours: float, *, on_demand: bool = False) -> Anchored:
    with reading(ledger) as connection:
        return anchor(connection, file, START + timedelta(hours=hours), on_demand=on_demand)


def test_one_a_day_and_on_demand(tmp_path: Path) -> None:
    ledger, file = write(tmp_path / "work", 3), tmp_path / "far" / "anchors.jsonl"
    first = anchored(ledger, file, 0)
    assert first.anchor is not None
    assert first.anchor.seq == 3
    write(tmp_path / "work", 2)
    assert anchored(ledger, file, 9).anchor is None  # the same day, UTC
    assert anchored(ledger, file, 9.1, on_demand=True).anchor is not None
    assert anchored(ledger, file, 9.2, on_demand=True).anchor is None  # nothing has happened since
    assert anchored(ledger, file, 9.6).anchor is not None  # the next day: proof that nothing has
    found = read_anchors(file)
    assert [a.seq for a in found] == [3, 5, 5]
    assert file.stat().st_mode & 0o777 == 0o600
    with reading(ledger) as connection:
        assert verify(connection, found).anchors == 3


def test_an_empty_chain_has_nothing_to_anchor(tmp_path: Path) -> None:
    assert anchored(write(tmp_path, 0), tmp_path / "a.jsonl", 0) == Anchored(None)
    assert read_anchors(tmp_path / "a.jsonl") == ()


def test_ledgers_share_a_file(tmp_path: Path) -> None:
    one, two, file = write(tmp_path / "one", 3), write(tmp_path / "two", 4), tmp_path / "anchors.jsonl"
    assert anchored(one, file, 0).anchor
    assert anchored(two, file, 0).anchor
    with reading(one) as connection:
        assert verify(connection, read_anchors(file)).anchors == 1


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    ledger, file = write(tmp_path / "work", 3), tmp_path / "anchors.jsonl"
    anchored(ledger, file, 0)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"at":"2024-')
    assert len(read_anchors(file)) == 1
    assert anchored(ledger, file, 24).anchor
    assert file.read_bytes().startswith(whole)
    assert len(read_anchors(file)) == 2


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[]\n", b'{"at":1}\n', b'{"at":"","digest":"","ledger":"","seq":"1"}\n']
)
def test_a_line_that_is_none_is_told_and_nothing_is_written(tmp_path: Path, line: bytes) -> None:
    ledger, file = write(tmp_path / "work", 3), tmp_path / "anchors.jsonl"
    anchored(ledger, file, 0)
    file.write_bytes(file.read_bytes() + line)
    with pytest.raises(SigcError) as told:
        read_anchors(file)
    assert told.value.diagnostics[0].code == "E811"
    assert "line 2" in str(told.value)
    (finding,) = anchored(ledger, file, 24).findings
    assert finding.severity is Severity.ERROR
    assert file.read_bytes().endswith(line)


def test_a_file_that_can_not_be_written_is_a_finding(tmp_path: Path) -> None:
    ledger = write(tmp_path / "work", 3)
    (tmp_path / "plain").write_text("")
    for file in (tmp_path / "plain" / "anchors.jsonl", tmp_path):
        done = anchored(ledger, file, 0)
        assert done.anchor is None
        assert [(f.check, f.severity) for f in done.findings] == [("anchor", Severity.ERROR)]
        assert str(file) in done.findings[0].message


def test_where_anchors_are(tmp_path: Path) -> None:
    assert anchors_file(tmp_path, "") == tmp_path / "audit" / "anchors.jsonl"
    assert anchors_file(tmp_path, "/far/away") == Path("/far/away")


def test_a_signature_is_of_its_digest_and_key(tmp_path: Path) -> None:
    key, other = make_key(tmp_path / "audit.pem"), make_key(tmp_path / "other.pem")
    public = tmp_path / "audit.pub"
    subprocess.run([program("openssl"), "pkey", "-in", key, "-pubout", "-out", public], check=True)
    digest = digest_of("0" * 64, "{}")
    signature = signer(key)(digest.encode())
    for keys in ([key], [public], [other, public]):
        assert checker(keys)(digest, signature)
    assert not checker([other])(digest, signature)
    assert not checker([])(digest, signature)
    for wrong in ("", "zz", signature.upper(), f" {signature}", signature[:-2], signature[:-1] + "g"):
        assert not checker([key])(digest, wrong)
    assert not checker([key])(digest.upper(), signature)


def test_keys_that_are_refused(tmp_path: Path) -> None:
    key = make_key(tmp_path / "audit.pem")

    def refusal(path: Path) -> str:
        with pytest.raises(SigcError) as told:
            signer(path)
        assert told.value.diagnostics[0].code == "E402"
        return str(told.value)

    for mode in (0o644, 0o640, 0o604, 0o660):
        key.chmod(mode)
        assert f"mode {mode:04o}" in refusal(key)
    key.chmod(0o400)
    assert signer(key)(b"x")
    assert "No such file" in refusal(tmp_path / "none.pem")
    assert "not a regular file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "not a regular file" in refusal(tmp_path / "fifo")
    for name, command in {
        "rsa.pem": "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048",
        "locked.pem": "genpkey -algorithm ed25519 -aes256 -pass pass:secret",
    }.items():
        subprocess.run([program("openssl"), *command.split(), "-out", tmp_path / name], check=True, capture_output=True)
        (tmp_path / name).chmod(0o600)
    assert "another kind" in refusal(tmp_path / "rsa.pem")
    assert "encrypted" in refusal(tmp_path / "locked.pem")
    (tmp_path / "text.pem").write_text("nothing")
    (tmp_path / "text.pem").chmod(0o600)
    assert "not a private key" in refusal(tmp_path / "text.pem")
    with pytest.raises(SigcError, match="not a public key"):
        checker([tmp_path / "text.pem"])


def test_a_newline_that_was_taken_away_hides_no_anchor(tmp_path: Path) -> None:
    """Else the newest anchor would not count, and the next append would cut it off."""
    ledger, file = write(tmp_path / "work", 3), tmp_path / "anchors.jsonl"
    anchored(ledger, file, 0)
    write(tmp_path / "work", 2)
    anchored(ledger, file, 24)
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    assert [a.seq for a in read_anchors(file)] == [3, 5]
    write(tmp_path / "work", 1)
    anchored(ledger, file, 48)
    assert [a.seq for a in read_anchors(file)] == [3, 5, 6]


def test_a_ledger_under_another_id_is_known_by_its_digests(tmp_path: Path) -> None:
    """One UPDATE, and the anchors would be those of another ledger."""
    ledger, file = write(tmp_path / "work", 4), tmp_path / "anchors.jsonl"
    anchored(ledger, file, 0)
    other = write(tmp_path / "other", 9, every=timedelta(minutes=7))
    anchored(other, file, 0)
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("UPDATE meta SET value = 'ffffffffffffffff' WHERE key = 'ledger'")
        connection.execute("DELETE FROM audit WHERE seq > 4")
        connection.commit()
    with reading(ledger) as connection:
        verdict = verify(connection, read_anchors(file))
    assert (verdict.bad, verdict.records) == (4, 0)
    assert "the ledger's id was changed" in verdict.reason
    with reading(other) as connection:
        assert verify(connection, read_anchors(file)).is_whole


def test_runs_without_records_are_no_whole_ledger(tmp_path: Path) -> None:
    ledger = write(tmp_path, 2)
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DELETE FROM audit")
        connection.commit()
    with reading(ledger) as connection:
        assert verify(connection).is_whole  # nothing was traded
    with closing(sqlite3.connect(ledger)) as connection:
        values = ["r1", "s", "main", "2024-01-02", "trade", "", 0, "2024-01-01", "t", "ann", "", "paper", "done"]
        connection.execute(
            "INSERT INTO runs (id, strategy, portfolio, session, kind, slot, revision, as_of, started, who, reason,"
            " broker, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        connection.commit()
    with reading(ledger) as connection:
        verdict = verify(connection)
    assert (verdict.bad, verdict.reason) == (1, "the ledger has runs, and no record of any")
