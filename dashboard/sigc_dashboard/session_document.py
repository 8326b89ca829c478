"""One open tab: a Bokeh document with the HTML of each part and the plots; only changes are pushed.

The parts are the columns of one data source, a text each: setting a column sends that column alone, and the document
is complete for a browser that comes (back) later. The browser's side is static/page.js.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource

from sigc_dashboard.daemon_feed import STATUS, Ask, Snapshot
from sigc_dashboard.parts.masthead import masthead
from sigc_dashboard.view_api import Following, Look, Part, Plot

if TYPE_CHECKING:
    from sigc_dashboard.server.page import Page, Visit

BEAT, MASTHEAD = "beat", "masthead"


class Tab:
    """An open tab."""

    def __init__(self, page: Page, document: Document, visit: Visit) -> None:
        self.visit = visit
        self._page, self._document = page, document
        self.snapshot = page.feed(visit.where.daemon).snapshot
        self.asks: frozenset[Ask[Any]] = self._asks()
        self.plots: Sequence[Plot] = visit.view.plots(visit.where)
        self.parts: Sequence[Part] = self._parts()
        self.source = ColumnDataSource(name="parts", data={name: [html] for name, html in self._columns().items()})
        document.add_root(self.source)
        for plot in self.plots:
            plot.update(self._look())
            document.add_root(plot.model)

    def show(self, snapshot: Snapshot) -> None:
        """Push what is new, in the document's turn."""
        self.snapshot = snapshot
        asks = self._asks()
        if asks != self.asks:
            feed = self._page.feed(self.visit.where.daemon)
            feed.want(asks)
            feed.release(self.asks)
            self.asks = asks
        self._in_turn(self._push)

    def beat(self) -> None:
        """Push how old the data are."""
        self._in_turn(self._beat)

    def _in_turn(self, work: Callable[[], None]) -> None:
        if self._document.session_context is not None and not self._document.session_context.destroyed:
            self._document.add_next_tick_callback(work)

    def _push(self) -> None:
        if not self._is_welcome():
            self._beat()
            return
        self.parts = self._parts()
        for name, html in self._columns().items():
            if self.source.data[name][0] != html:
                self.source.data[name] = [html]
        for plot in self.plots:
            plot.update(self._look())

    def _beat(self) -> None:
        self.source.data[BEAT] = [self._said()]

    def _asks(self) -> frozenset[Ask[Any]]:
        view = self.visit.view
        more = view.follow(self._look()) if isinstance(view, Following) else ()
        return frozenset((STATUS, *view.asks(self.visit.where), *more))

    def _is_welcome(self) -> bool:
        """Return True if the person who opened the tab is still logged in."""
        person = self._page.sessions.find(self.visit.person.id)
        return person is not None and self.visit.where.daemon in person.passes

    def _look(self) -> Look:
        return Look(self.visit.where, self.snapshot, self.visit.held.role)

    def _parts(self) -> Sequence[Part]:
        return self._page.parts(self.visit.view, self.visit.where, self.visit.held, self.snapshot)

    def _columns(self) -> dict[str, str]:
        found = {part.name: str(part.html) for part in self.parts}
        return {**found, MASTHEAD: str(masthead(self._look())), BEAT: self._said()}

    def _said(self) -> str:
        """Return the pulse as JSON: the age of the data (s), the reason if the daemon does not answer, whether to log
        in again.
        """
        heard = self.snapshot.heard_at
        age = round(time.monotonic() - heard, 1) if heard else None
        said = {"age": age, "problem": self.snapshot.problem, "over": not self._is_welcome(), "at": time.time()}
        return json.dumps(said)
