"""Dates of rows, in one way for all formats: a column to stamps as written, stamps to dates.

    stamps = stamps_of(spec, file, column, name)      clock times as written, with the offset where one is written
    dated  = settle(spec, file, stamps, exchange)     daily rows: labels of sessions; intraday ones: instants (UTC)

Daily rows are labelled by session, see `_labels`. Intraday rows are instants; those outside of sessions are dropped
with a finding. All inference uses the first 20 dates only, so that later rows never change it.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigc.data.dates.exchange import ALWAYS, Exchange, Instants, local_instants, utc_offsets
from sigc.data.dates.frequency import FIRST_DATES, infer
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Dates
from sigc.source_words import Frequency

_DAY_NS = 86_400_000_000_000
_SLASHED = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})")
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|UTC|[+-]\d\d:?\d\d|[+-]\d\d)?)?"
)
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
_HINT = "write YYYY-MM-DD, or say how dates are written by date_format="


@dataclass(frozen=True, slots=True, eq=False)
class Stamps:
    """A column of dates as written. clock: (rows,) nanoseconds of the written clock, as if it were UTC.

    offsets: (rows,) seconds ahead of UTC as written; None without written offsets. has_time: a time of day is written.
    both_ways: every date is slashed, and valid as MM/DD and as DD/MM.
    """

    clock: Instants
    offsets: Instants | None = None
    has_time: bool = False
    both_ways: bool = False

    @property
    def is_midnight(self) -> bool:
        return not (self.clock % _DAY_NS).any()

    def take(self, rows: NDArray[Any]) -> Stamps:
        """Return some of the rows."""
        return replace(self, clock=self.clock[rows], offsets=None if self.offsets is None else self.offsets[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Dated:
    """Rows with their dates. dates: (rows kept,) datetime64[ns].

    keep: indices of the rows kept of all `count`, None for all. calendar: of their sessions. frequency: see
    `sigc.data.dates.frequency`.
    """

    dates: Dates
    count: int
    keep: NDArray[np.intp] | None
    frequency: Frequency
    calendar: str
    zone: str
    findings: tuple[Diagnostic, ...] = ()

    @property
    def is_intraday(self) -> bool:
        return self.frequency.word == "bars"


# -- a column as written -----------------------------------------------------------------------------------------


def stamps_of(spec: SourceSpec, file: str, column: Any, name: str, first: int = 0) -> Stamps:
    """Return the dates of an arrow column. first: the number of its first row. Raise E201 for missing or bad ones."""
    kind = column.type
    if column.null_count:
        at = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise problem(spec, "E201", file, f"row {first + at + 2}, column '{name}': the date is missing")
    if pa.types.is_timestamp(kind):
        return _timestamps(spec, file, column, name, first)
    if pa.types.is_date(kind):
        days = _integers(column.cast(pa.date32(), safe=False).cast(pa.int32()), np.int32).astype("i8")
        _check_years(spec, file, name, days, first, column)
        return Stamps(days * _DAY_NS)
    return _texts(spec, file, column.cast(pa.string()), name, first)


def _integers(column: Any, dtype: Any) -> NDArray[Any]:
    """Copy a column of fixed width without missing cells."""
    out, at = np.empty(len(column), dtype), 0
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if len(chunk):
            out[at : at + len(chunk)] = np.frombuffer(
                chunk.buffers()[1], dtype, len(chunk), chunk.offset * out.itemsize
            )
            at += len(chunk)
    return out


def _timestamps(spec: SourceSpec, file: str, column: Any, name: str, first: int) -> Stamps:
    """Return stamps of timestamps: naive ones are clock times, those with a zone instants with that zone's offset."""
    unit = column.type.unit
    raw = _integers(column.cast(pa.int64()), np.int64)
    scale = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[unit]
    _check_years(spec, file, name, raw // (_DAY_NS // scale), first, column)
    instants = raw * scale
    if column.type.tz is None:
        return Stamps(instants, has_time=bool((instants % _DAY_NS).any()))
    offsets = _named_offsets(instants, column.type.tz)
    return Stamps(instants + offsets * 1_000_000_000, offsets, has_time=True)


def _named_offsets(instants: Instants, zone: str) -> Instants:
    """Return seconds ahead of UTC by a zone's name or a written offset (`+09:00`)."""
    fixed = re.fullmatch(r"([+-])(\d\d):?(\d\d)", zone)
    if fixed:
        return np.full(len(instants), _offset_s(zone), "i8")
    return utc_offsets(instants, zone)


def _check_years(spec: SourceSpec, file: str, name: str, days: NDArray[np.int64], first: int, column: Any) -> None:
    low, high = (np.datetime64(f"{y}-01-01") for y in (_FIRST_YEAR, _LAST_YEAR + 1))
    bad = np.flatnonzero((days < low.astype("i8")) | (days >= high.astype("i8")))
    if len(bad):
        raise _no_date(spec, file, first + int(bad[0]), name, str(column[int(bad[0])]))


def _no_date(spec: SourceSpec, file: str, row: int, name: str, shown: str, hint: str = _HINT) -> SigcError:
    message = f"row {row + 2}, column '{name}': '{shown[:40]}' is not a date between {_FIRST_YEAR} and {_LAST_YEAR}"
    return problem(spec, "E201", file, message, hint)


def _texts(spec: SourceSpec, file: str, column: Any, name: str, first: int) -> Stamps:
    """Return stamps of dates written as text; each distinct one is parsed once."""
    whole = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    written = [str(t).strip() for t in encoded.dictionary.to_pylist()]
    place = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), "i8")
    read = _fast(written) if not spec.options.date_format else None
    if read is None:
        read = [_written(t, spec.options.date_format) for t in written]
    used = np.unique(place)
    bad = [int(i) for i in used if read[i] is None]
    if bad:
        at = int(np.flatnonzero(np.isin(place, bad))[0])
        bad = [int(place[at])]
        if not written[bad[0]]:
            raise problem(spec, "E201", file, f"row {first + at + 2}, column '{name}': the date is missing")
        raise _no_date(spec, file, first + at, name, written[bad[0]], _date_hint(written[bad[0]]))
    clock = np.array([0 if r is None else r[0] for r in read], "i8")
    offsets = [None if r is None else r[1] for r in read]
    timed = {len(written[i]) > 10 and ":" in written[i] for i in used.tolist()}
    if len(timed) > 1 or len({offsets[i] is None for i in used.tolist()}) > 1:
        raise problem(spec, "E201", file, _mixed(written, used, name), "write all of them the same way")
    ahead = None
    if offsets[int(used[0])] is not None:
        ahead = np.array([o or 0 for o in offsets], "i8")[place]
    both = all(_reads_both_ways(written[i]) for i in used.tolist()) and not spec.options.date_format
    return Stamps(clock[place], ahead, has_time=True in timed, both_ways=both)


