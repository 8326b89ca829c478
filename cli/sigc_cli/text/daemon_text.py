"""Replies of the daemon as text: the status block, tables of jobs, fires, runs. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sigc.rpc.messages.status import Details, RunStatus, StatusReply, StrategyStatus, unfilled, waits

if TYPE_CHECKING:
    from sigc.rpc.messages.requests import JobStatus, ReloadReply

TITLE = "sigc daemon status"
_LONG_READ_S = 3.0  # of a read that is told


def status_block(found: StatusReply) -> str:
    """Return the block of `sigc status`."""
    stopped = "halted" if found.is_halted else "paused" if found.is_paused else ""
    running = found.status + (f" ({stopped})" if stopped and found.status == "running" else "")
    lines = [TITLE, "=" * len(TITLE), f"Status: {running}"]
    if found.alerts:
        counts = ", ".join(f"{number} {severity}" for severity, number in found.alerts.items())
        lines.append(f"Alerts: {sum(found.alerts.values())} open ({counts}); sigc alerts list")
    if found.breakers:
        lines.append(f"Circuit breakers: {', '.join(found.breakers)} tripped; sigc safety status")
    lines += [f"Reading: {one.name} for {duration(one.seconds)}" for one in found.reads if one.seconds >= _LONG_READ_S]
    if found.reason and found.status == "starting":
        lines.append(f"Reason: {found.reason}")
    lines += [
        f"PID: {found.pid}",
        f"Uptime: {duration(found.uptime_seconds)}",
        f"Memory: {gigabytes(found.memory_bytes)} / {gigabytes(found.memory_limit_bytes)}",
        f"CPU: {found.cpu_pct:.0f}%",
        "",
        "Strategies:",
    ]
    lines += ["\n\n".join(_strategy(one, found.zone) for one in found.strategies)] if found.strategies else ["  none"]
    if found.detailed is not None:
        lines += ["", *_details(found, found.detailed)]
    return "\n".join(lines)


def _strategy(one: StrategyStatus, zone: str) -> str:
    # As the source document has it: without the zone, which is schedule.timezone.
    last, next_one = (moment(at, zone).rpartition(" ")[0] or "-" for at in (one.last_run, one.next_run))
    waiting = "" if one.waiting is None else f", {waits(one.waiting, moment(one.waiting.at, zone).rpartition(' ')[0])}"
    rows = [("Last run", last), ("Next run", next_one), ("Status", one.status + unfilled(one.filled) + waiting)]
    rows += [("File", one.edited)] if one.edited else []
    return "\n".join([f"  {one.name}: {one.state}", *(f"    {name}: {text}" for name, text in rows)])


def _details(found: StatusReply, more: Details) -> list[str]:
    lines = [
        f"Name: {found.name}",
        f"Version: {found.version}",
        f"Time zone: {found.zone}",
        f"Loop lag: {more.loop_lag_ms:.1f} ms",
    ]
    lines += [f"Status page: {found.page}"] if found.page else []
    lines += [f"CPU limit: {more.cpu_limit or 'none'}", f"Jobs: {more.jobs}", "", f"Cluster: {more.cluster}"]
    lines += [f"  Dashboard: {more.cluster_dashboard}"] if more.cluster_dashboard else []
    lines += [
        f"  {w.address}: does not compute: it {w.refused}"
        if w.refused
        else f"  {w.address}: {gigabytes(w.memory_bytes)} / {gigabytes(w.memory_limit_bytes)}, {w.tasks} tasks"
        for w in more.workers
    ]
    lines += [] if more.workers else ["  no workers are open"]
    sections: list[tuple[str, Iterable[Sequence[object]]]] = [
        ("Cache", more.cache.items()),
        ("Queue", [(run.id, f"{run.strategy} {run.kind}, {progress(run)}") for run in more.queue]),
        ("Connections", more.connections.items()),
        ("Did not run", [tuple(one.split(", ", 1)) for one in more.missed]),
        ("Checks", [("alert channels" if name == "alerts" else name, text) for name, text in more.checks.items()]),
        ("Limits off", more.limits_off.items()),
        ("Ports", more.ports.items()),
        ("Places", more.places.items()),
        ("Versions", more.versions.items()),
    ]
    for title, rows in sections:
        listed = [f"  {name}: {value}" for name, value in rows]
        lines += ["", f"{title}:", *(listed or ["  none"])]
    return lines


def progress(run: RunStatus) -> str:
    """Return the progress of a run in a few words.

    >>> progress(RunStatus("r", "s", "dry", "running", datetime(2024, 1, 2), "compute", 3, 8))
    'running, compute 3/8'
    >>> progress(RunStatus("r", "s", "trade", "running", datetime(2024, 1, 2), "execute", text="held: paused by ann"))
    'running, execute, held: paused by ann'
    """
    text = run.text or ", ".join(f"reading {one.name} for {duration(one.seconds)}" for one in run.reads)
    done = f" {run.done}/{run.total}" if run.total else f", {text}" if text else ""
    stage = f", {run.stage}{done}" if run.stage else ""
    return run.outcome + unfilled(run.filled) if run.outcome else run.state + stage


def duration(seconds: float) -> str:
    """Return an uptime.

    >>> duration(310_920), duration(3_720), duration(59)
    ('3d 14h 22m', '1h 2m', '59s')
    """
    minutes, hours, days = int(seconds) // 60 % 60, int(seconds) // 3600 % 24, int(seconds) // 86_400
    if days:
        return f"{days}d {hours}h {minutes}m"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {int(seconds) % 60}s" if minutes else f"{int(seconds)}s"


def gigabytes(count: int) -> str:
    """Return bytes with a suitable unit.

    >>> gigabytes(4 << 30), gigabytes(int(1.2 * (1 << 30))), gigabytes(300 << 20)
    ('4 GB', '1.2 GB', '300 MB')
    """
    value, unit = (count / (1 << 30), "GB") if count >= 1 << 30 else (count / (1 << 20), "MB")
    return f"{value:.1f}".removesuffix(".0") + f" {unit}" if unit == "GB" else f"{value:.0f} {unit}"


def moment(at: datetime | None, zone: str) -> str:
    """Return an instant on the clocks of `zone`, with the zone; `-` for none.

    >>> from datetime import UTC
    >>> moment(datetime(2024, 1, 15, 14, tzinfo=UTC), "America/New_York")
    '2024-01-15 09:00:00 EST'
    """
    return "-" if at is None else f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}"


def jobs_table(jobs: Sequence[JobStatus], zone: str) -> str:
    """`sigc schedule list`."""
    rows = [("job", "kind", "strategy", "trigger", "state", "next", "last", "status")]
    for job in jobs:
        state = "disabled" if not job.is_enabled else "paused" if job.is_paused else job.phase
        trigger = job.trigger or f"after {', '.join(job.depends_on)}"
        times = (moment(job.next_fire, zone), moment(job.last_fire, zone))
        rows.append((job.name, job.kind, job.strategy or "-", trigger, state, *times, job.last_status or "-"))
    return table(rows)


def reload_text(found: ReloadReply) -> str:
    """Return the text of `sigc reload`: the differences, and if they are in force."""
    lines = []
    for change in found.changes:
        values = " -> ".join(text for text in (change.before or "unset", change.after or "unset"))
        later = "  (takes a restart)" if change.needs_restart else ""
        lines.append(f"{change.kind:<8} {change.what}: {values}{later}")
    said = "reloaded" if found.is_applied else "nothing was changed: this is the plan"
    number = len(found.changes)
    return "\n".join([*lines, f"{number} difference{'' if number == 1 else 's'}; {said}"])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return columns of text, the first row a header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
