"""`sigc broker check`: what the configured broker says, by reads alone."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.options import JSON, ledger_options

_CAN_NOT_TRADE = 8


@click.group(short_help="Ask the configured broker what it is, holds and takes.")
def command() -> None:
    """Ask the configured broker."""


@command.command()
@JSON
@ledger_options
def check(as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """Ask the broker for its clock, the account, positions and open orders, and say which orders it takes.

    Says LIVE or PAPER first. Reads only: no order is sent, and the ledger is not touched; a daemon may run beside it.
    Exit 6 for a configuration that can't work, 7 if the broker does not answer, 8 if the account can't trade.
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
