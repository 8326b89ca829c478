"""Interface of views: a view, its parts, and the state that it reads.

A view is one file in `views/`. It says what it asks the daemon (`asks`), makes HTML of the
answers (`parts`, a pure function: the same snapshot gives the same HTML, so it is made once for all tabs), and, where
it draws, Bokeh models of a tab (`plots`). What is pushed to the browser is the parts whose HTML changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from sigc.rpc.messages.requests import StatusReply
from sigc.rpc.verb import Role
from sigc_dashboard.daemon_feed import STATUS, Ask, Snapshot
from sigc_dashboard.html import NONE, Html

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Where:
    """The subject of a tab. daemon: its name here; what: of the view, such as a strategy or a run ('' is none)."""

    daemon: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """The input of a view's parts. role: of the person, None before it is known."""

    where: Where
    snapshot: Snapshot
    role: Role

    def get(self, ask: Ask[T]) -> T | None:
        """Return the answer to an ask of the view, None while there is none."""
        return self.snapshot.get(ask)

    def refusal(self, ask: Ask[Any]) -> str:
        """Return the reason why an ask was refused, '' if it was not."""
        return self.snapshot.refusal(ask)

    @property
    def status(self) -> StatusReply | None:
        """Return the status of the daemon; every view has it."""
        return self.snapshot.get(STATUS)

    def may(self, role: Role) -> bool:
        """Return True if the person may do what takes that role."""
        return self.role.includes(role)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a view with its own heading ('' is none). The parts of a view, their order, names and headings stay
    while a tab is open; only the HTML changes, and '' hides the part. width: columns of 12.
    """

    name: str
    title: str
    html: Html = NONE
    width: int = 12


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """A Bokeh model of a tab, its heading, and how it follows the snapshots. after: the part it stands after, ''
    is first. words: the plot for those who do not see it."""

    name: str
    title: str
    model: Any
    update: Callable[[Look], None]
    after: str
    words: str
    width: int = 12


class View(Protocol):
    """One page: its route is its name."""

    @property
    def name(self) -> str:
        """Lower case; the route, and its mark in the navigation."""
        ...

    @property
    def title(self) -> str:
        """Return the text for navigation and window."""
        ...

    @property
    def place(self) -> int:
        """Position in the navigation, counted from the left."""
        ...

    @property
    def has_frames(self) -> bool:
        """Return True if the view shows Dask's own pages in a frame."""
        ...

    @property
    def is_listed(self) -> bool:
        """Return True if the navigation leads there; False for a view that another one links to."""
        ...

    def asks(self, where: Where) -> Sequence[Ask[Any]]:
        """Return the asks of the view; the status is known anyway."""
        ...

    def parts(self, look: Look) -> Sequence[Part]:
        """Return the view's pieces in order. Pure; answers may be missing."""
        ...

    def plots(self, where: Where) -> Sequence[Plot]:
        """Return the view's plots, made anew for each tab."""
        ...


@runtime_checkable
class Following(Protocol):
    """A view that asks more once it knows something: a thing of each strategy, say."""

    def follow(self, look: Look) -> Sequence[Ask[Any]]:
        """Return further asks that follow from a snapshot. Pure; called at each snapshot."""
        ...
