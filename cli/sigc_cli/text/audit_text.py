"""Audit records, a verdict and a day's account, as text and as plain data."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from sigc_pipelines.text.table import table

if TYPE_CHECKING:
    from sigc.store.audit.verify import ChainVerdict
    from sigc.store.history.query import AuditEntry
    from sigc.store.history.report import DayReport

_COLUMNS = ("seq", "at", "event", "run", "strategy", "portfolio", "who")
_NO_ANCHORS = "NONE: a chain that was cut off or written anew would not be noticed"


def entry_data(entry: AuditEntry) -> dict[str, Any]:
    """Return a record as it was written, and its digest."""
    record: dict[str, Any] = json.loads(entry.record)
    return record | {"digest": entry.digest}


def entries_text(entries: Iterable[AuditEntry], zone: tzinfo) -> str:
    """Return a line a record; empty without any."""
    rows = [
        (
            str(e.seq),
            e.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
            e.event,
            e.strategy + (f"/{e.portfolio}" if e.portfolio else ""),
            e.who,
            _brief(e.payload),
        )
        for e in entries
    ]
    return table([("seq", f"at ({zone})", "event", "book", "who", "what"), *rows]) if rows else ""


def entries_json(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """Yield records as one JSON list, a part at a time."""
    before = "["
    for entry in entries:
        yield f"{before}\n  {json.dumps(entry_data(entry), ensure_ascii=False)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def entries_lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """Yield records as a mirror has them: their lines can be verified."""
    from sigc.store.audit.mirror import line_of

    for entry in entries:
        yield line_of(entry.seq, entry.record, entry.digest, entry.signature).decode()


def entries_csv(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """Yield records as lines of CSV, the payload as JSON in the last column."""
    yield _csv((*_COLUMNS, "payload", "digest"))
    for entry in entries:
        record = json.loads(entry.record)
        payload = json.dumps(record["payload"], sort_keys=True, ensure_ascii=False)
        yield _csv((*(str(record[c]) for c in _COLUMNS), payload, entry.digest))


def verdict_text(verdict: ChainVerdict, what: str) -> str:
    """Return the verdict, a line for each kind of proof."""
    lines = [f"{what}: {verdict.records:,} records, whole", f"Head:        {verdict.head.seq} {verdict.head.digest}"]
    lines.append(f"Anchors:     {verdict.anchors} agree" if verdict.anchors else f"Anchors:     {_NO_ANCHORS}")
    lines.append(f"Signatures:  {verdict.signed} good" if verdict.signed else "Signatures:  not checked")
    return "\n".join(lines)


def verdict_data(verdict: ChainVerdict, what: str) -> dict[str, Any]:
    """Return the verdict as plain data; bad: the number of the first bad record, null without one."""
    return {
        "what": what,
        "whole": verdict.is_whole,
        "records": verdict.records,
        "head": asdict(verdict.head),
        "bad": verdict.bad or None,
        "reason": verdict.reason,
        "anchors": verdict.anchors,
        "signed": verdict.signed,
    }


def report_data(report: DayReport) -> dict[str, Any]:
    """Return a day's account as plain data; money as text, to the digit."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(report), default=str))
    return data


def report_text(report: DayReport, zone: tzinfo) -> str:
    """Return a day's account for people."""
    numbers = f" ({report.first} to {report.last})" if report.records else ""
    parts = [f"=== Audit Report {report.day} ({report.zone}) ===\nRecords: {report.records:,}{numbers}"]
    if report.runs:
        runs = [(r.id, f"{r.strategy}/{r.portfolio}", r.session, r.kind, r.outcome, r.message) for r in report.runs]
        parts.append(table([("run", "book", "session", "kind", "outcome", "message"), *runs]))
    else:
        parts.append("No runs.")
    if report.orders:
        parts.append(table([("orders", "number"), *((s, str(n)) for s, n in report.orders.items())]))
    t = report.traded
    if t.fills:
        parts.append(f"{t.fills} fills: {t.bought:,.2f} bought, {t.sold:,.2f} sold, {t.commission:,.2f} commission")
    if report.events:
        parts.append(table([("event", "number"), *((e, str(n)) for e, n in report.events.items())]))
    if report.refusals:
        rows = [
            (str(r.seq), r.at.astimezone(zone).strftime("%H:%M:%S %Z"), r.event, r.strategy, r.who, r.message)
            for r in report.refusals
        ]
        parts.append(table([("refused", "at", "event", "strategy", "who", "why"), *rows]))
    if report.deeds:
        rows_of_deeds = [(who, e, str(n)) for who, done in report.deeds.items() for e, n in done.items()]
        parts.append(table([("who", "event", "number"), *rows_of_deeds]))
    return "\n\n".join(parts)


def _brief(payload: Any, most: int = 100) -> str:
    text = " ".join(f"{k}={_plain(v)}" for k, v in payload.items())
    return text if len(text) <= most else text[: most - 3] + "..."


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else " " for c in text)


def _csv(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
