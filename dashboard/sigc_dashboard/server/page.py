"""State of the page: its daemons, their feeds, the logins, the open tabs. All in one loop, except the feeds.

    feed (a thread) --snapshot--> publish --> every tab of that daemon pushes what changed

Parts are made once for all tabs that look at the same thing with the same role.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sigc_dashboard.daemon_feed import DETAILS, DaemonFeed, DaemonRoute, Snapshot
from sigc_dashboard.server.admission import LOOPBACK_FRAMES
from sigc_dashboard.server.places import Place, Places
from sigc_dashboard.server.sessions import Pass, Person, Sessions
from sigc_dashboard.session_document import Tab
from sigc_dashboard.view_api import Look, Part, View, Where

_PLACES_EVERY_S = 2.0  # how long a look at who runs on this machine is good for
Seen = tuple[str, Where, str]


@dataclass(frozen=True, slots=True)
class Visit:
    """A person and the view they look at."""

    person: Person
    held: Pass
    view: View
    where: Where


@dataclass(eq=False)
class Page:
    """The page. views: by name. cookie: its name, of this page alone: browsers share cookies among ports of a host."""

    places: Places
    sessions: Sessions
    views: Mapping[str, View]
    cookie: str
    loop: asyncio.AbstractEventLoop
    tabs: dict[str, Tab] = field(default_factory=dict)  # by Bokeh's session
    _feeds: dict[str, DaemonFeed] = field(default_factory=dict)
    _made: dict[Seen, tuple[Snapshot, Sequence[Part]]] = field(default_factory=dict)
    _known: Mapping[str, Place] = field(default_factory=dict)
    _known_at: float = -_PLACES_EVERY_S

    def daemons(self) -> Mapping[str, Place]:
        """Return the daemons that the page shows now."""
        now = time.monotonic()
        if now - self._known_at >= _PLACES_EVERY_S:
            # One that has ended stays while somebody looks at it: that is when it is wanted most.
            found = self.places()
            kept = {name: place for name, place in self._known.items() if name in self._feeds}
            self._known, self._known_at = {**kept, **found}, now
        return self._known

    def feed(self, daemon: str) -> DaemonFeed:
        """Return the feed of a daemon; the first call starts it."""
        found = self._feeds.get(daemon)
        if found is None:
            way = DaemonRoute(
                lambda: self.daemons()[daemon].target(),
                lambda: self.sessions.token_of(daemon),
                lambda token: self.sessions.refuse(daemon, token),
            )
            found = self._feeds[daemon] = DaemonFeed(daemon, way, lambda snapshot: self._told(daemon, snapshot))
        return found

    def frames(self, daemon: str) -> frozenset[str]:
        """Return the origins that may be shown in a frame: Dask's own, at its present or possible address."""
        found = self.feed(daemon).snapshot.get(DETAILS)
        link = urlsplit(found.detailed.cluster_dashboard) if found is not None and found.detailed is not None else None
        known = {f"{link.scheme}://{link.netloc}"} if link is not None and link.netloc else set()
        return frozenset({*LOOPBACK_FRAMES, *known})

    def parts(self, view: View, where: Where, held: Pass, snapshot: Snapshot) -> Sequence[Part]:
        """Return the parts of a view, made once a snapshot for all viewers of the same."""
        key = (view.name, where, str(held.role))
        made = self._made.get(key)
        if made is None or made[0] is not snapshot:
            made = self._made[key] = (snapshot, tuple(view.parts(Look(where, snapshot, held.role))))
        return made[1]

    def opened(self, id: str, tab: Tab) -> None:
        """Register a tab."""
        self.tabs[id] = tab
        self.feed(tab.visit.where.daemon).want(tab.asks)

    def closed(self, id: str) -> None:
        """Drop a tab and all references to its objects."""
        tab = self.tabs.pop(id, None)
        if tab is None:
            return
        self.feed(tab.visit.where.daemon).release(tab.asks)
        seen = {(t.visit.view.name, t.visit.where, str(t.visit.held.role)) for t in self.tabs.values()}
        self._made = {key: made for key, made in self._made.items() if key in seen}

    def beat(self) -> None:
        """Tell every tab how old its data are, and that we are here."""
        for tab in list(self.tabs.values()):
            tab.beat()

    def close(self) -> None:
        """End the feeds."""
        for feed in self._feeds.values():
            feed.close()

    def _told(self, daemon: str, snapshot: Snapshot) -> None:
        """Pass a snapshot on to the tabs; called in the feed's thread."""
        try:
            self.loop.call_soon_threadsafe(self._publish, daemon, snapshot)
        except RuntimeError:
            return  # the loop has ended

    def _publish(self, daemon: str, snapshot: Snapshot) -> None:
        for tab in list(self.tabs.values()):
            if tab.visit.where.daemon == daemon:
                tab.show(snapshot)
