"""`sigc alerts status | list | ack | resolve | test`: alerts sent to operators, and the channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from sigc.rpc.discovery import zone_here
from sigc.words import local_time
from sigc_cli.daemon_call import daemon, print_json, which
from sigc_cli.options import JSON

if TYPE_CHECKING:
    import sqlite3

    from sigc.config.settings import Config
    from sigc.rpc.client import Client
    from sigc.rpc.messages.alerts import AlertLine, AlertStatusReply

R = TypeVar("R")
REASON = click.option("--reason", default="", help="Reason, kept with the alert.")


@click.group(short_help="Look at alerts, acknowledge them, test the channels.")
def command() -> None:
    """Look at alerts, acknowledge and resolve them, test the channels."""


@command.command()
@JSON
@which
def status(as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Count the alerts that are not resolved, and what each channel has yet to take."""
    from sigc.rpc.messages.alerts import AlertStatusReply

    def by_hand(connection: sqlite3.Connection, settings: Config) -> AlertStatusReply:
        from sigc.daemon.verbs.alert import status_of

        return status_of(connection, settings.alerts.channels)

    found = _look(lambda c: c.get("alerts/status", reply=AlertStatusReply), by_hand, (config, address, name))
    if as_json:
        print_json(found)
    else:
        click.echo(_status_text(found, zone_here(config)))


@command.command("list")
@click.option("--all", "with_resolved", is_flag=True, help="List resolved alerts too.")
@click.option("-n", "most", type=click.IntRange(1, 1000), default=50, show_default=True, help="Number of entries.")
@JSON
@which
def list_(
    with_resolved: bool, most: int, as_json: bool, address: str | None, name: str | None, config: Path | None
) -> None:
    """List alerts, the newest first."""
    from sigc.rpc.messages.alerts import AlertsReply, AlertsRequest

    wanted = AlertsRequest(most, with_resolved)

    def by_hand(connection: sqlite3.Connection, _: Config) -> AlertsReply:
        from sigc.daemon.verbs.alert import listed

        return listed(connection, wanted)

    query = {"most": most, "with_resolved": with_resolved}
    found = _look(lambda c: c.get("alerts/list", query, reply=AlertsReply), by_hand, (config, address, name))
    if as_json:
        print_json(found)
    else:
        zone = zone_here(config)
        click.echo("\n\n".join(_alert_text(one, zone) for one in found.alerts) or "no alerts")


@command.command()
@click.argument("id", type=click.IntRange(1))
@REASON
@JSON
@which
def ack(id: int, reason: str, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Acknowledge the alert ID."""
    _change("ack", id, reason, as_json, (config, address, name))


@command.command()
@click.argument("id", type=click.IntRange(1))
@REASON
@JSON
@which
def resolve(id: int, reason: str, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Resolve the alert ID and notify the channels."""
    _change("resolve", id, reason, as_json, (config, address, name))


@command.command()
@click.argument("channel", required=False)
@JSON
@which
@click.pass_context
def test(
    ctx: click.Context,
    channel: str | None,
    as_json: bool,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Send a test message over CHANNEL, or over all; exit 1 when one does not take it."""
    from sigc.rpc.messages.alerts import AlertTestReply, AlertTestRequest

    with daemon(config, address, name, timeout_s=310.0) as client:
        found = client.post("alerts/test", AlertTestRequest(channel), reply=AlertTestReply)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(f"{one}: {said}" for one, said in found.found.items()))
    ctx.exit(0 if all(said == "ok" for said in found.found.values()) else 1)


def _look(
    ask: Callable[[Client], R],
    by_hand: Callable[[sqlite3.Connection, Config], R],
    target: tuple[Path | None, str | None, str | None],
) -> R:
    """Ask the daemon; if none runs, read the ledger of the configuration and say so."""
    from sigc_cli.daemon_or_ledger import from_daemon, ledger_of

    found = from_daemon(target, None, ask)
    if found is not None:
        return found
    with ledger_of(target, None) as (connection, _, loaded):
        return by_hand(connection, loaded.config)


def _change(verb: str, id: int, reason: str, as_json: bool, target: tuple[Path | None, str | None, str | None]) -> None:
    from sigc.rpc.messages.alerts import AlertReply, AlertRequest

    with daemon(*target) as client:
        found = client.post(f"alerts/{verb}", AlertRequest(id, reason), reply=AlertReply)
    if as_json:
        print_json(found)
        return
    alert = found.alert
    by = f" by {alert.who}" if alert.who else ""
    click.echo(f"alert {alert.id} {'is' if found.is_changed else 'was already'} {alert.state}{by}")


def _status_text(found: AlertStatusReply, zone: str) -> str:
    from sigc_pipelines.text.table import table

    counts = ", ".join(f"{number} {severity}" for severity, number in list(found.open.items())[::-1] if number)
    lines = [f"open alerts: {counts or 'none'}"]
    if not found.channels:
        return "\n".join([*lines, "no channel is configured (alerts.channels): alerts are sent to nobody"])
    rows = [("channel", "type", "undelivered", "since", "last error")]
    for one in found.channels:
        since = local_time(one.oldest, zone) if one.oldest is not None else "-"
        rows.append((one.name, one.type, str(one.undelivered), since, one.error[:100] or "-"))
    return "\n".join([*lines, table(rows)])


def _alert_text(alert: AlertLine, zone: str) -> str:
    again = f", told again {alert.repeats} {'time' if alert.repeats == 1 else 'times'}" if alert.repeats else ""
    by = f" by {alert.who}" if alert.who else ""
    why = f": {alert.reason}" if alert.reason else ""
    head = f"{alert.id}  {local_time(alert.at, zone)}  {alert.severity}  {alert.title}"
    text = "\n".join(f"    {line}" for line in alert.text.splitlines())
    return f"{head}\n{text}\n    {alert.state}{by}{why}{again}  (rule {alert.rule})"
