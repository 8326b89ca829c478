"""Runs and their stages in the ledger: opened, decided, closed.

A trade is *decided* in the transaction that writes its intents. From then on its key is used: another run of the same
(strategy, portfolio, session, slot) needs a new revision. A run that ended before its decision may be repeated.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sigc.errors import Diagnostic, Severity, SigcError
from sigc.store.audit.chain import AuditEvent, canonical
from sigc.store.history.conditions import conditions
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import Finding, Outcome, Run, RunKey, RunKind, RunStage, StageName

_COLUMNS = (
    "id, strategy, portfolio, session, kind, slot, as_of, revision, started, who, reason, broker, cut_off, finished,"
    " outcome, message, digests"
)
_OWN_DAY = timedelta(days=1)


def open_run(tx: Transaction, run: Run, limits: Mapping[str, object]) -> None:
    """Insert a new run. limits: the limits its orders are checked against, even if the configuration changes later.

    Raise SigcError E800 if a run of that key and revision has decided already, or is in progress.
    """
    key = run.key
    try:
        tx.connection.execute(
            "INSERT INTO runs (id, strategy, portfolio, session, kind, slot, as_of, revision, started, who, reason,"
            " broker, cut_off, outcome, digests, limits) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(run.id, key.strategy, key.portfolio, key.session, key.kind, key.slot, run.as_of, run.revision),
                *(run.started.isoformat(), run.who, run.reason, run.broker, _text(run.cut_off)),
                *(run.outcome, canonical(run.digests), canonical(limits)),
            ),
        )
    # The unique index `one_trade` is the guard: two runs of one key can't both be open or decided.
    except sqlite3.IntegrityError as clash:
        raise SigcError(_used(tx.connection, run)) from clash
    payload = {"session": key.session, "kind": key.kind, "slot": key.slot, "revision": run.revision}
    payload |= {"as_of": run.as_of, "broker": run.broker, "reason": run.reason, "digests": run.digests}
    tx.audit(event("run.opened", run, payload))


def _used(connection: sqlite3.Connection, run: Run) -> Diagnostic:
    row = connection.execute("SELECT id FROM runs WHERE id = ?", (run.id,)).fetchone()
    if row is not None:
        return Diagnostic("E800", f"the run {run.id} already exists")
    message = f"{_label(run.key)} was traded already, or is being traded"
    return Diagnostic("E800", message, hint="trade it again on purpose with --force --reason '...'")


def _label(key: RunKey) -> str:
    return f"{key.strategy} ({key.portfolio}) for the session {key.session}" + (f" {key.slot}" if key.slot else "")


def latest_revision(connection: sqlite3.Connection, key: RunKey) -> int | None:
    """Return the highest revision of that key that decided or is in progress, None without one."""
    (found,) = connection.execute(
        "SELECT max(revision) FROM runs WHERE strategy = ? AND portfolio = ? AND session = ? AND slot = ?"
        " AND kind = 'trade' AND (traded = 1 OR outcome = 'open')",
        (key.strategy, key.portfolio, key.session, key.slot),
    ).fetchone()
    return None if found is None else int(found)


def is_used(connection: sqlite3.Connection, key: RunKey) -> bool:
    """Return True if a session was traded: by a run in progress, one that needed no order, or one that sent an order.

    A run whose orders were all denied, or ended unsent, does not count: no broker has seen it.
    """
    row = connection.execute(
        "SELECT 1 FROM runs r WHERE strategy = ? AND portfolio = ? AND session = ? AND slot = ? AND kind = 'trade'"
        " AND (outcome = 'open' OR traded = 1 AND ("
        "  NOT EXISTS (SELECT 1 FROM intents i WHERE i.run = r.id)"
        "  OR EXISTS (SELECT 1 FROM intents i WHERE i.run = r.id"
        "  AND (i.attempts > 0 OR i.state NOT IN ('denied', 'expired', 'cancelled'))))) LIMIT 1",
        (key.strategy, key.portfolio, key.session, key.slot),
    ).fetchone()
    return row is not None


def last_session(connection: sqlite3.Connection, strategy: str, portfolio: str) -> str:
    """Return the latest session for which the book decided to trade, '' before the first."""
    (found,) = connection.execute(
        "SELECT max(session) FROM runs WHERE strategy = ? AND portfolio = ? AND traded = 1", (strategy, portfolio)
    ).fetchone()
    return str(found or "")


def last_decided(connection: sqlite3.Connection, strategy: str, portfolio: str) -> str:
    """Return the id of a book's newest run that traded, '' before the first."""
    row = connection.execute(
        "SELECT id FROM runs WHERE strategy = ? AND portfolio = ? AND traded = 1 ORDER BY number DESC LIMIT 1",
        (strategy, portfolio),
    ).fetchone()
    return "" if row is None else str(row[0])


