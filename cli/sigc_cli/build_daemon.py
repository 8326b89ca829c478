"""The daemon's parts, put together: what it runs, and the ledger it keeps.

`make_runner` and `open_ledger` are called in a thread of the daemon once it answers: what is heavy is imported inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sigc.clock import Clock
from sigc.daemon.runner import Parts, Services, StrategyEntry

if TYPE_CHECKING:
    from sigc.config import Config
    from sigc.daemon.runner import Runner
    from sigc.store.ledger import Ledger


KINDS = frozenset({"trade", "dry", "compute", "data_refresh", "script"})  # of runs, as `DaemonRunner.run` knows them


def parts() -> Parts:
    """What the daemon is handed."""
    return Parts(make_runner, open_ledger, KINDS)


def make_runner(config: Config, strategies: tuple[StrategyEntry, ...], services: Services) -> Runner:
    """The runner of a configuration."""
    from sigc_cli.daemon_runner import DaemonRunner

    return DaemonRunner(config, strategies, services)


def open_ledger(config: Config, work_dir: Path, clock: Clock) -> Ledger:
    """The ledger of a work dir, whose records are signed where a key is set."""
    from sigc.store.ledger import Ledger
    from sigc_cli.build_trading import sign_of

    return Ledger.open(work_dir, clock, sign=sign_of(config))
