"""`sigc data accept ASSET DATE`: acceptance of a held-back price by a person."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import click

from sigc_cli.daemon_call import which
from sigc_cli.options import JSON, WORK_DIR


@click.group(short_help="Accept a price that is held back.")
def command() -> None:
    """Decide about data: accept a price that is held back."""


@command.command()
@click.argument("asset")
@click.argument("day", metavar="DATE")
@click.option("--reason", required=True, help="Reason, kept in the audit with your name.")
@JSON
@WORK_DIR
@which
def accept(
    asset: str,
    day: str,
    reason: str,
    as_json: bool,
    work_dir: Path | None,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Accept the price of ASSET on DATE, though it jumps or looks like a split: runs trade on it from then.

    It is kept in the ledger, by the daemon when one answers. A split is better declared as a corporate action.
    """
    from sigc.errors import Diagnostic, SigcError
    from sigc.rpc.client import NoDaemonError
    from sigc.rpc.messages.page import AcceptReply
    from sigc_cli.daemon_call import daemon

    try:
        day = str(date.fromisoformat(day))
    except ValueError:
        raise SigcError(Diagnostic("E500", f"invalid date '{day}'", hint="such as 2024-01-15")) from None
    if work_dir is None:
        try:
            with daemon(config, address, name) as client:
                reply = client.post("data/accept", {"asset": asset, "day": day, "reason": reason}, reply=AcceptReply)
            _tell(asset, day, is_known=reply.is_known, as_json=as_json)
            return
        except NoDaemonError as gone:
            if not gone.is_refused or address is not None:
                raise
    is_known = _here(asset, day, reason, config, work_dir, name)
    _tell(asset, day, is_known=is_known, as_json=as_json)


def _tell(asset: str, day: str, *, is_known: bool, as_json: bool) -> None:
    told = {"asset": asset, "day": day, "is_known": is_known}
    click.echo(json.dumps(told) if as_json else f"the price of {asset} on {day} is accepted")
    if not is_known:
        click.echo(f"warning: no book has traded '{asset}': is it the name that the data have?", err=True)


def _here(asset: str, day: str, reason: str, config: Path | None, work_dir: Path | None, name: str | None) -> bool:
    """Write it into the ledger of the work dir; True if a book there has traded the asset. Raises E310, E311."""
    from sigc.clock import SystemClock
    from sigc.store.ledger import books, control
    from sigc.store.ledger.ledger import Ledger
    from sigc_cli.assembly.workdir import work_dir as place_of
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.assembly.trading import sign_of, user

    loaded = configuration(Choices(config=config))
    place = place_of(loaded, work_dir, name)
    with (
        Ledger.open(place, SystemClock(), sign=sign_of(loaded.config)) as ledger,
        ledger.transaction("control") as tx,
    ):
        control.accept_price(tx, asset, day, user(), reason)
        return books.has_traded(tx.connection, asset)
