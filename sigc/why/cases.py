"""The links of the chain from a schedule to fills, in order, and their states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LinkState(StrEnum):
    """The state of a link. not_reached: an earlier link stopped the chain; warning: it held, with a remark."""

    OK = "ok"
    WARNING = "warning"
    STOPPED = "stopped"
    WAITING = "waiting"
    NOT_REACHED = "-"


STRATEGY = "strategy"  # it is configured and enabled
CALENDAR = "calendar"  # the day is a session
SCHEDULE = "schedule"  # a job was due and enabled
DAEMON = "daemon"  # it was running at the time
PAUSE = "pause"
HALT = "halt"
TURN = "turn"  # no earlier run, market hours, deadline
DEPENDENCY = "dependency"  # the jobs it depends on have finished
COMPILE = "compile"  # the strategy file
DEADLINE = "deadline"  # of the stages load, compute and validate
DATA = "data"
COMPUTE = "compute"
REBALANCE = "rebalance"  # the row is a rebalance row
CHECK = "check"  # data, weights and limits, before anything is decided
DECISION = "decision"
LIMITS = "limits"  # each order, before it is sent
BROKER = "broker"
FILLS = "fills"

LINKS = (
    *(STRATEGY, CALENDAR, SCHEDULE, DAEMON, PAUSE, HALT, TURN, DEPENDENCY, COMPILE, DEADLINE),
    *(DATA, COMPUTE, REBALANCE, CHECK, DECISION, LIMITS, BROKER, FILLS),
)


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain: its name of `LINKS`, its state, and a text."""

    name: str
    state: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """The link that stopped the chain: its name, the reason, and the command to look further."""

    link: str
    text: str
    look: str
    state: LinkState = LinkState.STOPPED
