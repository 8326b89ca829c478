"""The chain tells every change that is made to it, and the first record it was made to."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sigc.errors import SigcError
from sigc.store.audit.anchor import Anchor
from sigc.store.audit.chain import GENESIS, canonical, digest_of
from sigc.store.audit.mirror import line_of
from sigc.store.audit.sign import checker, signer
from sigc.store.audit.verify import (
    ChainPosition,
    ChainVerdict,
    FoundRecord,
    IsSigned,
    _rows,
    verify,
    verify_lines,
    verify_links,
)
from sigc.store.ledger.connection import FILE
from tests.needs import program
from tests.store.chains import reading, write

RECORDS = 24
ANCHORED = (6, 15, RECORDS)


@dataclass(frozen=True)
class Chain:
    """A chain as it was written, its anchors, and who knows its signatures."""

    directory: Path
    links: tuple[FoundRecord, ...]
    anchors: tuple[Anchor, ...]
    is_signed: IsSigned


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain")
    key = make_key(folder / "audit.pem")
    path = write(folder / "work", RECORDS, sign=signer(key))
    with reading(path) as connection:
        links = tuple(_rows(connection))
        (ledger,) = connection.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()
    anchors = tuple(Anchor("2024-01-03T00:00:00+00:00", ledger, s, links[s - 1].digest) for s in ANCHORED)
    return Chain(folder / "work", links, anchors, cache(checker([key])))  # each signature is looked at once


def make_key(path: Path) -> Path:
    """As the documentation says: by openssl."""
    program("openssl")
    subprocess.run(["sh", "-c", f"umask 077; openssl genpkey -algorithm ed25519 -out {path}"], check=True)
    return path


def test_what_was_written_is_whole(chain: Chain) -> None:
    with reading(chain.directory / FILE) as connection:
        verdict = verify(connection, chain.anchors, chain.is_signed)
        assert verdict == ChainVerdict(
            RECORDS, ChainPosition(RECORDS, chain.links[-1].digest), 0, "", len(ANCHORED), RECORDS
        )
        assert verify(connection).is_whole
    assert verify_links(()) == ChainVerdict(0, ChainPosition(0, GENESIS))


# A mutation gives the changed records and the number of the first bad one.
Mutation = Callable[[list[FoundRecord], random.Random], int]


def _character(text: str, dice: random.Random) -> str:
    at = dice.randrange(len(text))
    others = [c for c in '0123456789abcdefxyz"{}:, \\é' if c != text[at]]
    return text[:at] + dice.choice(others) + text[at + 1 :]


def _at(links: list[FoundRecord], dice: random.Random) -> int:
    return dice.randrange(len(links))


def a_character(links: list[FoundRecord], dice: random.Random) -> int:
    at = _at(links, dice)
    links[at] = replace(links[at], record=_character(links[at].record, dice))
    return at + 1


def a_field(links: list[FoundRecord], dice: random.Random) -> int:
    at = _at(links, dice)
    links[at] = replace(links[at], record=_changed(links[at].record, dice))
    return at + 1


def a_column(links: list[FoundRecord], dice: random.Random) -> int:
    at = _at(links, dice)
    columns = dict(links[at].columns or {})
    name = dice.choice(sorted(columns))
    columns[name] += "x"
    links[at] = replace(links[at], columns=columns)
    return at + 1


def a_digest(links: list[FoundRecord], dice: random.Random) -> int:
    at = _at(links, dice)
    links[at] = replace(links[at], digest=_character(links[at].digest, dice))
    return at + 1


def a_signature(links: list[FoundRecord], dice: random.Random) -> int:
    at = _at(links, dice)
    signature = dice.choice(["", _character(links[at].signature, dice), links[at - 1].signature, "00" * 64])
    links[at] = replace(links[at], signature=signature)
    return at + 1


def a_number(links: list[FoundRecord], dice: random.Random) -> int:
    at = _at(links, dice)
    links[at] = replace(links[at], seq=links[at].seq + dice.choice([-3, -1, 1, 100]))
    return at + 1


def dropped(links: list[FoundRecord], dice: random.Random) -> int:
    at = _at(links, dice)
    del links[at]
    return at + 1


def swapped(links: list[FoundRecord], dice: random.Random) -> int:
    one, two = sorted(dice.sample(range(len(links)), 2))
    links[one], links[two] = links[two], links[one]
    return one + 1


def doubled(links: list[FoundRecord], dice: random.Random) -> int:
    one, to = _at(links, dice), dice.randrange(len(links))
    links.insert(to, links[one])
    return to + 1 + (one == to)  # before itself: the copy is the record, and the record the copy


def cut_off(links: list[FoundRecord], dice: random.Random) -> int:
    at = _at(links, dice)
    del links[at:]
    return at + 1


def written_anew(links: list[FoundRecord], dice: random.Random) -> int:
    """A record is changed and the chain made whole behind it, signatures left as they were, blank, or of others."""
    at = _at(links, dice)
    links[at] = replace(links[at], record=_changed(links[at].record, dice))
    rehash(links, at, dice.choice([len(links), at + 1]))
    return at + 1


def forged(links: list[FoundRecord], dice: random.Random) -> int:
    """A record is put in, or taken out, those behind it are renumbered and the chain is made whole."""
    at = _at(links, dice)
    if dice.random() < 0.5:
        links.insert(at, replace(links[at], record=_changed(links[at].record, dice)))
    else:
        del links[at]
    for place in range(at, len(links)):
        told = json.loads(links[place].record) | {"seq": place + 1}
        links[place] = replace(links[place], seq=place + 1, record=canonical(told))
    rehash(links, at, len(links))
    return at + 1


MUTATIONS: tuple[Mutation, ...] = (
    a_character, a_field, a_column, a_digest, a_signature, a_number, dropped, swapped, doubled, cut_off, written_anew, forged,
)  # fmt: skip


def _changed(record: str, dice: random.Random) -> str:
    told: dict[str, Any] = json.loads(record)
    name = dice.choice(["payload", "who", "event", "portfolio"])
    if name == "payload":
        told["payload"] |= {dice.choice(["exposure", "new", "asset"]): dice.choice([0, 7.5, "other", None, []])}
    else:
        told[name] += "x"
    return canonical(told)


def rehash(links: list[FoundRecord], start: int, stop: int) -> None:
    """Make the digests of links [start, stop) right."""
    before = links[start - 1].digest if start else GENESIS
    for at in range(start, stop):
        columns = {n: str(json.loads(links[at].record)[n]) for n in ("at", "event", "run", "strategy")}
        before = digest_of(before, links[at].record)
        links[at] = replace(links[at], digest=before, columns=columns)


def test_every_one_of_8000_mutations_is_found(chain: Chain) -> None:
    for number in range(8_000):
        dice = random.Random(number)
        mutation = MUTATIONS[number % len(MUTATIONS)]
        links = list(chain.links)
        first = mutation(links, dice)
        assert tuple(links) != chain.links, number
        verdict = verify_links(links, chain.anchors, chain.is_signed)
        assert verdict.bad == first, (number, mutation, verdict)
        assert verdict.reason
        assert verdict.records == first - 1
        assert verdict.head == ChainPosition(first - 1, chain.links[first - 2].digest if first > 1 else GENESIS)


def _lines(links: tuple[FoundRecord, ...]) -> list[bytes]:
    return [line_of(x.seq, x.record, x.digest, x.signature) for x in links]


def test_every_one_of_2000_mutations_of_lines_is_found(chain: Chain) -> None:
    original = _lines(chain.links)
    whole = verify_lines(original, chain.anchors, chain.is_signed)
    assert whole.is_whole
    assert whole.records == RECORDS
    for number in range(2_000):
        dice = random.Random(number)
        lines = list(original)
        at = dice.randrange(len(lines))
        match number % 5:
            case 0:
                byte = dice.randrange(len(lines[at]))
                lines[at] = lines[at][:byte] + bytes([lines[at][byte] ^ 1 << dice.randrange(8)]) + lines[at][byte + 1 :]
            case 1:
                del lines[at]
            case 2:
                lines[at] = lines[at][: dice.randrange(len(lines[at]))]
            case 3:
                lines.insert(at, lines[at - 1])
            case _:
                lines[at] = lines[at].replace(b'"seq":', b'"seq": ', 1)
        verdict = verify_lines(lines, chain.anchors, chain.is_signed, since=ChainPosition())
        assert verdict.bad == at + 1, (number, verdict)


def test_without_a_key_an_anchor_tells_that_the_chain_was_written_anew(chain: Chain) -> None:
    for number in range(500):
        dice = random.Random(number)
        links = list(chain.links)
        first = dice.choice([written_anew, forged])(links, dice)
        rehash(links, first - 1, len(links)) if len(links) >= first else None
        verdict = verify_links(links, chain.anchors)
        before = max((s for s in ANCHORED if s < first), default=0)
        after = min((s for s in ANCHORED if s >= first), default=RECORDS)
        if len(links) < after:  # one was taken out before the last anchor
            assert verdict.bad in (before + 1, len(links) + 1), (number, verdict)
            continue
        assert verdict.bad == before + 1, (number, verdict)
        assert f"record {after} had another digest" in verdict.reason
        assert before < first <= after
    assert verify_links(links).is_whole  # nothing else can


def test_what_stands_behind_the_last_anchor_may_be_cut_off_unseen(chain: Chain) -> None:
    """Why anchors are written daily, and elsewhere."""
    early = chain.anchors[:1]
    assert verify_links(chain.links[:10], early, chain.is_signed).is_whole
    assert verify_links(chain.links[:5], early, chain.is_signed).bad == 6


def test_signing_that_began_later(chain: Chain) -> None:
    links = [replace(x, signature="") if x.seq <= 10 else x for x in chain.links]
    unsigned = verify_links(links, (), chain.is_signed)
    assert (unsigned.bad, unsigned.reason) == (1, "it is not signed")
    verdict = verify_links(links, (), chain.is_signed, signed_from=11)
    assert verdict.is_whole
    assert verdict.signed == RECORDS - 10
    assert verify_links(links, (), chain.is_signed, signed_from=10).bad == 10
    swapped = [replace(x, signature=chain.links[x.seq - 2].signature) for x in chain.links]
    forged = verify_links(swapped, (), chain.is_signed)
    assert (forged.bad, forged.reason) == (1, "its signature is wrong")


def test_lines_of_a_part_of_the_chain(chain: Chain) -> None:
    lines = _lines(chain.links)
    part = verify_lines(lines[9:], chain.anchors[1:], chain.is_signed)
    assert part.is_whole
    assert part.records == RECORDS - 10  # its first line is taken as it is
    since = ChainPosition(9, chain.links[8].digest)
    assert verify_lines(lines[9:], (), chain.is_signed, since=since).records == RECORDS - 9
    assert verify_lines(lines[5:], (), chain.is_signed, since=since).records == RECORDS - 9
    assert verify_lines(lines[10:], (), chain.is_signed, since=since).bad == 10
    assert verify_lines([]) == ChainVerdict(0, ChainPosition())
    assert verify_lines([b"{}\n", *lines]).bad == 1
    assert verify_lines([b"[" * 100_000]).bad == 1


SQL = {
    'UPDATE audit SET record = replace(record, \'"who":""\', \'"who":"eve"\') WHERE seq = 7': 7,
    "UPDATE audit SET record = replace(record, '\"number\":7', '\"number\": 7') WHERE seq = 7": 7,
    "UPDATE audit SET at = '2024-01-01T00:00:00+00:00' WHERE seq = 7": 7,
    "UPDATE audit SET strategy = 'other' WHERE seq = 24": 24,
    "UPDATE audit SET digest = upper(digest) WHERE seq = 7": 7,
    "UPDATE audit SET signature = '' WHERE seq = 24": 24,
    "UPDATE audit SET record = CAST(x'ff' AS TEXT) WHERE seq = 7": 7,
    "UPDATE audit SET record = '{\"seq\":NaN}' WHERE seq = 7": 7,
    "UPDATE audit SET seq = 100 WHERE seq = 7": 7,
    "UPDATE audit SET seq = -seq WHERE seq = 7": 1,
    "DELETE FROM audit WHERE seq = 1": 1,
    "DELETE FROM audit WHERE seq BETWEEN 7 AND 9": 7,
    "DELETE FROM audit WHERE seq > 20": 21,
    "DELETE FROM audit": 1,
}


@pytest.mark.parametrize("statement", SQL)
def test_changes_of_the_file_itself(chain: Chain, tmp_path: Path, statement: str) -> None:
    shutil.copytree(chain.directory, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute(statement)
        connection.commit()
    with reading(tmp_path / FILE) as connection:
        verdict = verify(connection, chain.anchors, chain.is_signed)
    assert verdict.bad == SQL[statement]


def test_flipped_bits_of_the_file_never_pass_for_other_records(chain: Chain, tmp_path: Path) -> None:
    original = (chain.directory / FILE).read_bytes()
    damaged = tmp_path / FILE
    found = 0
    for number in range(500):
        dice = random.Random(number)
        raw = bytearray(original)
        raw[dice.randrange(4096, len(raw))] ^= 1 << dice.randrange(8)
        damaged.write_bytes(raw)
        with closing(sqlite3.connect(f"{damaged.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            try:
                verdict = verify(connection, chain.anchors, chain.is_signed)
            except SigcError:  # not even the ledger's name can be read
                found += 1
                continue
            if verdict.is_whole:  # what was hit is none of the records
                assert tuple(_rows(connection)) == chain.links
                continue
        found += 1
    assert found > 20  # of all pages, few hold records
