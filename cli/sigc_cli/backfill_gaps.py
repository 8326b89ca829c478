"""Sessions without a successful run, found in the ledger with the reason; and dry runs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger.records import Outcome
from sigc_cli.daemon_or_ledger import Target, ledger_of
from sigc_pipelines.text.table import table

if TYPE_CHECKING:
    from sigc.daemon.configured.configured import Configured

_MOST_DAYS = 3700
WELL = frozenset({Outcome.DONE, Outcome.UNCHANGED, Outcome.PARTIAL})  # some of it reached the broker, or nothing had to


@dataclass(frozen=True, slots=True)
class Gap:
    """A session that no run of a strategy ended well. as_of: the data that a run for it would have read.

    stopped_by, why: as `sigc why` says. run, outcome: of the dry run that was made of it, or was there already.
    """

    strategy: str
    session: str
    as_of: str
    stopped_by: str
    why: str
    run: str = ""
    outcome: str = ""


def gaps(target: Target, work_dir: Path | None, days: tuple[str, str], names: Sequence[str]) -> list[Gap]:
    """Return the begun sessions between two dates, both included, without a trade that is `WELL`.

    Raises E500, E901.
    """
    from sigc.daemon.configured.calendars import open_calendars
    from sigc.daemon.configured.configured import configured
    from sigc.daemon.configured.due_sessions import plan_of
    from sigc.why.chain import judge
    from sigc.why.session_facts import gather

    first, last = _range(days)
    with ledger_of(target, work_dir) as (connection, place, loaded):
        found, now = configured(loaded), datetime.now(UTC)
        calendars = open_calendars(found, place, now)
        sessions = calendars[loaded.config.schedule.calendar].sessions(first, last)
        missing = []
        for name in _chosen(names, found):
            for session in sessions:
                plan = plan_of(found, calendars, name, now, session.day)
                if plan.start is None or plan.start > now:
                    continue
                facts = gather(connection, place, plan)
                if any(one.run.outcome in WELL for one in facts.trades):
                    continue
                answer, dry = judge(facts), facts.dry[-1].run if facts.dry else None
                about = (name, str(session.day), plan.as_of, answer.stopped_by, answer.verdict)
                missing.append(Gap(*about, dry.id if dry else "", str(dry.outcome) if dry else ""))
    return missing


def fill(gap: Gap, target: Target, work_dir: Path | None) -> Gap:
    """Make a dry run of it, by the daemon that answers, else in this process; one that has a run is left."""
    from sigc_cli.commands.run import ended_here
    from sigc_cli.daemon_call import RunTarget
    from sigc_pipelines.assembly.parts import Choices
    from sigc_pipelines.assembly.trading import TradeOptions

    if gap.run:
        return gap
    wanted = RunTarget(gap.strategy, gap.as_of, is_dry=True)
    by_daemon = _by_daemon(wanted, target, work_dir)
    if by_daemon is not None:
        return replace(gap, run=by_daemon[0], outcome=by_daemon[1])
    config, _, name = target
    try:
        ended = ended_here(
            wanted, TradeOptions(gap.as_of, is_dry=True), Choices(config=config, alone=True), work_dir, name
        )
    except SigcError as failure:
        return replace(gap, outcome=f"failed: {failure.diagnostics[0].message}")
    return replace(gap, run=ended.run.id, outcome=str(ended.run.outcome))


def _by_daemon(wanted: object, target: Target, work_dir: Path | None) -> tuple[str, str] | None:
    from sigc.rpc.client import NoDaemonError
    from sigc_cli.daemon_call import RunTarget, daemon, run_over_rpc

    if work_dir is not None or not isinstance(wanted, RunTarget):
        return None
    try:
        with daemon(*target) as client:
            ended = run_over_rpc(client, wanted)
    except NoDaemonError as gone:
        if not gone.is_refused or target[1] is not None:
            raise
        return None
    return ended.id, ended.outcome


def text(found: Sequence[Gap], *, only_list: bool) -> str:
    """Return sessions as a table."""
    if not found:
        return "no session is left: each begun one has a run with the outcome done, unchanged or partial"
    heads = ("strategy", "session", "as of", "stopped by", "dry run", "outcome", "why")
    rows = [(g.strategy, g.session, g.as_of, g.stopped_by, g.run or "-", g.outcome or "-", g.why[:100]) for g in found]
    wanting = sum(not gap.run for gap in found)
    said = f"{len(found)} not traded" + (f"; without --dry-run {wanting} dry runs are made" if only_list else "")
    return f"{table([heads, *rows])}\n{said}"


def _range(days: tuple[str, str]) -> tuple[date, date]:
    try:
        first, last = (date.fromisoformat(day) for day in days)
    except ValueError:
        raise SigcError(Diagnostic("E500", f"invalid dates '{days[0]} {days[1]}'", hint="write YYYY-MM-DD")) from None
    if first > last or (last - first).days > _MOST_DAYS:
        hint = "give the earlier date first, and at most ten years"
        raise SigcError(Diagnostic("E500", f"invalid range of dates '{first} {last}'", hint=hint))
    return first, last


def _chosen(names: Sequence[str], found: Configured) -> list[str]:
    from sigc.daemon.configured.configured import instead_of

    known = [entry.name for entry in found.strategies if entry.enabled]
    for name in names:
        if name not in known:
            hint = instead_of(name, known, found.jobs)
            raise SigcError(Diagnostic("E901", f"there is no strategy '{name}'", hint=hint))
    return list(names) or known
