"""Sources of audit records: the ledger of a work dir, its mirror, lines that were shipped elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.errors import Diagnostic, SigcError

if TYPE_CHECKING:
    from sigc.config.settings import AuditSettings
    from sigc.store.audit.anchor import Anchor
    from sigc.store.audit.verify import ChainVerdict, IsSigned
    from sigc.store.ledger.control import Control
    from sigc.store.ledger.proof import LedgerFault


@dataclass(frozen=True, slots=True)
class LocalLedger:
    """The ledger of a work dir, opened to be read."""

    connection: sqlite3.Connection
    directory: Path
    zone: tzinfo
    settings: AuditSettings


@contextmanager
def opened(override: Path | None, config: Path | None) -> Iterator[LocalLedger]:
    """Open the ledger of the work dir that options and configuration name. Raises E310."""
    from zoneinfo import ZoneInfo

    from sigc.store.ledger.connection import FILE, connect_reader, told
    from sigc_cli.assembly.workdir import work_dir
    from sigc_pipelines.assembly.parts import Choices, configuration

    loaded = configuration(Choices(config=config))
    directory = work_dir(loaded, override)
    with closing(connect_reader(directory / FILE)) as connection:
        try:
            yield LocalLedger(connection, directory, ZoneInfo(loaded.config.schedule.timezone), loaded.config.audit)
        except sqlite3.Error as error:
            with told(directory / FILE):
                raise error


def verify_here(
    mirror: bool,
    keys: tuple[Path, ...],
    signed_from: int,
    anchors: Path | None,
    work_dir: Path | None,
    config: Path | None,
) -> tuple[str, ChainVerdict]:
    """Verify the chain of the work dir. Return what was checked and the verdict."""
    from sigc.store.audit.anchor import anchors_file
    from sigc.store.audit.chain import ledger_id
    from sigc.store.audit.mirror import beside_mirror, verify_mirror
    from sigc.store.audit.verify import verify as look

    with opened(work_dir, config) as here:
        own = (Path(here.settings.sign_key).expanduser(),) if here.settings.sign_key else ()
        is_signed = _signed(keys or own)
        known = _anchors(anchors or anchors_file(here.directory, here.settings.anchor), must_be=anchors is not None)
        audit = here.directory / "audit"
        ours = [a for a in known if a.ledger == ledger_id(here.connection)]
        if not mirror:
            verdict = look(here.connection, known, is_signed, signed_from)
            if verdict.is_whole:
                number, reason = beside_mirror(here.connection, audit)
                verdict = replace(verdict, bad=number, reason=reason) if number else verdict
            if verdict.is_whole and anchors is not None and not ours:
                hint = "it is the file of another ledger, or its anchors were taken out"
                raise SigcError(Diagnostic("E810", f"{anchors} has no anchor of this ledger", hint=hint))
            return str(here.directory), verdict
        return str(audit), verify_mirror(audit, ours, is_signed, signed_from)


def table_faults(work_dir: Path | None, config: Path | None) -> tuple[tuple[LedgerFault, ...], tuple[Control, ...]]:
    """Return the values of the ledger that are not what its records come to, and those of them that were accepted."""
    from sigc.store.ledger.proof import accepted, faults

    with opened(work_dir, config) as here:
        return faults(here.connection), accepted(here.connection)


def verify_files(
    files: tuple[Path, ...], keys: tuple[Path, ...], signed_from: int, anchors: Path | None
) -> tuple[str, ChainVerdict]:
    """Verify the chain of files of lines, in their order."""
    from datetime import date

    from sigc.store.audit.mirror import DayFile, mirror_lines
    from sigc.store.audit.verify import verify_lines

    known = _anchors(anchors, must_be=True) if anchors is not None else ()
    lines = mirror_lines([DayFile(date.min, file) for file in files])
    try:
        verdict = verify_lines(lines, known, _signed(keys), signed_from)
    except OSError as error:
        raise SigcError(Diagnostic("E200", f"can't read {error.filename}: {error.strerror}")) from error
    return ", ".join(map(str, files)), verdict


def _signed(keys: tuple[Path, ...]) -> IsSigned | None:
    from sigc.store.audit.sign import checker

    return checker(keys) if keys else None


def _anchors(file: Path, *, must_be: bool) -> tuple[Anchor, ...]:
    from sigc.store.audit.anchor import read_anchors

    if must_be and not file.is_file():
        raise SigcError(Diagnostic("E200", f"no file of anchors at {file}"))
    return read_anchors(file)


def instant(text: str, zone: tzinfo) -> datetime | None:
    """Return a date or time as given, in `zone` where it names none; None for ''. Raises E500."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        hint = "write YYYY-MM-DD or YYYY-MM-DDTHH:MM"
        raise SigcError(Diagnostic("E500", f"invalid date or time '{text}'", hint=hint)) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)
