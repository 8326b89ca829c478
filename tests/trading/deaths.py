"""A story of nine steps that passes every fail point, told by processes that may be killed at any of them.

Each step is a child forked from the test: it opens ledger and broker, recovers, and does its part unless that is done.
Between steps the folder is kept (`Told.after`), so that a death in a step is tried without telling what came before.

    orders      market orders at a broker that fails in every way; one asset has little volume: filled in part, expired
    slices      a twap; then somebody trades by hand
    difference  ledger and broker differ: refused, accepted by a person
    stopped     the process ends in the middle (always); the run is cancelled
    doubt       every order is taken and not answered, the broker falls silent, the cut-off passes: halted
    resolved    the next start finds them and lifts the halt
    halted      a person halts while the run decides: its orders are denied; lifted at the end
    plain, end  all is taken in

Corporate actions act on the way: a dividend that a short position owes and pays later, a split, and in the last two
steps a dividend and a split that become known days late.

A story is its `facts`: the same however often it was interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

from sigc.actions import Action, ActionKind
from sigc.config.settings import AuditSettings
from sigc.errors import SigcError
from sigc.failpoint import arm
from sigc.store.audit.anchor import anchor, anchors_file, read_anchors
from sigc.store.audit.mirror import mirror, verify_mirror
from sigc.store.audit.verify import verify
from sigc.store.ledger import action_rows, books, control, orders, proof, runs
from sigc.store.ledger.records import WORKING, Intent, Outcome, RunKind, Side, StageName
from sigc_pipelines.brokers.faulty import Faults
from sigc_pipelines.brokers.protocol import OrderRequest, OrderStatus
from sigc_pipelines.live.apply_fills import cancel
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.trading import Request, RunWatch
from sigc_pipelines.records.artifacts import folder_of
from sigc_pipelines.target_feeds import ReplayFeed
from tests.trading.floor import Floor
from tests.trading.script import DAYS, KilledError, Scene, before_cut_off, free, scene, written

BAD = Faults(unknown=0.2, lost=0.2, late=0.1, throttled=0.1, refused=0.1, unreachable=0.1, late_s=4.0, lag_s=2.0)
TAKEN = Faults(unknown=1.0)
KEPT = AuditSettings(compress_days=0)
TWAP = free({"max_volume_pct": 0.1, "commission_per_share": 0.01}, execution={"style": "twap", "slices": 3})
PLAIN = free({"max_volume_pct": 0.1, "commission_per_share": 0.01})
_ENDED = 0
_CANCELLED = OrderStatus.CANCELLED


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a process dies: the n-th time that it passes a point."""

    point: str
    passage: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Who acts: a floor in the folder of this telling, and the weights of all days."""

    floor: Floor
    feed: ReplayFeed
    later: ReplayFeed  # the same, when the late actions are known

    def at(self, folder: Path) -> Cast:
        """The same in another folder."""
        return replace(self, floor=replace(self.floor, work_dir=folder))


Work = Callable[[Cast, int], None]


def cast(folder: Path) -> Cast:
    """Four assets, changing every day; of D there is so little that nothing is ever filled whole."""
    turning = [0.1, 0.15, 0.05, 0.12, 0.2, 0.08, 0.18, 0.11, 0.16, 0.1]
    weights = {"A": turning, "B": turning[::-1], "C": [-w for w in turning], "D": [w / 4 for w in turning]}
    prices: dict[str, float | list[float]] = {
        "A": [100 + n for n in range(12)],
        "B": [50.0] * 6 + [25.0] * 6,
        "C": [80 - n for n in range(12)],
        "D": 20.0,
    }
    floor = written(folder, weights, prices, {"D": 4_000.0}, config=PLAIN, days=12)
    feed = floor.replayed(DAYS[0])
    known = (
        Action(_date(2), "C", ActionKind.DIVIDEND, cash=0.33, pay_date=_date(5)),
        Action(_date(6), "B", ActionKind.SPLIT, Fraction(2)),
    )
    late = (
        Action(_date(3), "B", ActionKind.DIVIDEND, cash=0.5),
        Action(_date(4), "C", ActionKind.SPLIT, Fraction(3, 2)),
    )
    return Cast(floor, _listing(feed, known), _listing(feed, known + late))


_DECIDED = (Outcome.DONE, Outcome.PARTIAL, Outcome.NOTHING_TRADED, Outcome.UNRESOLVED)


def _listing(feed: ReplayFeed, actions: tuple[Action, ...]) -> ReplayFeed:
    loaded = feed.outlook.loaded
    loaded = replace(loaded, catalog=replace(loaded.catalog, actions=actions))
    return replace(feed, outlook=replace(feed.outlook, loaded=loaded))


def _trade(one: Cast, desk: Scene, restart: int, watch: RunWatch | None = None) -> None:
    """Run until it is done, or was; what differs is accepted when it is told."""
    how: dict[str, Any] = {}
    for attempt in range(20):
        id = f"{desk.clock.now():%d%H%M}-{restart}-{attempt}"
        request = Request(id, "scripted", "main", RunKind.TRADE, "teller", **how)
        try:
            ended = carry_out(desk.trading, request, one.feed, watch)
        except SigcError as refused:
            if refused.diagnostics[0].code != "E800":
                raise
            return
        if ended.run.outcome in _DECIDED:
            return
        if any(d.code == "E602" for d in ended.problems):
            how = {"accepts_differences": True, "reason": "I did that"}
        desk.clock.sleep(60.0)
    raise AssertionError(f"{ended.run}: {ended.problems}")


def _later(restart: int) -> timedelta:
    """A process that was killed is started again some seconds after."""
    return timedelta(seconds=3 * restart)


def _opened(one: Cast, day: int, restart: int, rates: Faults = Faults(), **how: Any) -> Any:  # noqa: B008
    at = one.floor.calendar.before_or_on(_date(day)).close + timedelta(minutes=1) + _later(restart)
    return scene(one.floor, DAYS[day], at=at, rates=rates, **how)


def _date(day: int) -> date:
    return date.fromisoformat(DAYS[day])


def _keep(desk: Scene) -> None:
    """The upkeep of the audit: lines and anchors."""
    directory = desk.trading.ledger.directory
    with desk.trading.ledger.reading() as connection:
        assert mirror(connection, directory / "audit", KEPT, desk.clock.now()).findings == ()
        assert anchor(connection, anchors_file(directory, ""), desk.clock.now()).findings == ()


def _orders(one: Cast, restart: int) -> None:
    with _opened(one, 0, restart, BAD) as desk:
        _trade(one, desk, restart)
        _keep(desk)


def _slices(one: Cast, restart: int) -> None:
    """The first second slice takes twelve minutes: the others are late, and spread with the third ones."""
    twap = replace(one, floor=replace(one.floor, config=TWAP))

    slow = before_cut_off(one.floor, DAYS[1], 0.0) - timedelta(hours=6, minutes=6)  # 19 minutes after the open
    left = [720.0] if restart == 0 else []

    def freezes(_number: int, _request: OrderRequest) -> None:
        if desk.clock.now() >= slow and left:
            desk.clock.sleep(left.pop())

    with _opened(twap, 1, restart, replace(BAD, late=0.0)) as desk:
        desk.broker.hook = freezes
        _trade(one, desk, restart)
        desk.paper.submit(OrderRequest("by hand", "A", Side.BUY, Decimal(7)))
        _keep(desk)


def _difference(one: Cast, restart: int) -> None:
    with _opened(one, 2, restart) as desk:
        _trade(one, desk, restart)
        _keep(desk)


def _stopped(one: Cast, restart: int) -> None:
    def ends(_: int, request: OrderRequest) -> None:
        if request.asset == "B":
            raise KilledError

    with suppress(KilledError), _opened(one, 3, restart, hook=ends) as desk:
        _trade(one, desk, restart)
    for is_recovering in (False, True):
        with _opened(one, 3, restart, is_recovering=is_recovering) as desk:
            with desk.trading.ledger.reading() as connection:
                run = next(r for r in runs.recent(connection) if runs.is_decided(connection, r.id))
            left = cancel(desk.trading.ledger, desk.broker, run, "ann", "not today")
            assert not (is_recovering and left)
    with _opened(one, 3, restart) as desk:
        _keep(desk)


def _doubt(one: Cast, restart: int) -> None:
    at = before_cut_off(one.floor, DAYS[4], 90.0) + _later(restart)
    with scene(one.floor, DAYS[4], at=at, rates=TAKEN) as desk:
        desk.broker.hook = lambda _number, _request: setattr(desk.broker, "is_silent", True)
        try:
            _trade(one, desk, restart)
        except SigcError as refused:
            if refused.diagnostics[0].code != "E802":  # halted already
                raise


def _resolved(one: Cast, restart: int) -> None:
    at = before_cut_off(one.floor, DAYS[4], -250.0) + _later(restart)
    with scene(one.floor, DAYS[4], at=at) as desk:
        _keep(desk)


def _halted(one: Cast, restart: int) -> None:
    with _opened(one, 5, restart) as desk:
        if not _is_decided(desk, 5):
            _halt(desk, False)  # by a process that died before it decided

            def halts(stage: StageName) -> None:
                if stage is StageName.EXECUTE:
                    _halt(desk, True)

            _trade(
                one, desk, restart, RunWatch(halts)
            )  # nothing was sent: asked again without the halt, it would trade
        assert _is_decided(desk, 5)
        _halt(desk, False)
        _keep(desk)


def _halt(desk: Scene, on: bool) -> None:
    with desk.trading.ledger.transaction("control") as tx:
        if on:
            control.put(tx, control.HALTED, "", "by hand", "ann", "enough")
        else:
            control.drop(tx, control.HALTED, "", "ann", "again")


def _is_decided(desk: Scene, day: int) -> bool:
    with desk.trading.ledger.reading() as connection:
        return any(r.as_of == DAYS[day] and runs.is_decided(connection, r.id) for r in runs.recent(connection))


def _plain(one: Cast, restart: int) -> None:
    with _opened(one, 7, restart, BAD) as desk:
        _trade(replace(one, feed=one.later), desk, restart)
        _keep(desk)


def _end(one: Cast, restart: int) -> None:
    with _opened(one, 8, restart) as desk:
        _trade(replace(one, feed=one.later), desk, restart)
        _keep(desk)


STEPS: Mapping[str, Work] = {
    "orders": _orders,
    "slices": _slices,
    "difference": _difference,
    "stopped": _stopped,
    "doubt": _doubt,
    "resolved": _resolved,
    "halted": _halted,
    "plain": _plain,
    "end": _end,
}
NAMES = tuple(STEPS)


@dataclass(slots=True)
class Told:
    """The story as it goes without a death. after: the folder behind each step; passed: the points of each step."""

    cast: Cast
    folder: Path
    passed: dict[str, list[str]]
    facts: dict[str, Any]

    def before(self, step: str) -> Path:
        """The folder as a step finds it."""
        return self.folder / f"before-{step}"

    def first(self, point: str) -> str:
        """The step that passes a point first. Raises StopIteration when none does."""
        return next(step for step in NAMES if point in self.passed[step])


def tell(folder: Path) -> Told:
    """The whole story, calmly."""
    one = cast(folder / "market")
    work = folder / "work"
    with scene(replace(one.floor, work_dir=work), DAYS[0]):
        pass  # the ledger has its name: orders are called the same in every telling
    told = Told(one, folder, {}, {})
    for step in NAMES:
        shutil.copytree(work, told.before(step))
        code, told.passed[step] = act(one.at(work), step, 0)
        assert code == _ENDED, f"{step}: {code}"
    told.facts = facts(one.at(work))
    return told


def retell(told: Told, folder: Path, step: str, kills: list[Kill]) -> list[Kill]:
    """The story from a step to the end, in a copy of the folder. Gives the deaths that came to pass.

    kills: the first holds until a process has died of it, in whatever step; then the next one.
    """
    shutil.copytree(told.before(step), folder)
    one, left, died = told.cast.at(folder), [*kills], list[Kill]()
    for name in NAMES[NAMES.index(step) :]:
        restart = 0
        while True:
            kill = left[0] if left else None
            code, passed = act(one, name, restart, kill)
            if code == _ENDED:
                break
            assert (kill is not None, code) == (True, -signal.SIGKILL), f"{name}, {kills}: {code}, {passed[-3:]}"
            died.append(left.pop(0))
            restart += 1
    return died


def act(one: Cast, step: str, restart: int, kill: Kill | None = None) -> tuple[int, list[str]]:
    """One process of a step: its exit code (minus the signal), and the points it passed."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _act(lambda: STEPS[step](one, restart), kill, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        passed = pipe.read().split()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), passed


