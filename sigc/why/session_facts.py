"""The facts of a strategy and a session, from the ledger and the files of runs. Reads only, each table by an index.

facts = gather(connection, work_dir, plan)
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sigc.store.files import run_folder
from sigc.store.history import recent
from sigc.store.ledger import books, breakers, control, jobs, meta, orders, runs
from sigc.store.ledger.jobs import Missed, OrderedRun
from sigc.store.ledger.records import Fill, Intent, Run, RunKind, RunStage
from sigc.why.session_plan import SessionPlan

DATA, DECISION, WEIGHTS, VALUES = "data.json", "decision.json", "weights.json", "signal-values.json"
ALIVE = "alive"  # the file with the time at which the daemon was last alive
DISABLED = "disabled"  # the name of disabled jobs in the control state
_MOST_LIVES, _MOST_REFUSALS, _MOST_CONTROLS = 200, 200, 200
_MOST_BEFORE = 20
_LARGEST = 64 << 20
_LOOK_BACK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run with its stages, orders and fills, and its files of data and decision (empty: not kept)."""

    run: Run
    stages: tuple[RunStage, ...]
    intents: tuple[Intent, ...]
    fills: tuple[Fill, ...]
    is_decided: bool
    decided: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedRun:
    """A run refused before it began, from the audit: when, why (an error code and its text), who asked."""

    at: datetime
    id: str
    code: str
    message: str
    who: str


@dataclass(frozen=True, slots=True)
class StopChange:
    """A pause or halt that was set or ended. scope: '' for everything."""

    at: datetime
    name: str
    scope: str
    is_set: bool
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Life:
    """A start of the daemon (alive: when the one before was last seen) or a stop."""

    at: datetime
    is_start: bool
    alive: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unwritable:
    """A span in which the daemon could not write its ledger, and the reason."""

    since: datetime
    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Doing:
    """The current phase of a job: waiting, starting, running, retrying; for which fire, needing which jobs."""

    phase: str
    planned: datetime
    needs: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job: its misses in the window, its current phase, whether it is disabled, the runs of its dependencies."""

    misses: tuple[Missed, ...] = ()
    doing: Doing | None = None
    off: control.Control | None = None
    needed: Mapping[str, OrderedRun | None] = field(default_factory=dict)
    missed_needs: Mapping[str, Missed | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """All facts to judge. trades, dry: runs of the session; asked: orders of runs without a run among these.

    before: for a session without a trade, its newest dry run, else the newest run of an earlier session, that kept
    what it read. alive: when a daemon was last seen. is_in_ledger: the ledger has any run of the strategy.
    """

    plan: SessionPlan
    is_in_ledger: bool = False
    trades: tuple[RunFacts, ...] = ()
    dry: tuple[RunFacts, ...] = ()
    asked: tuple[OrderedRun, ...] = ()
    refusals: tuple[RefusedRun, ...] = ()
    jobs: Mapping[str, JobFacts] = field(default_factory=dict)
    holds: tuple[control.Control, ...] = ()
    decisions: tuple[StopChange, ...] = ()
    lives: tuple[Life, ...] = ()
    unwritable: tuple[Unwritable, ...] = ()
    alive: datetime | None = None
    orders: Mapping[str, OrderedRun] = field(default_factory=dict)
    before: RunFacts | None = None


def gather(connection: sqlite3.Connection, work_dir: Path, plan: SessionPlan) -> SessionFacts:
    """Return the facts. Raise E310 only through the connection's guard; malformed files count as missing."""
    found = runs.of_session(connection, plan.strategy, plan.session)
    of_session = {run.id for run in found}
    asked = _asked(connection, plan)
    told = [_run(connection, work_dir, run) for run in found]
    ordered = {run.id: order for run in found if (order := jobs.find(connection, run.id)) is not None}
    holds = (
        breakers.halt_of(connection, plan.strategy),
        control.holds(connection, control.PAUSED, plan.strategy),
    )
    return SessionFacts(
        plan,
        bool(found) or bool(runs.last_session_of(connection, plan.strategy, with_dry=True)),
        tuple(one for one in told if one.run.key.kind is RunKind.TRADE),
        tuple(one for one in told if one.run.key.kind is not RunKind.TRADE),
        tuple(order for order in asked if order.id not in of_session and order.kind == RunKind.TRADE),
        _refusals(connection, plan),
        {job.name: _job(connection, plan, job.name, job.depends_on) for job in plan.jobs},
        tuple(hold for hold in holds if hold is not None),
        _decisions(connection, plan.strategy),
        _lives(connection),
        _unwritable(connection),
        read_alive(work_dir),
        ordered,
        None if any(run.key.kind is RunKind.TRADE for run in found) else _before(connection, work_dir, plan),
    )


def _before(connection: sqlite3.Connection, work_dir: Path, plan: SessionPlan) -> RunFacts | None:
    """Return the newest run, of this session or an earlier one, that kept the facts of its sources."""
    for run in runs.recent(connection, _MOST_BEFORE, plan.strategy):
        if run.key.session <= plan.session:
            one = RunFacts(run, (), (), (), False, {}, read_file(work_dir, run.id, DATA))
            if one.data.get("sources"):
                return one
    return None