def _mixed(written: list[str], used: NDArray[Any], name: str) -> str:
    first = written[int(used[0])]
    other = next(
        (written[i] for i in used.tolist() if (":" in written[i]) != (":" in first)),
        next((written[i] for i in used.tolist() if len(written[i]) != len(first)), first),
    )
    return f"column '{name}' mixes dates with and without a time or an offset: '{first[:40]}' and '{other[:40]}'"


def _fast(written: list[str]) -> list[tuple[int, int | None] | None] | None:
    """Parse all texts at once if all are YYYY-MM-DD; else None."""
    if not written or {len(t) for t in written} != {10}:
        return None
    marks = np.array(written).view("U1").reshape(-1, 10)
    if not (marks[:, [4, 7]] == "-").all() or not np.char.isdigit(np.delete(marks, [4, 7], axis=1)).all():
        return None
    try:
        days = np.array(written, "datetime64[D]")
    except ValueError:
        return None
    years = days.astype("datetime64[Y]").astype("i8") + 1970
    if (years < _FIRST_YEAR).any() or (years > _LAST_YEAR).any():
        return None
    return [(d * _DAY_NS, None) for d in days.astype("i8").tolist()]


def _written(text: str, date_format: str) -> tuple[int, int | None] | None:
    """Parse a text: nanoseconds of the written clock, and the offset in seconds if written. None if invalid."""
    if date_format:
        return _formatted(text, date_format)
    found = _ISO.fullmatch(text)
    if found:
        year, month, day, hour, minute, second, part, offset = found.groups()
    else:
        hour = minute = second = part = offset = None
        if found := _SLASHED.fullmatch(text) or _COMPACT.fullmatch(text):
            year, month, day = found.groups()
        elif found := _AMERICAN.fullmatch(text):
            month, day, year = found.groups()
        else:
            return None
    try:
        at = datetime.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=datetime.UTC
        )
    except ValueError:
        return None
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        return None
    nanoseconds = int((part or "0").ljust(9, "0"))
    return int(at.timestamp()) * 1_000_000_000 + nanoseconds, None if offset is None else _offset_s(offset)