def pending(connection: sqlite3.Connection, strategy: str, portfolio: str) -> dict[str, float]:
    """Return, by asset, the weights that a book's newest decision wanted of assets that could not be traded then.

    Assets renamed since then have their new names.
    """
    run = last_decided(connection, strategy, portfolio)
    found: dict[str, float] = {n: float(w) for n, w in decision_of(connection, run).get("pending", {}).items()}
    if not found:
        return {}
    renames = connection.execute(
        "SELECT session, asset, into_asset FROM actions WHERE kind = 'rename' AND due = ''"
        " AND session > (SELECT as_of FROM runs WHERE id = ?) ORDER BY session",
        (run,),
    )
    for _, of_session in groupby(renames.fetchall(), key=lambda r: r[0]):  # names of one session change at once
        found |= {new: found.pop(old) for _, old, new in of_session if old in found}
    return found


def decision_of(connection: sqlite3.Connection, run: str) -> dict[str, Any]:
    """Return the audited payload of a run's decision, empty without one."""
    row = connection.execute(
        "SELECT record FROM audit WHERE run = ? AND run <> '' AND event = 'run.decided'", (run,)
    ).fetchone()
    if row is None:
        return {}
    said: dict[str, Any] = json.loads(row[0])["payload"]
    return said


def opens_of(connection: sqlite3.Connection, run: str) -> datetime | None:
    """Return when the session of a run opens, as it was decided; None for a run of an older sigc, or without one."""
    row = connection.execute(
        "SELECT json_extract(record, '$.payload.opens') FROM audit"
        " WHERE run = ? AND run <> '' AND event = 'run.decided'",
        (run,),
    ).fetchone()
    return None if row is None or row[0] is None else datetime.fromisoformat(row[0])


def decided_before(connection: sqlite3.Connection, strategy: str, portfolio: str, as_of: str) -> tuple[str, str]:
    """Return (id, as-of date) of a book's newest run that traded on data older than `as_of`; two '' without one."""
    row = connection.execute(
        "SELECT id, as_of FROM runs WHERE strategy = ? AND portfolio = ? AND traded = 1 AND as_of < ?"
        " ORDER BY number DESC LIMIT 1",
        (strategy, portfolio, as_of),
    ).fetchone()
    return ("", "") if row is None else (str(row[0]), str(row[1]))


def traded_before(connection: sqlite3.Connection, strategy: str, portfolio: str, as_of: str) -> str:
    """Return the as-of date of a book's newest run that traded on data older than `as_of`, '' without one.

    A run whose orders were all denied, rejected or never sent did not trade; one that needed no order did.
    """
    row = connection.execute(
        "SELECT as_of FROM runs r WHERE strategy = ? AND portfolio = ? AND traded = 1 AND as_of < ? AND ("
        " NOT EXISTS (SELECT 1 FROM intents i WHERE i.run = r.id) OR EXISTS (SELECT 1 FROM intents i WHERE i.run = r.id"
        "  AND NOT (i.state IN ('denied', 'rejected')"
        "  OR i.state IN ('expired', 'cancelled') AND i.broker_order_id = '')))"
        " ORDER BY number DESC LIMIT 1",
        (strategy, portfolio, as_of),
    ).fetchone()
    return "" if row is None else str(row[0])


def is_of_the_past(connection: sqlite3.Connection, run: str) -> bool:
    """Return True if a run was carried out as of an earlier day: it began by another clock than the ledger's."""
    (started,) = connection.execute("SELECT started FROM runs WHERE id = ?", (run,)).fetchone()
    (at,) = connection.execute("SELECT min(at) FROM audit WHERE run = ? AND run <> ''", (run,)).fetchone()
    return at is not None and datetime.fromisoformat(at) - datetime.fromisoformat(started) > _OWN_DAY


def opened_at(connection: sqlite3.Connection, run: Run) -> datetime:
    """Return the instant at which a run was opened, by the ledger's clock; a replayed run has another one."""
    row = connection.execute(
        "SELECT min(at) FROM audit WHERE run = ? AND run <> '' AND event = 'run.opened'", (run.id,)
    ).fetchone()
    return run.started if row[0] is None else datetime.fromisoformat(row[0])


def open_trades(connection: sqlite3.Connection, strategy: str = "") -> tuple[Run, ...]:
    """Return the runs that decided and have no outcome, oldest first, of one strategy or of all."""
    left = (run for run in left_open(connection) if strategy in ("", run.key.strategy))
    return tuple(run for run in left if is_decided(connection, run.id))


