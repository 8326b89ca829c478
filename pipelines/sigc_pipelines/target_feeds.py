"""The two sources of a run's data and weights: computed for its date, or cut from a computation of many dates.

Both give the same bits (engine, law 1). A fresh feed reads no row after the as-of date; a replay's holds later rows,
and hands out none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sigc.errors import Diagnostic, SigcError
from sigc.plan.strategy import Strategy
from sigc_pipelines.compute import Loaded, Workspace, load
from sigc_pipelines.prices.closes import Closes, closes
from sigc_pipelines.targets import Targets, look


@dataclass(frozen=True, slots=True, eq=False)
class FreshFeed:
    """Reads and computes for the date that is asked for. capital: of constraints on participation."""

    strategy: Strategy
    workspace: Workspace
    capital: float

    @property
    def is_kept(self) -> bool:
        """It is the run's own."""
        return True

    def accepting(self, by_hand: frozenset[tuple[str, str]]) -> FreshFeed:
        """Return the same feed with prices (asset, ISO date) that a person has accepted."""
        return replace(self, workspace=replace(self.workspace, by_hand=by_hand)) if by_hand else self

    def load(self, until: str) -> Loaded:
        """Return the sources up to `until`."""
        return load(self.strategy, self.workspace, until)

    def closes(self, loaded: Loaded, since: str) -> Closes:
        """Closing prices from a day on."""
        return closes(loaded, self.workspace, since)

    def look(self, loaded: Loaded, portfolio: str) -> Targets:
        """Return the wanted weights of the last row, and the signals behind them."""
        return look(loaded, self.workspace, portfolio, capital=self.capital, with_signals=True)


@dataclass(frozen=True, slots=True, eq=False)
class ReplayFeed:
    """A feed that cuts `targets` and `prices` date by date."""

    outlook: Targets
    prices: Closes

    @property
    def is_kept(self) -> bool:
        """It is that of every run."""
        return False

    def accepting(self, by_hand: frozenset[tuple[str, str]]) -> ReplayFeed:  # noqa: ARG002
        """Return the feed itself: its prices were accepted when it was computed."""
        return self

    def load(self, until: str) -> Loaded:
        """Return the sources, which also hold later rows. Raises E501 when `until` has no row."""
        if until not in self.outlook.days:
            raise SigcError(Diagnostic("E501", f"the replay has no row of {until}"))
        return replace(self.outlook.loaded)

    def closes(self, loaded: Loaded, since: str) -> Closes:  # noqa: ARG002
        """Return closing prices from a day on; any day may be requested."""
        return self.prices.since(since)

    def look(self, loaded: Loaded, portfolio: str) -> Targets:  # noqa: ARG002
        """Return the wanted weights of every row."""
        return self.outlook
