"""The messages of circuit breakers: each as it stands, a trial of one, a reset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from sigc.rpc.messages.requests import Text
from sigc.rpc.schema import Match, Name

BreakerName = Annotated[str, Match(r"[A-Za-z][A-Za-z0-9_-]{0,62}")]


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """A breaker of a strategy's book, '' for all books together.

    state: fine, tripped, too little history, or can't be evaluated. value: at the close of `session`, None without one;
    threshold, value: a fraction, or a number of sessions (streak). window: in sessions, 0 for all. why: of its state.
    since, until: while it is tripped, and to the end of its pause. is_configured: False if the setting is gone.
    """

    name: str
    type: str
    strategy: str
    portfolio: str
    action: str
    threshold: float
    window: int
    state: str
    value: float | None = None
    session: str = ""
    why: str = ""
    since: datetime | None = None
    until: datetime | None = None
    is_configured: bool = True


@dataclass(frozen=True, slots=True)
class BreakersReply:
    """The breakers, by name and book."""

    breakers: tuple[BreakerStatus, ...]


@dataclass(frozen=True, slots=True)
class BreakerRequest:
    """A breaker by its name; of one strategy, or wherever it is judged."""

    breaker: BreakerName
    strategy: Name | None = None


@dataclass(frozen=True, slots=True)
class BreakerTrial:
    """The effects that a breaker would have if it tripped now."""

    now: BreakerStatus
    effects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BreakerTrialReply:
    """The trial of a breaker, for each book and for all."""

    trials: tuple[BreakerTrial, ...]


@dataclass(frozen=True, slots=True)
class BreakerResetRequest:
    """A reset of a tripped breaker, with the reason."""

    breaker: BreakerName
    reason: Text
    strategy: Name | None = None


@dataclass(frozen=True, slots=True)
class BreakerResetReply:
    """The strategies whose breaker was reset ('' is all books), and the breakers that are tripped still."""

    reset: tuple[str, ...]
    left: tuple[BreakerStatus, ...]


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """A call that waits for a second token, by its id."""

    id: Annotated[str, Match(r"[0-9a-f]{6}")]


@dataclass(frozen=True, slots=True)
class ConfirmReply:
    """The call that was confirmed and done. what: it in words; done: its effect."""

    verb: str
    what: str
    asked_by: str
    confirmed_by: str
    done: str


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that waits for a second token until an instant."""

    id: str
    what: str
    who: str
    reason: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class PendingReply:
    """The calls that wait for a second token."""

    calls: tuple[PendingCall, ...]