def is_written_date(text: str, date_format: str = "") -> bool:
    """Return True for a text that is a date."""
    return _written(text.strip(), date_format) is not None


def _formatted(text: str, date_format: str) -> tuple[int, int | None] | None:
    try:
        at = datetime.datetime.strptime(text, date_format)  # noqa: DTZ007
    except ValueError:
        return None
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        return None
    offset = at.utcoffset()
    naive = at.replace(tzinfo=datetime.UTC)
    whole = int(naive.replace(microsecond=0).timestamp()) * 1_000_000_000 + at.microsecond * 1_000
    return whole, None if offset is None else int(offset.total_seconds())


def _offset_s(text: str) -> int:
    if text in ("Z", "UTC"):
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    return (1 if text[0] == "+" else -1) * (3600 * int(digits[:2]) + 60 * int(digits[2:]))


def _reads_both_ways(text: str) -> bool:
    found = _AMERICAN.fullmatch(text)
    return found is not None and int(found[2]) <= 12 and found[1] != found[2]


def _date_hint(text: str) -> str:
    found = _AMERICAN.fullmatch(text)
    if found and int(found[1]) > 12 >= int(found[2]):
        return 'if the day comes first, say date_format="%d/%m/%Y"'
    if re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{4}", text):
        return 'if the day comes first, say date_format="%d.%m.%Y"'
    if re.fullmatch(r"\d{10}(\d{3})?", text):
        return "is it seconds since 1970? write YYYY-MM-DD HH:MM:SSZ"
    return _HINT


# -- the dates of rows -------------------------------------------------------------------------------------------


def settle(spec: SourceSpec, file: str, stamps: Stamps, exchange: Exchange, name: str) -> Dated:
    """Return the dates of rows. name: of their column. Raise E201 for ambiguous or invalid stamps."""
    findings = []
    if stamps.both_ways:
        message = f"every date of column '{name}' reads as MM/DD/YYYY and as DD/MM/YYYY; it is read as MM/DD/YYYY"
        findings.append(_finding(spec, message, 'say date_format="%m/%d/%Y" or "%d/%m/%Y"'))
    if _is_intraday(spec, stamps):
        dated = _intraday(spec, file, stamps, exchange, name)
    else:
        labels = _labels(spec, file, stamps, exchange, name)
        frequency = spec.options.frequency or infer(labels, exchange)
        dated = Dated(labels, len(labels), None, frequency, exchange.name, exchange.zone)
        if spec.options.asof is None and frequency.word in ("sessions", "all_days"):
            findings += _off_sessions(spec, labels, exchange)
    return replace(dated, findings=(*findings, *dated.findings))


