"""One run of one portfolio of a strategy: load -> compute -> validate -> execute -> audit.

    load      data up to the as-of date; what the broker filled since, until ledger and broker agree; NAVs
    compute   wanted weights of the as-of row
    validate  data, then the target book within its constraints, against every limit
    execute   orders sized, written down, sent
              (a scheduled run on a row that is not a rebalance row skips these two and ends unchanged)
    audit     the verdict; the run's files; the audit mirrored and anchored

Live, paper, dry and replayed runs are the same code: they differ in the broker and the clock. A dry run stops before
anything is written down, and shows the orders that would be sent. The stages are in `sigc_pipelines.stages`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from sigc.errors import Diagnostic, Severity, SigcError
from sigc.host.hung import BROKER, DATA
from sigc.store.ledger import runs
from sigc.store.ledger.control import accepted_by_hand
from sigc.store.ledger.fenced import Fence, FencedLedger
from sigc.store.ledger.records import Finding, Outcome, Run, RunStage, StageName
from sigc.store.ledger.waiting import waiting_of
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc_pipelines.live.open_run import open_run
from sigc_pipelines.live.publish import publish
from sigc_pipelines.live.revoked import revoke
from sigc_pipelines.live.session import moment
from sigc_pipelines.live.stage_thread import CancelledError as CancelledError
from sigc_pipelines.live.stage_thread import FencedFeed, HungError, StageWork, to_end, within
from sigc_pipelines.live.trading import Ended, Request, RunWatch, TargetFeed, Trading
from sigc_pipelines.records.artifacts import write_account
from sigc_pipelines.stages.audit import audit
from sigc_pipelines.stages.compute import ComputedTargets, Looked, compute, look
from sigc_pipelines.stages.execute import DecidedOrders, execute
from sigc_pipelines.stages.load import load
from sigc_pipelines.stages.run_context import RunContext
from sigc_pipelines.stages.validate import JudgedTargets, refuse, validate

T = TypeVar("T")
log = logging.getLogger("sigc.runs")


@dataclass(slots=True)
class _Reached:
    """The results of a run so far, shown also for a run that fails on the way."""

    stages: list[RunStage] = field(default_factory=list)
    looked: Looked | None = None
    computed: ComputedTargets | None = None
    judged: JudgedTargets | None = None
    decided: DecidedOrders | None = None

    def ended(self, run: Run, problems: tuple[Diagnostic, ...]) -> Ended:
        """Return the run as it ended."""
        return Ended(
            run=run,
            stages=tuple(self.stages),
            orders=self.decided.orders if self.decided is not None else (),
            sight=self.looked.snapshot if self.looked is not None else None,
            target=self.judged.decision.target if self.judged is not None else None,
            problems=problems,
            turn=self.computed.turn if self.computed is not None else None,
            held=self.judged.decision.basis.held if self.judged is not None else None,
        )


def carry_out(trading: Trading, request: Request, feed: TargetFeed, watch: RunWatch | None = None) -> Ended:
    """Run it. Raises SigcError when it can't begin (E800, E802) or the ledger fails (E310); any other error is its
    outcome.
    """
    with trading.ledger.reading() as connection:
        accepting = feed.accepting(accepted_by_hand(connection))
    at = moment(trading.calendar, trading.clock.now(), trading.config.execution.cut_off)
    run = open_run(trading, request, at)
    context, reached = RunContext(trading, request, accepting, watch or RunWatch(), at, run), _Reached()
    problems: tuple[Diagnostic, ...] = ()
    outcome, message = Outcome.FAILED, "it ended with an internal error: see the log"
    try:
        outcome, message = _through_stages(context, reached)
    except HungError as error:  # left open if it decided: a request may be out
        problems, message = error.diagnostics, error.diagnostics[0].message
    except SigcError as error:
        if error.diagnostics[0].code in ("E310", "E311"):
            raise  # the ledger failed: nothing can be written; recovery closes the run at the next start
        problems = error.diagnostics
        is_refusal = error.diagnostics[0].code.startswith("E8")
        outcome = Outcome.REFUSED if is_refusal else Outcome.FAILED
        message = error.diagnostics[0].message
    except CancelledError:
        outcome, message = Outcome.CANCELLED, "cancelled before anything was decided"
    finally:
        context.rehearsal.close()
        if not _is_left_open(context, outcome):
            run, unwritten = _closed(context, outcome, message)
            problems += unwritten
    return replace(reached.ended(run, problems), waiting=_waiting(context))


def _through_stages(context: RunContext, reached: _Reached) -> tuple[Outcome, str]:
    settings, fence = context.trading.config.execution, Fence()
    feed = FencedFeed(context.feed, fence)
    trading = replace(context.trading, ledger=FencedLedger(context.ledger, fence))
    inner = replace(context, trading=trading, feed=feed)  # what the threads of the stages work with

    def stage(name: StageName, work: Callable[[], T]) -> StageWork[T]:
        def check() -> str:
            return DATA if feed.is_busy or name in (StageName.COMPUTE, StageName.VALIDATE) else BROKER

        what = f"the stage {name} of {context.run.key.strategy}"
        return StageWork(what, check, work, fence, context.ledger, context.trading.clock, context.watch.stop)

    def computed_targets(findings: list[Finding]) -> ComputedTargets:
        reached.looked = look(inner, loaded)
        return compute(inner, loaded, reached.looked, findings)

    with _stage(context, reached, StageName.LOAD) as found:
        loaded = within(stage(StageName.LOAD, lambda: load(inner, found)), settings.load_deadline_s)
    with _stage(context, reached, StageName.COMPUTE) as found:
        work = stage(StageName.COMPUTE, lambda: computed_targets(found))
        computed = reached.computed = within(work, settings.compute_deadline_s)
    if computed.is_idle:
        outcome, message = Outcome.UNCHANGED, f"no rebalance row ({computed.turn.rule or 'no new row'})"
    else:
        with _stage(context, reached, StageName.VALIDATE) as found:
            judging = stage(StageName.VALIDATE, lambda: validate(inner, loaded, computed))
            judged = reached.judged = within(judging, settings.validate_deadline_s)
            found += judged.findings
            refuse(judged)
        with _stage(context, reached, StageName.EXECUTE) as found:
            pulse = context.watch.pulse
            pulse.ends = context.trading.clock.now() + timedelta(seconds=settings.execute_deadline_s)
            pulse.beat()
            sending = stage(StageName.EXECUTE, lambda: execute(inner, loaded, computed, judged, found))
            decided = reached.decided = to_end(sending, pulse, lambda why: revoke(context.ledger, context.run, why))
            outcome, message = decided.outcome, decided.message
    with _stage(context, reached, StageName.AUDIT) as found:
        audit(context, found)
    return outcome, message + computed.turn.told(context.run.as_of)


@contextmanager
def _stage(context: RunContext, reached: _Reached, name: StageName) -> Iterator[list[Finding]]:
    """Time a stage and record its result. Raises when the run was cancelled."""
    if context.watch.stop.is_set() and name is not StageName.AUDIT:
        raise CancelledError
    context.watch.stage(name)
    started, begun = context.trading.clock.now(), time.perf_counter()
    findings: list[Finding] = []
    outcome = "failed"
    try:
        yield findings
        outcome = "failed" if any(f.severity is Severity.ERROR for f in findings) else "done"
    except SigcError as error:
        outcome = "late" if error.diagnostics[0].code == "E803" else outcome
        said = tuple(Finding(d.code, Severity.ERROR, d.message) for d in error.diagnostics)
        findings += [f for f in said if f.message not in {g.message for g in findings}]
        raise
    finally:
        stage = RunStage(context.run.id, name, started, time.perf_counter() - begun, outcome, tuple(findings))
        reached.stages.append(stage)
        with context.ledger.transaction("stage") as tx:
            runs.add_stage(tx, context.run, stage)


def _is_left_open(context: RunContext, outcome: Outcome) -> bool:
    """Return True for a run that failed after it decided: `recover.py` resolves its orders, then closes it."""
    with context.ledger.reading() as connection:
        return outcome is Outcome.FAILED and runs.is_decided(connection, context.run.id)


def _waiting(context: RunContext) -> WaitingOrders | None:
    """Return the orders of the run that wait for the open."""
    if context.is_dry or not context.trading.has_files:
        return None
    with context.ledger.reading() as connection:
        return waiting_of(connection, [context.run.id], context.trading.clock.now()).get(context.run.id)


def _closed(context: RunContext, outcome: Outcome, message: str) -> tuple[Run, tuple[Diagnostic, ...]]:
    """Close the run and write its files. Return it, and why they can't be written: the next run writes them then."""
    ledger, trading = context.ledger, context.trading
    now = trading.clock.now()
    with ledger.transaction("run-close") as tx:
        runs.close_run(tx, context.run, now, outcome, message)
        run = runs.find(tx.connection, context.run.id)
    problems: tuple[Diagnostic, ...] = ()
    if not context.is_dry and trading.has_files:
        try:
            write_account(ledger, run.id, trading.render)
        except SigcError as error:
            problems = error.diagnostics
        except Exception as mistake:  # of the page's text: the orders are what they are
            log.exception("the files of the run %s can't be written", run.id)
            why = f"the run's files can't be written: {type(mistake).__name__}: {mistake}"
            problems = (Diagnostic("E300", why, hint="see the log; the next run writes them"),)
    publish(ledger, trading.config.audit)  # again, for the verdict itself; the stage `audit` reported its problems
    return run, problems