def past_turnovers(connection: sqlite3.Connection, strategy: str, portfolio: str, most: int = 60) -> tuple[float, ...]:
    """Return the turnover of a book's last runs, as a share of its NAV at that time, oldest first."""
    rows = connection.execute(
        "SELECT t.ordered / CAST(n.nav AS REAL) FROM runs r"
        " CROSS JOIN run_totals t ON t.run = r.id CROSS JOIN nav n USING (strategy, portfolio)"
        " WHERE r.strategy = ? AND r.portfolio = ? AND r.traded = 1 AND n.session = r.as_of AND CAST(n.nav AS REAL) > 0"
        " ORDER BY r.number DESC LIMIT ?",
        (strategy, portfolio, most),
    )
    return tuple(float(value) for (value,) in rows)[::-1]


def mark_decided(tx: Transaction, run: Run) -> None:
    """Mark the run as decided: its key is used from now on."""
    tx.connection.execute("UPDATE runs SET traded = 1 WHERE id = ?", (run.id,))


def is_decided(connection: sqlite3.Connection, run: str) -> bool:
    """Return True if the run wrote its intents."""
    row = connection.execute("SELECT traded FROM runs WHERE id = ?", (run,)).fetchone()
    return row is not None and bool(row[0])


def is_any_decided(connection: sqlite3.Connection) -> bool:
    """Return True if any run has ever decided to trade."""
    return connection.execute("SELECT 1 FROM runs WHERE traded = 1 ORDER BY number LIMIT 1").fetchone() is not None


def add_digests(tx: Transaction, run: str, digests: Mapping[str, str]) -> None:
    """Add digests of a run's inputs and results, by name."""
    (known,) = tx.connection.execute("SELECT digests FROM runs WHERE id = ?", (run,)).fetchone()
    tx.connection.execute("UPDATE runs SET digests = ? WHERE id = ?", (canonical(json.loads(known) | digests), run))


def add_stage(tx: Transaction, run: Run, stage: RunStage) -> None:
    """Store the result of a stage; replace it if the stage was resumed after a crash."""
    findings = [_plain(f) for f in stage.findings]
    tx.connection.execute(
        "INSERT INTO stages (run, name, started, seconds, outcome, findings) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (run, name) DO UPDATE SET started = excluded.started, seconds = excluded.seconds,"
        " outcome = excluded.outcome, findings = excluded.findings",
        (run.id, stage.name, stage.started.isoformat(), stage.seconds, stage.outcome, tx.hide(json.dumps(findings))),
    )
    loud = [f for f in findings if f["weight"] != Severity.INFO]
    tx.audit(event("run.stage", run, {"stage": stage.name, "outcome": stage.outcome, "findings": loud}))


def close_run(tx: Transaction, run: Run, at: datetime, outcome: Outcome, message: str) -> None:
    """Store the outcome of a run."""
    tx.connection.execute(
        "UPDATE runs SET outcome = ?, message = ?, finished = ? WHERE id = ?",
        (outcome, tx.hide(message), at.isoformat(), run.id),
    )
    tx.audit(event("run.closed", run, {"outcome": outcome, "message": message}))


def event(name: str, run: Run, payload: Mapping[str, object]) -> AuditEvent:
    """Return an audit event of a run."""
    return AuditEvent(name, payload, run=run.id, strategy=run.key.strategy, portfolio=run.key.portfolio, who=run.who)


def find(connection: sqlite3.Connection, id: str) -> Run:
    """Return the run of that id, or of a unique prefix of it. Raise SigcError E312."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",  # noqa: S608
        (id, f"{id}{chr(sys.maxunicode)}"),  # all ids with that prefix; the id itself comes first
    ).fetchall()
    if id and rows and (rows[0][0] == id or len(rows) == 1):
        return _run(rows[0])
    what = f"several runs begin with '{id}'" if rows and id else f"there is no run '{id}'"
    raise SigcError(Diagnostic("E312", what, hint="`sigc runs list` shows them"))


def left_open(connection: sqlite3.Connection) -> tuple[Run, ...]:
    """Return the runs without an outcome, oldest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM runs WHERE outcome = 'open' ORDER BY number")  # noqa: S608
    return tuple(_run(row) for row in rows)


def recent(connection: sqlite3.Connection, most: int = 50, strategy: str = "", portfolio: str = "") -> tuple[Run, ...]:
    """Return the newest runs, newest first, of one strategy and portfolio if given."""
    where, values = conditions({"strategy = ?": strategy, "portfolio = ?": portfolio})
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE 1{where} ORDER BY number DESC LIMIT ?",  # noqa: S608
        (*values, most),
    )
    return tuple(_run(row) for row in rows)


