"""Reloading: a new configuration is checked as a whole, then put in force at once; on an error the old one stays.

    plan     return what would change
    reload   read, check every strategy file and calendar, audit, swap; runs under way finish on the old one

Tokens, from the configuration or the token file, are replaced at once: removed ones are invalid from then on.
Settings that are used only at the start (addresses, certificate, places, the cluster) need a restart; the reply names
them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sigc.config.secret import hidden
from sigc.daemon import four_eyes
from sigc.daemon.configured.calendars import open_calendars
from sigc.daemon.configured.configured import Configured
from sigc.daemon.controller import Controller, InForce
from sigc.daemon.lifecycle.boot import limit_processors, make_in_force
from sigc.daemon.lifecycle.start import MAIN, log_settings, read_config, read_tokens
from sigc.daemon.ordering import refusal
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.host.logs import open_log
from sigc.rpc.access import AccessToken
from sigc.rpc.messages.requests import Change, ReloadReply
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import books as ledger_books

_NEEDS_RESTART = (
    "daemon.rpc.address",
    "daemon.rpc.auth",
    "daemon.rpc.hosts",
    "daemon.rpc.tls",
    "daemon.health.enabled",
    "daemon.health.host",
    "daemon.health.port",
    "daemon.metrics.",
    "daemon.dashboard.",
    "daemon.recovery.",
    "daemon.pid_file",
    "daemon.work_dir",
    "daemon.max_runs",
    "cluster.",
    "audit.",
)
log = logging.getLogger("sigc.daemon")


async def plan(daemon: Controller) -> ReloadReply:
    """Return the changes of a reload. Raise every error of the configuration and of the strategy files."""
    found = await asyncio.to_thread(read_config, daemon.start.options, os.environ)
    daemon.doors.secrets.add_all(found.loaded.secrets)
    tokens = await asyncio.to_thread(_tokens, daemon, found)
    new = await make_in_force(daemon, found)
    await asyncio.to_thread(new.runner.close)
    told = (*changes(daemon.in_force, new), *token_changes(daemon.doors.access.tokens, tokens))
    return ReloadReply(told, False, (*_warnings(new), *await _idle_capital(daemon, daemon.in_force, new)))


class RaisedLimitsError(SigcError):
    """A reload that raises limits, where a second token must confirm that; its text names them."""

    def __init__(self, names: str) -> None:
        hint = "type `sigc reload`: another token confirms it then"
        super().__init__(Diagnostic("E901", f"it raises {names}, which two must want (safety.four_eyes)", hint=hint))
        self.names = names

    def __str__(self) -> str:
        return self.names


async def reload(daemon: Controller, who: str, *, confirmed: str = "") -> ReloadReply:
    """Put the configuration of the file in force. Raise every error of it; then nothing has changed.

    confirmed: the text of a RaisedLimitsError that a second token has confirmed. Raise it where that is needed.
    """
    if not daemon.is_ready:
        raise refusal(f"the daemon is {daemon.phase}: {daemon.why}")
    async with daemon.reloading:
        daemon.notifier.reloading()
        try:
            return await _reload(daemon, who, confirmed=confirmed)
        finally:
            daemon.notifier.ready(f"{len(daemon.configured.strategies)} strategies")


async def _reload(daemon: Controller, who: str, *, confirmed: str) -> ReloadReply:
    found = await asyncio.to_thread(read_config, daemon.start.options, os.environ)
    before = daemon.configured.loaded.config
    if before.safety.four_eyes and (more := ", ".join(four_eyes.raised(before, found.loaded.config))):
        # Of this very text: what is confirmed is what was asked for.
        raised = f"{more} (configuration {found.digest[:8]})"
        if raised != confirmed:
            raise RaisedLimitsError(raised)
    daemon.doors.secrets.add_all(found.loaded.secrets)
    work_dir, now = daemon.start.places.work_dir, daemon.clock.now()
    calendars = await asyncio.to_thread(open_calendars, found, work_dir, now)
    tokens = await asyncio.to_thread(_tokens, daemon, found)
    new = await make_in_force(daemon, found)
    told = (*changes(daemon.in_force, new), *token_changes(daemon.doors.access.tokens, tokens))
    files = {one.strategy: one.digest for one in new.checked}
    findings = (*_warnings(new), *await _idle_capital(daemon, daemon.in_force, new))
    payload = {"changes": [_plain(change) for change in told], "digest": found.digest, "files": files}
    try:
        # Everything that may fail comes before the swap, and the audit is on disk before anything changes.
        await asyncio.to_thread(new.runner.put_in_force)
        await daemon.books.audit(AuditEvent("config.reloaded", payload, who=who))
        open_log(log_settings(found.loaded.config, work_dir, daemon.start.options.is_background), daemon.doors.secrets)
    except BaseException:
        await asyncio.to_thread(new.runner.close)
        raise
    daemon.calendars = calendars
    daemon.quota = await asyncio.to_thread(limit_processors, found.loaded.config, daemon.quota)
    daemon.put_in_force(new)
    daemon.doors.access.tokens = tokens
    await daemon.timetable.adopt(found.jobs, calendars, daemon.decided)
    log.info("configuration reloaded", extra={"changes": len(told), "who": who})
    daemon.changed.set()
    return ReloadReply(told, True, findings)


def _tokens(daemon: Controller, found: Configured) -> tuple[AccessToken, ...]:
    return read_tokens(found.loaded.config, daemon.start.places, daemon.doors.secrets, os.environ)


def token_changes(old: Iterable[AccessToken], new: Iterable[AccessToken]) -> Iterator[Change]:
    """Yield the tokens whose text changed; the settings' changes name those added, removed or with another role."""
    before = {token.name: token.digest for token in old}
    for token in new:
        if before.get(token.name, token.digest) != token.digest:
            what = "daemon.rpc.token" if token.name == MAIN else f"daemon.rpc.tokens.{token.name}.token"
            yield Change(what, "changed", "one", "another")


