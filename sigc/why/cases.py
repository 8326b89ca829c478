"""The links of the chain from a schedule to fills, in their order, and how each may stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LinkState(StrEnum):
    """How a link stands. not_reached: an earlier one stopped it; doubtful: something is to be told of it."""

    OK = "ok"
    WARNING = "warning"
    STOPPED = "stopped"
    WAITING = "waiting"
    NOT_REACHED = "-"


STRATEGY = "strategy"  # it is configured, and enabled
CALENDAR = "calendar"  # the day is a session
SCHEDULE = "schedule"  # a job was due, and enabled
DAEMON = "daemon"  # it was running at the time
PAUSE = "pause"
HALT = "halt"
TURN = "turn"  # no earlier run, market hours, deadline
DEPENDENCY = "dependency"  # the jobs it depends on have finished
COMPILE = "compile"  # the strategy file
DATA = "data"
COMPUTE = "compute"
REBALANCE = "rebalance"  # the row is one on which the book is traded
CHECK = "check"  # data, weights and limits, before anything is decided
DECISION = "decision"
LIMITS = "limits"  # each order, before it is sent
BROKER = "broker"
FILLS = "fills"

LINKS = (
    *(STRATEGY, CALENDAR, SCHEDULE, DAEMON, PAUSE, HALT, TURN, DEPENDENCY, COMPILE),
    *(DATA, COMPUTE, REBALANCE, CHECK, DECISION, LIMITS, BROKER, FILLS),
)


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain: its name of `LINKS`, how it stands, and what is to be told of it."""

    name: str
    state: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """What stopped the chain: the link, why, and the command to look further."""

    link: str
    text: str
    look: str
    state: LinkState = LinkState.STOPPED