def of_last_sessions(connection: sqlite3.Connection, strategy: str, portfolio: str, number: int = 2) -> tuple[Run, ...]:
    """Return the trades of a book for the newest sessions that it traded for, newest session first."""
    found: list[Run] = []
    before = "~"  # after every date
    for _ in range(number):
        row = connection.execute(
            "SELECT session FROM runs WHERE strategy = ? AND portfolio = ? AND session < ? AND kind = 'trade'"
            " ORDER BY session DESC LIMIT 1",
            (strategy, portfolio, before),
        ).fetchone()
        if row is None:
            break
        (before,) = row
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE strategy = ? AND portfolio = ? AND session = ? AND kind = 'trade'"  # noqa: S608
            " ORDER BY +number DESC",
            (strategy, portfolio, before),
        )
        found += [_run(each) for each in rows]
    return tuple(found)


def of_session(connection: sqlite3.Connection, strategy: str, session: str) -> tuple[Run, ...]:
    """Return the runs of a strategy for a session, of all its portfolios, oldest first."""
    found: list[Run] = []
    portfolio: str | None = ""
    while portfolio is not None:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE strategy = ? AND portfolio = ? AND session = ?",  # noqa: S608
            (strategy, portfolio, session),
        )
        found += [_run(row) for row in rows]
        # Seek the next portfolio in the index: one look-up for each, however many runs it has.
        (portfolio,) = connection.execute(
            "SELECT min(portfolio) FROM runs WHERE strategy = ? AND portfolio > ?", (strategy, portfolio)
        ).fetchone()
    return tuple(sorted(found, key=lambda run: (run.started, run.id)))


def last_session_of(connection: sqlite3.Connection, strategy: str, *, with_dry: bool = False) -> str:
    """Return the session of a strategy's newest trade (with_dry: or dry run), '' before the first."""
    only = "" if with_dry else " AND kind <> 'dry'"
    row = connection.execute(
        f"SELECT session FROM runs WHERE strategy = ?{only} ORDER BY number DESC LIMIT 1",  # noqa: S608
        (strategy,),
    ).fetchone()
    return "" if row is None else str(row[0])


def stages_of(connection: sqlite3.Connection, run: str) -> tuple[RunStage, ...]:
    """Return the stages of a run, in order."""
    rows = connection.execute("SELECT name, started, seconds, outcome, findings FROM stages WHERE run = ?", (run,))
    found = {
        StageName(name): RunStage(
            run, StageName(name), datetime.fromisoformat(at), seconds, outcome, _findings(json.loads(findings))
        )
        for name, at, seconds, outcome, findings in rows
    }
    return tuple(found[name] for name in StageName if name in found)


def limits_of(connection: sqlite3.Connection, run: str) -> dict[str, object]:
    """Return the limits that a run was opened with."""
    (text,) = connection.execute("SELECT limits FROM runs WHERE id = ?", (run,)).fetchone()
    found: dict[str, object] = json.loads(text)
    return found


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "weight": str(finding.severity),  # the word of ledgers since the first version
        "message": finding.message,
        "assets": list(finding.assets),
        # JSON has no NaN or infinity: such a value stands in the message.
        "value": finding.value if finding.value is None or abs(finding.value) < float("inf") else None,
        "limit": finding.limit if finding.limit is None or abs(finding.limit) < float("inf") else None,
    }


def _findings(stored: list[dict[str, Any]]) -> tuple[Finding, ...]:
    return tuple(
        Finding(f["check"], Severity(f["weight"]), f["message"], tuple(f["assets"]), f["value"], f["limit"])
        for f in stored
    )


def _run(row: tuple[object, ...]) -> Run:
    id, strategy, portfolio, session, kind, slot, as_of, revision, started, who, reason, broker, *rest = row
    cut_off, finished, outcome, message, digests = rest
    return Run(
        id=str(id),
        key=RunKey(str(strategy), str(portfolio), str(session), RunKind(str(kind)), str(slot)),
        as_of=str(as_of),
        revision=int(str(revision)),
        started=datetime.fromisoformat(str(started)),
        who=str(who),
        reason=str(reason),
        broker=str(broker),
        cut_off=None if cut_off is None else datetime.fromisoformat(str(cut_off)),
        finished=None if finished is None else datetime.fromisoformat(str(finished)),
        outcome=Outcome(str(outcome)),
        message=str(message),
        digests=json.loads(str(digests)),
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