def _run(connection: sqlite3.Connection, work_dir: Path, run: Run) -> RunFacts:
    return RunFacts(
        run,
        runs.stages_of(connection, run.id),
        orders.of_run(connection, run.id),
        books.fills_of(connection, run.id),
        runs.is_decided(connection, run.id),
        runs.decision_of(connection, run.id),
        read_file(work_dir, run.id, DATA),
    )


def _asked(connection: sqlite3.Connection, plan: SessionPlan) -> tuple[OrderedRun, ...]:
    """Return the orders for the session: those that name it, and those of its window that ended before naming one."""
    if plan.start is None or plan.end is None:
        return ()
    found = jobs.asked_between(connection, plan.strategy, plan.start, plan.end)
    ours = (order for order in found if order.session in ("", plan.session))
    return tuple(order for order in ours if order.session or order.date in ("", plan.as_of))


def _refusals(connection: sqlite3.Connection, plan: SessionPlan) -> tuple[RefusedRun, ...]:
    wanted = recent.RecordsWanted("run.refused", plan.strategy, most=_MOST_REFUSALS)
    found = []
    for record in recent.records_page(connection, wanted):
        said = _mapping(record.payload)
        if said.get("session") == plan.session:
            id, code, message = (str(said.get(name, "")) for name in ("id", "code", "message"))
            found.append(RefusedRun(record.at, id, code, message, record.who))
    return tuple(reversed(found))


def _decisions(connection: sqlite3.Connection, strategy: str) -> tuple[StopChange, ...]:
    """Return the newest pauses and halts set or ended for the strategy or for everything, oldest first."""
    found = []
    for record in recent.records_page(connection, recent.RecordsWanted("control", most=_MOST_CONTROLS)):
        said = _mapping(record.payload)
        name, scope = str(said.get("name", "")), str(said.get("scope", ""))
        if name in (control.HALTED, control.PAUSED) and scope in ("", strategy):
            is_set, reason = record.event == "control.set", str(said.get("reason", ""))
            found.append(StopChange(record.at, name, scope, is_set, record.who, reason))
    return tuple(reversed(found))


def _lives(connection: sqlite3.Connection) -> tuple[Life, ...]:
    found = []
    for record in recent.records_page(connection, recent.RecordsWanted("daemon", most=_MOST_LIVES)):
        if record.event in (meta.STARTED, meta.STOPPED):
            alive = _instant(_mapping(record.payload).get("alive"))
            found.append(Life(record.at, record.event == meta.STARTED, alive))
    return tuple(reversed(found))


def _unwritable(connection: sqlite3.Connection) -> tuple[Unwritable, ...]:
    wanted = recent.RecordsWanted(meta.WROTE_AGAIN, most=_MOST_LIVES)
    told = [(record.at, _mapping(record.payload)) for record in recent.records_page(connection, wanted)]
    known = [(_instant(said.get("since")), at, str(said.get("why", ""))) for at, said in told]
    return tuple(Unwritable(since, at, why) for since, at, why in known if since is not None)


def _job(connection: sqlite3.Connection, plan: SessionPlan, name: str, depends_on: tuple[str, ...]) -> JobFacts:
    off = control.get(connection, DISABLED, name)
    doing = _doing(jobs.states(connection).get(name, {}))
    if plan.start is None or plan.end is None:
        return JobFacts((), doing, off)
    start, end = plan.start, plan.end
    misses = jobs.misses_between(connection, name, start, end)
    needed: dict[str, OrderedRun | None] = {}
    missed: dict[str, Missed | None] = {}
    for other in depends_on:
        # A dependency may run days before the window, such as a weekly job.
        ran = [o for o in jobs.of_job_since(connection, other, start - _LOOK_BACK) if o.asked < end]
        needed[other] = next(iter(ran), None)
        missed[other] = next(iter(jobs.misses_between(connection, other, start, end)), None)
    return JobFacts(misses, doing, off, needed, missed)


def _doing(record: Mapping[str, Any]) -> Doing | None:
    """Return the phase of a job's saved state; None if it is not as `sigc.schedule.record` writes it."""
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        # Read as plain data: the daemon that wrote it may be of another version.
        phase = record["state"]["phase"]
        if phase is not None:
            pending = phase["pending"]
            planned = datetime.fromisoformat(pending["planned"])
            needs = tuple(str(name) for name, _ in pending["needed"])
            return Doing(str(phase["name"]), planned, needs, _instant(phase.get("at")))
    return None


def read_file(work_dir: Path, run: str, name: str) -> dict[str, Any]:
    """Return a file of a run, {} if it is missing or malformed."""
    path = run_folder(work_dir, run) / name
    with contextlib.suppress(OSError, ValueError, RecursionError):
        # Bounded: the daemon reads these files in a call.
        if path.stat().st_size <= _LARGEST:
            found = json.loads(path.read_bytes())
            return found if isinstance(found, dict) else {}
    return {}


def read_alive(work_dir: Path) -> datetime | None:
    """Return when the daemon of this work dir was last alive, None if unknown."""
    try:
        return _instant((work_dir / ALIVE).read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def _mapping(payload: str) -> dict[str, Any]:
    """Return a payload, {} if it was cut or is malformed."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(payload)
        return found if isinstance(found, dict) else {}
    return {}


def _instant(text: object) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text) if isinstance(text, str) and text else None
    return None