def _is_intraday(spec: SourceSpec, stamps: Stamps) -> bool:
    """Return True if the first 20 stamps are on clearly fewer days than stamps."""
    if spec.options.frequency is not None:
        return spec.options.frequency.word == "bars"
    if not stamps.has_time:
        return False
    some = np.unique(stamps.clock)[:FIRST_DATES]
    return len(some) > 1.5 * len(np.unique(some // _DAY_NS))


def _labels(spec: SourceSpec, file: str, stamps: Stamps, exchange: Exchange, name: str) -> Dates:
    """Return the session of each daily row.

    1. midnight as written, without an offset or with one other than UTC: a label as written
    2. midnight in the exchange's zone: a label of that zone
    3. midnight in UTC: a label, or an instant in the exchange's zone, whichever gives sessions only; E201 if both do
    4. any other stamp is an instant: of the session that runs then, else of the last one that closed
    """
    utc = stamps.offsets is not None and not stamps.offsets.any()
    if stamps.is_midnight and not utc:
        return stamps.clock.view("datetime64[ns]")
    if stamps.offsets is None:
        instants = local_instants(stamps.clock, exchange.zone).instants
    else:
        instants = stamps.clock - stamps.offsets * 1_000_000_000
    local = instants + utc_offsets(instants, exchange.zone) * 1_000_000_000
    if not (local % _DAY_NS).any():
        return local.view("datetime64[ns]")
    if stamps.is_midnight:
        return _midnight_utc(spec, file, stamps.clock, local, exchange, name)
    sessions = exchange.session_of(instants)
    if np.isnat(sessions).any():
        at = int(np.flatnonzero(np.isnat(sessions))[0])
        message = f"column '{name}': {_text(stamps, at)} is before the first session of calendar '{exchange.name}'"
        raise problem(spec, "E201", file, message, "write dates without a time, or say calendar=")
    return sessions.astype("datetime64[ns]")


def _midnight_utc(
    spec: SourceSpec, file: str, clock: Instants, local: Instants, exchange: Exchange, name: str
) -> Dates:
    written = clock.view("datetime64[ns]")
    shown = (local - local % _DAY_NS).view("datetime64[ns]")
    # Does each reading of the first dates give sessions only? Exactly one must.
    fits = [bool(exchange.has(np.unique(d)[:FIRST_DATES].astype("datetime64[D]")).all()) for d in (written, shown)]
    if fits == [True, False]:
        return written
    if fits == [False, True]:
        return shown
    first = written[:1].astype("datetime64[D]")[0], shown[:1].astype("datetime64[D]")[0]
    message = (
        f"column '{name}' is at midnight UTC: its first row is {first[0]} as written, and {first[1]} on clocks of"
        f" {exchange.zone}"
    )
    raise problem(spec, "E201", file, message, "write dates without a time, or say zone=UTC if they are as written")


def _intraday(spec: SourceSpec, file: str, stamps: Stamps, exchange: Exchange, name: str) -> Dated:
    """Return instants, without those outside of sessions."""
    if stamps.offsets is None:
        found = local_instants(stamps.clock, exchange.zone)
        for rows, what in ((found.twice, "comes twice"), (found.never, "is skipped")):
            if len(rows):
                message = f"column '{name}': {_text(stamps, int(rows[0]))} {what} on clocks of {exchange.zone}"
                raise problem(spec, "E201", file, message, "write stamps with an offset, or say zone=")
        instants = found.instants
    else:
        instants = stamps.clock - stamps.offsets * 1_000_000_000
    keep, calendar, findings = None, exchange.name, []
    if spec.options.hours != "extended" and exchange.name != ALWAYS:
        inside = exchange.is_inside(instants) | ~exchange.covers(
            instants.view("datetime64[ns]").astype("datetime64[D]")
        )
        outside = int(len(inside) - inside.sum())
        if _mostly_outside(instants, inside):
            shown = f"most rows are outside the sessions of calendar '{exchange.name}'"
            hint = "say calendar= with the calendar of these rows, or hours=extended"
            if exchange.is_declared:
                raise problem(spec, "E201", file, shown, hint)
            findings.append(
                _finding(spec, f"{shown}, which is not declared: they are kept, as rows of all hours", hint)
            )
            calendar = ALWAYS
        elif outside:
            first = np.datetime64(int(instants[~inside].min()), "ns").astype("datetime64[s]")
            shown = (
                f"{outside:,} of {len(inside):,} rows are outside the sessions of '{exchange.name}', first {first} UTC"
            )
            if exchange.is_declared:
                keep = np.flatnonzero(inside)
                findings.append(_finding(spec, f"{shown}: dropped", "hours=extended keeps them"))
            else:
                hint = "say calendar= to drop them, or hours=extended if they are right"
                findings.append(_finding(spec, f"{shown}: kept, as this calendar is not declared", hint))
    kept = instants if keep is None else instants[keep]
    frequency = spec.options.frequency or infer(kept.view("datetime64[ns]"), exchange, is_always=calendar == ALWAYS)
    return Dated(kept.view("datetime64[ns]"), len(instants), keep, frequency, calendar, exchange.zone, tuple(findings))


def _mostly_outside(instants: Instants, inside: NDArray[np.bool_]) -> bool:
    """Return True if more than half of the rows of the first 20 days are outside."""
    days = instants // _DAY_NS
    some = np.unique(days)[:FIRST_DATES]
    among = days <= some[-1]
    return bool(inside[among].mean() < 0.5)


def _off_sessions(spec: SourceSpec, labels: Dates, exchange: Exchange) -> list[Diagnostic]:
    days = np.unique(labels.astype("datetime64[D]"))
    off = days[~exchange.has(days) & exchange.covers(days)]
    if not len(off):
        return []
    some = ", ".join(str(d) for d in off[:3]) + (", ..." if len(off) > 3 else "")
    message = f"{len(off):,} of {len(days):,} daily rows are on no session of calendar '{exchange.name}': {some}"
    return [_finding(spec, message, "say calendar= (weekdays, always, or an exchange) if these rows are right")]


def _text(stamps: Stamps, row: int) -> str:
    return str(np.datetime64(int(stamps.clock[row]), "ns").astype("datetime64[s]")).replace("T", " ")


def _finding(spec: SourceSpec, message: str, hint: str) -> Diagnostic:
    return Diagnostic("W002", f"source '{spec.name}': {message}", spec.span, Severity.WARNING, hint=hint)
