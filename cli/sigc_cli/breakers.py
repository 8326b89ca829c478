"""Circuit breakers from the command line: as the daemon says, else by ledger and configuration in this process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc.errors import SigcError
from sigc.rpc.client import Client, NoDaemonError, RefusedError
from sigc.rpc.messages.breakers import (
    BreakerResetReply,
    BreakerResetRequest,
    BreakersReply,
    BreakerStatus,
    BreakerTrial,
    BreakerTrialReply,
)
from sigc.words import local_time
from sigc_cli.halting import StopPlace, be_owner_of, who
from sigc_cli.text.daemon_text import table

if TYPE_CHECKING:
    from sigc.config.settings import Config


def standing(place: StopPlace) -> tuple[BreakerStatus, ...]:
    """Return every breaker as it stands. Raise SigcError."""
    if place.target is not None:
        try:
            with Client(place.target, place.patience_s) as client:
                return client.get("safety/breakers", reply=BreakersReply).breakers
        except (NoDaemonError, RefusedError):
            if not place.is_here:
                raise
    return _standing_here(place)


def trials(place: StopPlace, name: str, strategy: str | None) -> tuple[BreakerTrial, ...]:
    """Return what a breaker would do if it tripped now. Raise SigcError: E901 for an unknown one."""
    if place.target is not None:
        try:
            with Client(place.target) as client:
                fields = {"breaker": name} | ({} if strategy is None else {"strategy": strategy})
                return client.get("safety/test", fields, reply=BreakerTrialReply).trials
        except NoDaemonError as gone:
            if not gone.is_refused or not place.is_here:
                raise
    from sigc.clock import SystemClock
    from sigc.daemon import breaker_view
    from sigc.store.ledger.ledger import Ledger

    config = _ready(place)
    with Ledger.open(place.work_dir, SystemClock()) as ledger:
        return breaker_view.trials(ledger, config.safety, name, strategy or "")


def reset(place: StopPlace, name: str, strategy: str | None, reason: str) -> BreakerResetReply:
    """Reset a tripped breaker. Raise SigcError: E901 for an unknown one, or without a reason."""
    if place.target is not None:
        try:
            with Client(place.target) as client:
                return client.post("safety/reset", BreakerResetRequest(name, reason, strategy), reply=BreakerResetReply)
        except NoDaemonError as gone:
            if not gone.is_refused or not place.is_here:
                raise
    from sigc.clock import SystemClock
    from sigc.daemon import breaker_view
    from sigc.daemon.ordering import refusal
    from sigc.store.history import breaker_standing
    from sigc.store.ledger.ledger import Ledger
    from sigc_pipelines.assembly.trading import sign_of

    if not reason.strip():
        raise refusal("the reset of a breaker needs a reason", "say why")
    config = _ready(place)
    if config.safety.four_eyes:
        raise refusal("two must want the reset of a breaker (safety.four_eyes)", "start the daemon, and ask it")
    with Ledger.open(place.work_dir, SystemClock(), sign=sign_of(config)) as ledger:
        with ledger.transaction("control") as tx:
            found = breaker_standing.reset(tx, config.safety, name, strategy or "", who(), reason)
        with ledger.reading() as connection:
            now = breaker_view.statuses(connection, config.safety)
    return BreakerResetReply(tuple(one.strategy for one in found), tuple(o for o in now if o.since is not None))


def breakers_text(found: Iterable[BreakerStatus], zone: str) -> str:
    """Return the breakers as a table, with a sentence for each that is not fine.

    >>> breakers_text([], "UTC")
    'no circuit breaker is configured'
    """
    known = tuple(found)
    if not known:
        return "no circuit breaker is configured"
    rows = [("breaker", "of", "measures", "value", "threshold", "action", "state")]
    rows += [
        (
            one.name,
            one.strategy or "all books",
            one.type + (f" {one.window}d" if one.window else ""),
            _number(one, one.value),
            _number(one, one.threshold),
            one.action,
            one.state + (f" since {local_time(one.since, zone)}" if one.since is not None else ""),
        )
        for one in known
    ]
    lines = [table(rows)]
    doubted = (one for one in known if one.why and one.state != "too little history")
    lines += [f"{one.name} of {one.strategy or 'all books'}: {one.why}{_pause(one, zone)}" for one in doubted]
    if any(one.since is not None for one in known):
        lines.append("a tripped breaker holds until: sigc safety reset BREAKER --reason '...'")
    return "\n".join(lines)


def trials_text(found: Iterable[BreakerTrial]) -> str:
    """Return trials as text: each breaker as it stands, then what it would do."""
    lines = []
    for one in found:
        now, of = one.now, one.now.strategy or "all books"
        value = f"{_number(now, now.value)} of {_number(now, now.threshold)}"
        at = f" at the close of {now.session}" if now.session else ""
        lines.append(f"{now.name} of {of}: {value}{at} ({now.state}). If it tripped now:")
        lines += [f"  {effect}" for effect in one.effects]
    return "\n".join([*lines, "nothing was changed"]) if lines else "no book is open yet: there is nothing to judge"


def reset_text(name: str, reply: BreakerResetReply) -> str:
    """Return a reset as text."""
    if not reply.reset:
        return f"the breaker {name} was not tripped"
    whose = ", ".join(strategy or "all books" for strategy in reply.reset)
    return f"the breaker {name} of {whose} is reset: it is judged from the newest close on"


def _pause(one: BreakerStatus, zone: str) -> str:
    return "" if one.until is None else f" (no run begins until {local_time(one.until, zone)})"


def _number(one: BreakerStatus, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if one.type == "streak" else f"{100 * value:.2f} %"


def _ready(place: StopPlace) -> Config:
    click.echo(f"no daemon answers: done in this process, with the ledger of {place.work_dir}", err=True)
    be_owner_of(place.work_dir)
    return _configured(place.config)


def _configured(config: Path | None) -> Config:
    from sigc_pipelines.assembly.parts import Choices, configuration

    return configuration(Choices(config=config)).config


def _standing_here(place: StopPlace) -> tuple[BreakerStatus, ...]:
    from contextlib import closing

    from sigc.daemon import breaker_view
    from sigc.store.ledger.connection import FILE, connect_reader, told

    path = place.work_dir / FILE
    if not path.is_file():
        return ()
    try:
        limits = _configured(place.config).safety
        with told(path), closing(connect_reader(path)) as connection:
            return breaker_view.statuses(connection, limits)
    except SigcError as broken:
        click.echo(f"warning: the breakers are not known: {broken}", err=True)
        return ()