def _act(work: Callable[[], None], kill: Kill | None, writing: int) -> NoReturn:
    code, seen = 70, [0]

    def pass_by(point: str) -> None:
        os.write(writing, f"{point}\n".encode())
        if kill is not None and point == kill.point:
            seen[0] += 1
            if seen[0] == kill.passage:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        arm(pass_by)
        work()
        code = _ENDED
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def facts(one: Cast) -> dict[str, Any]:
    """Everything that must be the same, however often it was interrupted; and what holds of any telling is asserted."""
    with scene(one.floor, DAYS[9]) as desk, desk.trading.ledger.reading() as connection:
        assert not runs.left_open(connection)
        assert all(i.state.value not in ("planned", "sending", "unknown") for i in orders.in_flight(connection))
        assert control.every(connection, control.HALTED) == ()
        assert control.every(connection, control.CANCELLED) == ()
        everything = orders.recent(connection, 10_000)
        (book,) = books.books(connection)
        assert proof.faults(connection) == ()
        told: dict[str, Any] = {
            "orders": sorted(
                (i.client_order_id, i.asset, i.side, i.quantity, i.slice, i.state, i.filled) for i in everything
            ),
            "fills": sorted(
                (f.execution_id, f.quantity, f.price, f.commission) for f in books.fills_of_book(connection, book.key)
            ),
            "cash": (book.cash, book.receivables),
            "actions": [
                (e.number, e.key, e.step, e.into, e.amounts, e.session, e.reason, e.corrects)
                for e in action_rows.entries_of_book(connection, book.key)
            ],
            "charges": sorted((c.id, c.kind, c.amount) for c in desk.paper.activities("").charges),
            "positions": books.quantities(connection, book.key),
            "navs": [(n.session, n.nav, n.cash) for n in books.navs(connection, book.key)],
            "traded": sorted(
                (r.key.session, r.revision)
                for r in runs.recent(connection, 10_000)
                if runs.is_decided(connection, r.id)
            ),
            "accepted": [c.value for c in control.every(connection, "accepted")],
            # Whether an order that was cancelled had reached the book depends on when the process ended.
            "book": sorted(
                (o.request.client_order_id, o.status, o.filled) for o in desk.booked() if o.status is not _CANCELLED
            ),
            "broker": (desk.paper.account().cash, desk.paper.positions()),
        }
        directory = desk.trading.ledger.directory
        anchors = read_anchors(anchors_file(directory, ""))
        chain, lines = verify(connection, anchors), verify_mirror(directory / "audit", anchors)
        assert (chain.is_whole, lines.is_whole) == (True, True), (chain, lines)
        _assert_book_is_known(desk, {i.client_order_id: i for i in everything})
        _assert_files_tell(desk, [r.id for r in runs.recent(connection, 10_000) if runs.is_decided(connection, r.id)])
    return told


def _assert_book_is_known(desk: Scene, intents: Mapping[str, Intent]) -> None:
    """No order is in the book that the ledger does not have, and each says the same there."""
    for order in desk.booked():
        id = order.request.client_order_id
        if id != "by hand":
            assert (order.request.quantity, order.filled) == (intents[id].quantity, intents[id].filled)
            assert order.status.is_open == (intents[id].state in WORKING)


def _assert_files_tell(desk: Scene, ids: list[str]) -> None:
    for id in ids:
        account = json.loads((folder_of(desk.trading.ledger.directory, id) / "account.json").read_text())
        assert account["run"]["outcome"] == desk.record(id).outcome
        assert account["weights"]
