"""Options that several commands share, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sigc_cli.build import Choices

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

WORK_DIR = click.option("--work-dir", type=click.Path(path_type=Path), help="Where the ledger is (daemon.work_dir).")


def work(command: F) -> F:
    """Options of commands that compute: --config, --engine, --threads, --no-cache."""
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
    """The values of `work` as one."""
    from sigc_cli.build import Choices  # more than a control verb needs

    return Choices(config=config, engine=engine, threads=threads, cache=not no_cache, alone=True)
