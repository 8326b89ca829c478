"""Opening of a run: refused while the strategy is halted or paused, or when its session was traded; else written
down.
"""

from __future__ import annotations

import sqlite3

from sigc.errors import Diagnostic, SigcError
from sigc.host import kill_file
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import books, control, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import UNASSIGNED, BookKey, Run, RunKey, RunKind
from sigc.words import counted, local_time
from sigc_pipelines.live.account_capital import refuse_beyond_equity
from sigc_pipelines.live.scratch import backwards
from sigc_pipelines.live.session import Moment
from sigc_pipelines.live.sizing import decimal
from sigc_pipelines.live.trading import Request, Trading
from sigc_pipelines.live.tripping import judge_breakers, refusal


def open_run(trading: Trading, request: Request, at: Moment) -> Run:
    """Write the run down, and its book with the first run. Raises E800, E802; a refusal is audited."""
    try:
        return _opened(trading, request, at)
    except SigcError as no:
        _audit_refusal(trading, request, at, no)
        raise


def _opened(trading: Trading, request: Request, at: Moment) -> Run:
    now = trading.clock.now()
    key = RunKey(request.strategy, request.portfolio, str(at.session.day), request.kind, request.slot)
    limits = trading.config.safety.model_dump(mode="json")
    book = BookKey(request.strategy, request.portfolio)
    if request.kind is RunKind.TRADE:
        # A transaction of its own: what trips stays tripped, though the run is refused by it.
        with trading.ledger.transaction("control") as tx:
            judge_breakers(tx, trading.config.safety, book)
        with trading.ledger.reading() as connection:
            is_new = books.book(connection, book) is None
        if is_new:
            refuse_beyond_equity(trading, book, decimal(trading.config.execution.capital))
    with trading.ledger.transaction("run-open") as tx:
        revision = 0
        if request.kind is RunKind.TRADE:
            is_forced = request.is_forced
            stop = stop_in_force(tx.connection, trading.ledger, request.strategy, passes_pause=is_forced)
            stop = stop or refusal(tx.connection, trading, request.strategy)
            if stop is not None:
                raise SigcError(stop)
            _refuse_beside(tx.connection, request)
            if trading.broker.capabilities().simulated:
                _refuse_the_past(tx.connection, at, tx.zone)
            revision = _revision(tx.connection, key, request)
            capital = decimal(trading.config.execution.capital)
            books.open_book(tx, book, capital, now, str(at.as_of.day))
        run = Run(
            id=request.id,
            key=key,
            as_of=str(at.as_of.day),
            revision=revision,
            started=now,
            who=request.who,
            reason=request.reason,
            broker=trading.broker.capabilities().name,
            cut_off=at.cut_off,
            digests=dict(request.digests),
        )
        runs.open_run(tx, run, limits)
    return run


def _audit_refusal(trading: Trading, request: Request, at: Moment, no: SigcError) -> None:
    """Record a refusal, which leaves no run. A ledger error leaves no record."""
    found = no.diagnostics[0]
    if not found.code.startswith("E8"):
        return
    said = {"id": request.id, "session": str(at.session.day), "slot": request.slot, "reason": request.reason}
    said |= {"code": found.code, "message": found.message}
    with trading.ledger.transaction("run-open") as tx:
        tx.audit(AuditEvent("run.refused", said, "", request.strategy, request.portfolio, request.who))


def stop_in_force(
    connection: sqlite3.Connection, ledger: Ledger, strategy: str, *, passes_pause: bool = False
) -> Diagnostic | None:
    """Return the halt, of the kill file or the ledger, or the pause that keeps a strategy from trading; None without
    one. passes_pause: for what is forced.
    """
    by_file = kill_file.halt_for(ledger.directory, strategy)
    if by_file is not None:  # the ledger may have it a moment later
        return _stopped(
            by_file.scope,
            control.HALTED,
            local_time(by_file.since, ledger.zone),
            by_file.who,
            by_file.reason or "kill file",
        )
    for name in (control.HALTED, control.PAUSED):
        stop = control.holds(connection, name, strategy)
        if stop is not None and not (name == control.PAUSED and passes_pause):
            return _stopped(stop.scope, name, local_time(stop.at, ledger.zone), stop.who, stop.reason or stop.value)
    return None


def _stopped(scope: str, name: str, since: str, who: str, why: str) -> Diagnostic:
    message = f"{scope or 'everything'} is {name} since {since} by {who}: {why}"
    lifts = "sigc resume" if name == control.PAUSED else "sigc safety resume --reason '...'"
    return Diagnostic("E802", message, hint=f"{lifts} lifts it")


def _refuse_the_past(connection: sqlite3.Connection, at: Moment, zone: str) -> None:
    """Refuse a run for a session before the newest fill of the account, whatever the strategy."""
    why = backwards(connection, at, zone)
    if why:
        raise SigcError(Diagnostic("E800", why, hint="use --dry-run for a past session"))


def _refuse_beside(connection: sqlite3.Connection, request: Request) -> None:
    """Refuse the first run of a strategy while a book is held that no configured strategy owns.

    It may be its own, under another name, and would be bought again.
    """
    new = BookKey(request.strategy, request.portfolio)
    if request.is_forced or not request.configured or books.book(connection, new) is not None:
        return
    owned = {*request.configured, request.strategy, UNASSIGNED.strategy}
    for book in books.books(connection):
        number = len(books.quantities(connection, book.key))
        if number and book.key.strategy not in owned:
            old = book.key.strategy
            message = (
                f"{request.strategy} would open a book beside that of '{old}', which has {counted(number, 'position')}"
            )
            hint = f"is it the same one? sigc book rename {old} {request.strategy} --reason '...'"
            raise SigcError(Diagnostic("E804", f"{message} and no strategy any more", hint=f"{hint} (else --force)"))


def _revision(connection: sqlite3.Connection, key: RunKey, request: Request) -> int:
    """Return 0 for the first run of a key; the next number for a forced repeat, or after a run that sent nothing."""
    latest = runs.latest_revision(connection, key)
    last = runs.last_session(connection, key.strategy, key.portfolio)
    if last > key.session:
        message = f"{key.strategy} ({key.portfolio}) has traded for the session {last} already"
        raise SigcError(
            Diagnostic("E800", f"{message}; {key.session} is past", hint="use --dry-run for a past session")
        )
    if latest is None:
        return 0
    if runs.is_used(connection, key) and not request.is_forced:
        message = f"{key.strategy} ({key.portfolio}) was traded for the session {key.session} already"
        raise SigcError(Diagnostic("E800", message, hint="trade it again on purpose: --force --reason '...'"))
    return latest + 1
