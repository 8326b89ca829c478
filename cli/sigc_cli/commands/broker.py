"""`sigc broker check`: reads of the configured broker alone; or, with --with-orders, one share bought and sold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import JSON, ledger_options

if TYPE_CHECKING:
    from sigc.config.check import LoadedConfig
    from sigc_pipelines.brokers.protocol import Capabilities

_IS_LEFT, _CAN_NOT_TRADE = 7, 8


@click.group(short_help="Ask the configured broker what it is, holds and takes.")
def command() -> None:
    """Ask the configured broker."""


@command.command()
@click.option("--with-orders", "asset", default="", metavar="ASSET", help="Buy one share of ASSET, and sell it again.")
@click.option("--limit", default="", metavar="PRICE", help="The most that is paid for it.")
@click.option("--reason", default="a trial of the broker", show_default=True, help="Reason, kept with the orders.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@JSON
@ledger_options
def check(
    asset: str, limit: str, reason: str, yes: bool, as_json: bool, config: Path | None, work_dir: Path | None
) -> None:
    """Ask the broker for its clock, the account, positions and open orders, and say which orders it takes.

    Says LIVE or PAPER first. Reads only: no order is sent, and the ledger is not touched; a daemon may run beside it.
    With --with-orders and --limit, one share is bought at most at that price and sold at the market, through the ledger
    of the work dir, in the book `check`: no daemon may run, nothing be halted, and the market must be open.
    Exit 6 for a configuration that can't work, 7 if the broker does not answer or something is left, 8 if the account
    can't trade or the orders were not filled.
    """
    from sigc.clock import SystemClock
    from sigc_cli.assembly.workdir import work_dir as place_of
    from sigc_cli.daemon_call import print_json
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.brokers.registry import close_broker, open_broker
    from sigc_pipelines.service.broker_told import plain_of, rows_of, told_by

    loaded = configuration(Choices(config=config))
    settings, clock = loaded.config, SystemClock()
    place = place_of(loaded, work_dir)
    ways = settings.daemon.connections
    broker = open_broker(settings.broker, place, clock, connections=ways, execution=settings.execution)
    try:
        told = told_by(broker, clock)
    finally:
        close_broker(broker)
    if as_json:
        print_json(plain_of(told))
    else:
        for name, text in rows_of(told):
            click.echo(f"{name:<12} {text}")
        for problem in told.problems:
            click.echo(f"FAIL         {problem}")
    if told.problems:
        raise SystemExit(_CAN_NOT_TRADE)
    if asset:
        _try(asset, limit, reason, told.can, place, loaded, is_sure=yes, as_json=as_json)


def _try(
    asset: str,
    limit: str,
    reason: str,
    can: Capabilities,
    place: Path,
    loaded: LoadedConfig,
    *,
    is_sure: bool,
    as_json: bool,
) -> None:
    from sigc.errors import Diagnostic, SigcError
    from sigc_cli.book_changes import amount_of
    from sigc_cli.daemon_call import print_json
    from sigc_cli.killing import says_yes
    from sigc_cli.text.run_view import render
    from sigc_pipelines.assembly.trading import TradeOptions, trading, user
    from sigc_pipelines.service.broker_trial import plain_of, rows_of, try_orders

    if not limit:
        raise click.UsageError("--with-orders needs --limit PRICE, the most that is paid")
    most, money = amount_of(limit), "REAL MONEY" if can.is_live else "no real money"
    if not is_sure and not says_yes(
        f"Buy one share of {asset} at {can.name} ({money}), at most at {most}, and sell it?"
    ):
        raise SigcError(Diagnostic("E901", "nothing was ordered: nobody said yes", hint="say --yes"))
    with trading(loaded.config, place, TradeOptions(), render) as (desk, _):
        done = try_orders(desk, asset, most, user(), reason)
    if as_json:
        print_json(plain_of(done))
    else:
        for name, text in rows_of(done):
            click.echo(f"{name:<12} {text}")
    if done.left:
        raise SystemExit(_IS_LEFT)
    if not done.is_done:
        raise SystemExit(_CAN_NOT_TRADE)