def changes(old: InForce, new: InForce) -> Iterator[Change]:
    """Yield the differences: settings, strategies, jobs, and texts of strategy files. Secrets are hidden."""
    one, two = (dict(_flat(f.configured.loaded.config.model_dump(mode="json", by_alias=True))) for f in (old, new))
    secrets = old.configured.loaded.secrets | new.configured.loaded.secrets
    for key in sorted(one.keys() | two.keys()):
        before, after = one.get(key), two.get(key)
        if before != after:
            kind = "added" if before is None else "removed" if after is None else "changed"
            shown = (_text(hidden(before, secrets)), _text(hidden(after, secrets)))
            yield Change(key, kind, *shown, key.startswith(_NEEDS_RESTART))
    texts = {found.strategy: found.digest for found in old.checked}
    for found in new.checked:
        before = texts.get(found.strategy, found.digest)
        if before != found.digest:
            yield Change(f"strategies.{found.strategy}.text", "changed", before[:12], found.digest[:12])


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting with its dotted key; strategies and jobs by their names."""
    for key, value in data.items():
        here = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{here}.")
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) and "name" in v for v in value):
            for entry in value:
                yield f"{here}.{entry['name']}", entry
        else:
            yield here, value


def _text(value: Any) -> str:
    return "" if value is None else json.dumps(value, sort_keys=True)


def _plain(change: Change) -> dict[str, Any]:
    return {"what": change.what, "kind": change.kind, "before": change.before, "after": change.after}


def _warnings(new: InForce) -> tuple[Diagnostic, ...]:
    return (*new.configured.loaded.findings, *(problem for one in new.checked for problem in one.problems))


async def _idle_capital(daemon: Controller, old: InForce, new: InForce) -> tuple[Diagnostic, ...]:
    """Return a warning for each changed capital of a strategy whose book is open: it does nothing."""
    opened = {book.key.strategy for book in await daemon.books.read(ledger_books.books)}
    before, after = _capitals(old), _capitals(new)
    return tuple(
        Diagnostic(
            "W008",
            f"the capital of '{name}' is {after[name]:,.2f} now, which does nothing: its book is open",
            severity=Severity.WARNING,
            hint=f"sigc book {'deposit' if more > 0 else 'withdraw'} {name} {abs(more):.2f} --reason '...'",
        )
        for name in sorted(opened & before.keys() & after.keys())
        if (more := after[name] - before[name])
    )


def _capitals(one: InForce) -> dict[str, float]:
    default = one.configured.loaded.config.execution.capital
    return {s.name: s.capital or default for s in one.configured.strategies}
