"""Context that the stages of one run share: the request, the opened run, and the means of trading."""

from __future__ import annotations

from dataclasses import dataclass, field

from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Run, RunKind
from sigc_pipelines.live.rehearsal import Rehearsal
from sigc_pipelines.live.session import Moment
from sigc_pipelines.live.trading import Request, RunWatch, TargetFeed, Trading


@dataclass(frozen=True, slots=True, eq=False)
class RunContext:
    """One run under way. feed: data and weights, with the prices that a person has accepted. at: its as-of row, session
    and cut-off. rehearsal: of a dry run."""

    trading: Trading
    request: Request
    feed: TargetFeed
    watch: RunWatch
    at: Moment
    run: Run
    rehearsal: Rehearsal = field(default_factory=Rehearsal)

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.trading.ledger

    @property
    def book(self) -> BookKey:
        """The book that the run trades."""
        return BookKey(self.request.strategy, self.request.portfolio)

    @property
    def account(self) -> Ledger:
        """The ledger that has the book as it will be traded: the copy of a dry run with the fills since."""
        return self.ledger if self.rehearsal.trading is None else self.rehearsal.trading.ledger

    @property
    def is_dry(self) -> bool:
        """Return True for a run that sends nothing and changes no book."""
        return self.request.kind is not RunKind.TRADE
