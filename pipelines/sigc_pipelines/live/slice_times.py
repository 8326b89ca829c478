"""Times of a run's slices in the ledger: late ones are spread again (`slices.py`), or end unsent with their window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sigc.errors import Severity
from sigc.store.ledger import orders, runs
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import Finding, Intent, IntentState, Run
from sigc.words import counted, local_time
from sigc_pipelines.live.slices import DueSlice, is_late, least_gap, respread

if TYPE_CHECKING:
    from sigc_pipelines.live.send_orders import Desk


@dataclass(frozen=True, slots=True)
class Window:
    """The time over which the slices of a run are planned."""

    begins: datetime
    ends: datetime


def window_record(window: Window) -> dict[str, object]:
    """Return the audit record of a decision's window, read by `window_of`."""
    return {"window": [window.begins.isoformat(), window.ends.isoformat()]}


def window_of(desk: Desk, run: Run) -> Window | None:
    """Return the window of a run's slices as it was decided; None for a run without slices."""
    with desk.ledger.reading() as connection:
        due = [i.not_before for i in orders.of_run(connection, run.id) if i.parent and i.not_before is not None]
        said = runs.decision_of(connection, run.id).get("window") if due else None
    if not due:
        return None
    if said is not None:
        return Window(*(datetime.fromisoformat(text) for text in said))
    ends = min(due) + timedelta(minutes=desk.settings.window_minutes)  # decided by an older sigc
    return Window(min(due), ends if run.cut_off is None else min(ends, run.cut_off))


class SliceTimes:
    """The times of one run's slices. `replan` is called before each turn, `left` when a request of a slice is over."""

    def __init__(self, desk: Desk, run: Run) -> None:
        self._desk, self.window = desk, window_of(desk, run)
        self._of_parent: dict[str, list[Intent]] = {}
        self._left: dict[str, datetime] = {}  # by order id: when its request was over

    def left(self, intent: Intent) -> None:
        """Note that a slice may have reached the broker just now."""
        self._left[intent.client_order_id] = self._desk.clock.now()

    def came_back(self, intent: Intent) -> None:
        """Note that a slice did not reach the broker after all."""
        self._left.pop(intent.client_order_id, None)

    def earliest(self, intent: Intent) -> datetime | None:
        """Return the instant before which a slice would follow the one before it too closely."""
        last = self._last(intent.parent, intent.client_order_id) if intent.parent in self._of_parent else None
        return None if last is None else last + least_gap(self._gap(intent.parent))

    def is_late(self, intent: Intent) -> bool:
        """Return True if a slice must not be sent before it was spread again."""
        if intent.not_before is None or intent.parent not in self._of_parent:
            return False
        return is_late(intent.not_before, self._desk.clock.now(), self._gap(intent.parent))

    def replan(self, of_run: Sequence[Intent], *, is_held: bool = False) -> tuple[Finding, ...]:
        """Spread the slices that are late over the rest of their window, and end those that do not fit into it.

        is_held: nothing may be sent now: only what is past its window ends. Return what was done, for people.
        """
        window, now = self.window, self._desk.clock.now()
        if window is None:
            return ()
        self._of_parent = {}
        for intent in of_run:
            if intent.parent:
                self._of_parent.setdefault(intent.parent, []).append(intent)
        moved: list[tuple[Intent, datetime]] = []
        ended: list[Intent] = []
        for parent, mine in self._of_parent.items():
            waiting = {i.client_order_id: i for i in mine if i.state is IntentState.PLANNED}
            is_due = now >= window.ends if is_held else any(self.is_late(i) for i in waiting.values())
            if not is_due:
                continue
            slices = [DueSlice(id, i.not_before) for id, i in waiting.items() if i.not_before is not None]
            slices.sort(key=lambda s: s.due)
            found = respread(slices, now, window.ends, self._gap(parent), self._last(parent))
            moved += [(waiting[s.id], s.due) for s in found.kept if s.due != waiting[s.id].not_before]
            ended += [waiting[s.id] for s in found.dropped]
        return self._written(moved, ended, window)

    def _written(
        self, moved: Sequence[tuple[Intent, datetime]], ended: Sequence[Intent], window: Window
    ) -> tuple[Finding, ...]:
        if not moved and not ended:
            return ()
        until = local_time(window.ends, self._desk.ledger.zone)
        over = f"its window (to {until}) had no room left for it: nothing was sent at its time"
        with self._desk.ledger.transaction("respread") as tx:
            for intent, due in moved:
                if _is_planned(tx, intent):
                    orders.rescheduled(tx, intent, due)
            for intent in ended:
                if _is_planned(tx, intent):
                    orders.moved(tx, intent, IntentState.EXPIRED, over)
        found: list[Finding] = []
        if moved:
            text = f"nothing was sent at the time of some slices: {len(moved)} are spread until {until}"
            found.append(Finding("slices", Severity.INFO, text, _assets(intent for intent, _ in moved)))
        if ended:
            text = f"{counted(len(ended), 'slice')} ended unsent: nothing was sent in time, and the window is over"
            found.append(Finding("slices", Severity.WARNING, text, _assets(ended)))
        return tuple(found)

    def _gap(self, parent: str) -> timedelta:
        """Return the planned time between two slices of an order; zero without a window."""
        if self.window is None:
            return timedelta(0)
        return (self.window.ends - self.window.begins) / len(self._of_parent[parent])

    def _last(self, parent: str, but: str = "") -> datetime | None:
        """Return when a slice of an order, other than `but`, last left or may have left."""
        others = [i for i in self._of_parent[parent] if i.client_order_id != but]
        sent = [i.sent_at for i in others if i.sent_at is not None and i.state is not IntentState.PLANNED]
        known = [self._left[i.client_order_id] for i in others if i.client_order_id in self._left]
        return max([*sent, *known], default=None)


def _is_planned(tx: Transaction, intent: Intent) -> bool:
    """Return True if an order was neither sent nor ended meanwhile, by a person's cancel for example."""
    return orders.state_of(tx.connection, intent.client_order_id) is IntentState.PLANNED


def _assets(intents: Iterable[Intent]) -> tuple[str, ...]:
    return tuple(sorted({i.asset for i in intents}))
