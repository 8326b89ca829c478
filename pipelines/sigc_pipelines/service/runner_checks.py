"""Checks of the runner: data and broker."""

from __future__ import annotations

import os
from pathlib import Path

from sigc.clock import Clock
from sigc.host.hung import BROKER, DATA, told
from sigc.store.ledger.fenced import Fence
from sigc.store.ledger.ledger import Ledger
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.live.stage_thread import StageWork, within

_ANSWERS_S = 30.0  # longest wait of a health check for the broker


def data_check(directory: Path) -> str:
    """`ok`, or that the folder of data can't be read, or what hangs as it reads."""
    hangs = told(DATA)
    if hangs != "ok":
        return hangs
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
