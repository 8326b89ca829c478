"""Options shared by several commands, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sigc_cli.shell_completion import daemons

if TYPE_CHECKING:
    from sigc_pipelines.assembly.parts import Choices

F = TypeVar("F", bound=Callable[..., Any])

STRATEGY = click.argument("file", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print data as JSON.")
SOURCE_OPTIONS = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the source, as in a strategy: -o symbol=SPY.",
)
PARAMS = click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a parameter.")
CONFIG = click.option("--config", type=click.Path(path_type=Path), help="Configuration file.")

NAMED = "sigc_cli.name"  # where the context keeps --name of a command that reads the ledger


def _remember(context: click.Context, _: click.Parameter, value: str | None) -> None:
    context.meta[NAMED] = value


WORK_DIR = click.option(
    "--work-dir", type=click.Path(path_type=Path), help="Folder of the ledger (default: daemon.work_dir)."
)


def ledger_options(command: F) -> F:
    """Add the options of commands that read a ledger: --config, --name, --work-dir.

    The name is no argument of the command: `sigc_cli.assembly.workdir` finds it in the context.
    """
    name = click.option(
        "--name",
        metavar="NAME",
        expose_value=False,
        is_eager=True,
        callback=_remember,
        shell_complete=daemons,
        help="The ledger of the daemon of that name.",
    )
    for option in (WORK_DIR, name, CONFIG):
        command = option(command)
    return command


def work(command: F) -> F:
    """Add the options of commands that compute: --config, --engine, --threads, --no-cache."""
    for option in (
        click.option("--no-cache", is_flag=True, help="Keep nothing on disk."),
        click.option("--threads", type=click.IntRange(0), default=0, help="Threads in this process (0: all CPUs)."),
        click.option(
            "--engine",
            type=click.Choice(["auto", "local", "dask"]),
            default="auto",
            show_default=True,
            help="Threads of this process, or the configured cluster.",
        ),
        CONFIG,
    ):
        command = option(command)
    return command


def choices(config: Path | None, engine: str, threads: int, no_cache: bool) -> Choices:
    """Return the values of the `work` options as one value."""
    from sigc_pipelines.assembly.parts import Choices  # more than a control verb needs

    return Choices(config=config, engine=engine, threads=threads, cache=not no_cache, alone=True)
