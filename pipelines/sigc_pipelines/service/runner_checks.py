"""Checks of the runner: strategy files before they are in force, data and broker."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from sigc.clock import Clock
from sigc.config.settings import SafetySettings
from sigc.daemon.runner import CheckedStrategy, StrategyEntry
from sigc.errors import Diagnostic, SigcError
from sigc.host.hung import BROKER, DATA, told
from sigc.lang.check import check_file
from sigc.store.ledger.fenced import Fence
from sigc.store.ledger.ledger import Ledger
from sigc_pipelines.assembly.parts import compile_file
from sigc_pipelines.backtest.backtest import pick_of
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.live.decision import off_limits, why_off
from sigc_pipelines.live.stage_thread import StageWork, within

_ANSWERS_S = 30.0  # longest wait of a health check for the broker


def checked(entry: StrategyEntry, limits: SafetySettings) -> CheckedStrategy:
    """Check a strategy file. Return its digest and portfolio, the limits that are off for it, or its errors."""
    try:
        found = check_file(entry.file, entry.params)
        problems = found.diagnostics
        if not found.ok:
            return CheckedStrategy(entry.name, problems=problems)
        strategy = compile_file(entry.file, entry.params).strategy
        portfolio = pick_of(strategy, entry.portfolio).name
        off = tuple(why_off(name) for name in off_limits(limits, {source.name for source in strategy.data}))
        digest = hashlib.sha256(entry.file.read_bytes()).hexdigest()
    except SigcError as error:
        return CheckedStrategy(entry.name, problems=error.diagnostics)
    except OSError as failure:
        message = f"strategy '{entry.name}': {entry.file} can't be read: {failure.strerror}"
        return CheckedStrategy(entry.name, problems=(Diagnostic("E200", message),))
    return CheckedStrategy(entry.name, digest, portfolio, problems, off)


def data_check(strategies: Iterable[StrategyEntry], directory: Path) -> str:
    """`ok`, or which strategy file or folder of data can't be read, or what hangs as it reads."""
    hangs = told(DATA)
    if hangs != "ok":
        return hangs
    for entry in strategies:
        if not os.access(entry.file, os.R_OK):
            return f"{entry.file} of strategy '{entry.name}' can't be read"
    if directory.exists() and not os.access(directory, os.R_OK | os.X_OK):
        return f"{directory} (data.directory) can't be read"
    return "ok"


def broker_check(broker: Broker, ledger: Ledger, clock: Clock, within_s: float = _ANSWERS_S) -> str:
    """`ok`, or why the broker does not answer, or what hangs as it asks the broker.

    within_s: for its answer; a request that hangs is not made again until it returns.
    """
    hangs = told(BROKER)
    if hangs != "ok":
        return hangs
    stage = StageWork("the question for the account", lambda: BROKER, broker.account, Fence(), ledger, clock)
    try:
        within(stage, within_s)
    except Exception as failure:  # whatever keeps it from answering
        return f"{type(failure).__name__}: {failure}"[:300]
    return "ok"
