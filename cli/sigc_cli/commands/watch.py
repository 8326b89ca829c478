"""`sigc watch`: watch a daemon from another machine, and alert when it is gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import click

from sigc_cli.daemon_call import which


@click.command(short_help="Watch a daemon from another machine, and alert when it is gone.")
@which
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), help="File that remembers sent alerts.")
@click.option(
    "--every", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="Seconds between looks."
)
@click.option(
    "--patience",
    type=click.FloatRange(0, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds that a fault must last before an alert; longer than a restart takes.",
)
@click.option("--once", is_flag=True, help="Check once; exit 1 when something is wrong.")
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    address: str | None,
    name: str | None,
    state: Path | None,
    every: float,
    patience: float,
    once: bool,
) -> None:
    """Look at a daemon from elsewhere, and alert when it is gone, not ready, late, or its certificate runs out.

    Runs until SIGTERM or Ctrl-C (exit 0). Exit 6: the configuration, or no channel; 12: another watch has the state.
    Channels, routes, address and token are those of the configuration file.
    """
    from sigc.clock import SystemClock
    from sigc.config.check import load_config
    from sigc.daemon.watch.watch_state import owned
    from sigc.daemon.watch.watcher import WatchedDaemon, Watcher
    from sigc.rpc.discovery import DaemonOptions, wish_of

    asked = DaemonOptions(config, address, name)
    settings = load_config(config, os.environ).config.alerts
    folder = wish_of(asked, os.environ).work_dir or Path()
    place = (state or folder / "watch.json").expanduser().absolute()
    with owned(place):
        watcher = Watcher(WatchedDaemon(asked, every, patience, place), settings, SystemClock(), os.environ)
        if once:
            found = watcher.look().found
            click.echo("\n".join(f"{one.title}: {one.text}" for one in found.values()) or "all is well")
            ctx.exit(1 if found else 0)
        ctx.exit(_until_asked(watcher.run))


def _until_asked(run: Callable[[threading.Event], None]) -> int:
    """Run in a thread until a signal ends it: a look that hangs, or a name that does not resolve, holds nothing up."""
    end, failures = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            run(end)
        except BaseException as failure:
            failures.append(failure)
        finally:
            end.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    threading.Thread(target=work, daemon=True).start()
    while not end.wait(0.5):
        pass
    if failures:
        raise failures[0]
    return 0
