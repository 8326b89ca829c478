"""Assembly of the daemon: its runner and its ledger.

`make_runner` and `open_ledger` are called in a thread of the daemon once it answers: what is heavy is imported inside.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.clock import Clock
from sigc.daemon.runner import DaemonParts, Services, StrategyEntry

if TYPE_CHECKING:
    from sigc.config.settings import Config
    from sigc.daemon.page import PageOrder
    from sigc.daemon.runner import Runner
    from sigc.store.ledger.ledger import Ledger
    from sigc_pipelines.service.runner import RunOutput


def parts() -> DaemonParts:
    """Return the parts that the daemon is handed."""
    return DaemonParts(make_runner, open_ledger, page_command)


def page_command(order: PageOrder) -> list[str]:
    """Return the command that starts the status page of a daemon: `sigc dashboard`, about it alone."""
    settings = order.settings
    words = [
        "--address",
        f"{order.name}={order.address}",
        "--host",
        settings.host,
        "--hours",
        str(settings.login_hours),
    ]
    words += ["--fd", str(order.descriptor), "--parent", str(order.parent)]
    words += [word for origin in settings.origins for word in ("--origin", origin)]
    words += ["--ca", str(order.ca)] if order.ca is not None else []
    words += ["--cert", settings.tls.cert, "--key", settings.tls.key] if settings.tls is not None else []
    # Not from the folder the daemon was started in (-P): what lies there is no part of us.
    return [sys.executable, "-P", "-m", "sigc_cli.main", "dashboard", *words]


def make_runner(config: Config, strategies: tuple[StrategyEntry, ...], services: Services) -> Runner:
    """Return the runner of a configuration."""
    from sigc_pipelines.service.runner import DaemonRunner

    return DaemonRunner(config, strategies, services, run_output())


def run_output() -> RunOutput:
    """Return the look of what runs leave: the pages and texts of this package."""
    from sigc_cli.text import show_run
    from sigc_cli.text.live_view import draw_report
    from sigc_cli.text.run_view import render
    from sigc_pipelines.service.runner import RunOutput

    return RunOutput(render, show_run.result, draw_report)


def open_ledger(config: Config, work_dir: Path, clock: Clock) -> Ledger:
    """Return the ledger of a work dir, whose records are signed where a key is set."""
    from sigc.store.ledger.ledger import Ledger
    from sigc_pipelines.assembly.trading import sign_of

    return Ledger.open(work_dir, clock, sign=sign_of(config))
