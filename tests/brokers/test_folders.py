"""The broker of folders by its files: what is written and when, what is read and what is an error."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.clock import HandClock
from sigc.config.broker_settings import FilesSettings
from sigc.config.settings import BrokerSettings
from sigc.errors import SigcError
from sigc.rpc.messages.status import has_no_money
from sigc.store.ledger.records import OrderType, Side, TimeInForce
from sigc_pipelines.brokers.files import outbox
from sigc_pipelines.brokers.files.broker import FolderBroker
from sigc_pipelines.brokers.files.columns import COLUMNS
from sigc_pipelines.brokers.files.opening import open_files
from sigc_pipelines.brokers.protocol import (
    NotSentError,
    OrderRequest,
    OrderStatus,
    OutcomeUnknownError,
    RejectedError,
    UnreachableError,
    simulation,
)
from sigc_pipelines.brokers.registry import close_broker, open_broker
from tests.brokers.folder_bench import THEIRS
from tests.killing import Tally, child

NOW = datetime(2024, 1, 15, 15, tzinfo=UTC)
STAMP = "2024-01-15T14:59:00Z"
REQUEST = OrderRequest("sigc-1", "ACME", Side.BUY, Decimal("12.50"))
ACKS = "client_order_id,status,order_id,message,time\n"
FILLS = "execution_id,client_order_id,asset,side,quantity,price,commission,time\n"
FILL = f"e1,sigc-1,ACME,buy,5,100.25,1.50,{STAMP}\n"
ACCOUNT = f"time,cash,equity,buying_power\n{STAMP},1000.10,1000.10,2000.20\n"


class Folders:
    """Both folders, with a fresh account and nothing held, and a broker on them."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.outbox, self.inbox = folder / "outbox", folder / "inbox"
        for each in (self.outbox, self.inbox):
            each.mkdir(parents=True)
        places = {"outbox": str(self.outbox), "inbox": str(self.inbox), "quantity_step": "0.5", "ack_wait_s": 0.0}
        self.settings = FilesSettings.model_validate({**places, **given})
        self.clock = HandClock(NOW)
        self.broker = self.opened()
        self.write("account.csv", ACCOUNT)

    def opened(self) -> FolderBroker:
        """A broker as a new process has it."""
        return open_files(self.settings, self.clock)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the inbox."""
        path = self.inbox / name
        path.write_text(text)
        return path

    def sent(self) -> dict[str, str]:
        """The files of the outbox."""
        return {path.name: path.read_text() for path in sorted(self.outbox.iterdir())}


@pytest.fixture
def desk(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


# The outbox


def test_an_order_is_a_file(desk: Folders) -> None:
    order = desk.broker.submit(REQUEST)
    assert (order.status, order.submitted, order.broker_order_id) == (OrderStatus.NEW, NOW, "sigc-1")
    head = "client_order_id,asset,side,quantity,order_type,limit,time_in_force,submitted"
    text = f"{head}\nsigc-1,ACME,buy,12.50,market,,day,2024-01-15T15:00:00+00:00\n"
    assert desk.sent() == {"order-sigc-1.csv": text}
    desk.clock.sleep(60.0)
    assert desk.opened().submit(REQUEST) == order, "a known id is the order that is there"
    desk.broker.cancel("sigc-1")
    desk.clock.sleep(60.0)
    desk.opened().cancel("sigc-1")
    cancel = "client_order_id,submitted\nsigc-1,2024-01-15T15:01:00+00:00\n"
    assert desk.sent() == {"cancel-sigc-1.csv": cancel, "order-sigc-1.csv": text}


def test_columns_have_their_names_and_numbers_their_digits(tmp_path: Path) -> None:
    desk = Folders(tmp_path, format="jsonl", columns=THEIRS, quantity_step="0.000000001")
    (desk.inbox / "account.csv").unlink()
    desk.write("account.jsonl", json.dumps({"TransactTime": STAMP, "cash": 1, "equity": 1, "buying_power": 1}) + "\n")
    limit = Decimal("100.123456789")
    kind = {"order_type": OrderType.LIMIT, "limit": limit, "time_in_force": TimeInForce.IOC}
    request = OrderRequest("sigc-2", "BRK.B", Side.SELL, Decimal("1E+2") + Decimal("1e-9"), **kind)  # type: ignore[arg-type]
    desk.broker.submit(request)
    (text,) = desk.sent().values()
    assert json.loads(text) == {
        "ClOrdID": "sigc-2",
        "Symbol": "BRK.B",
        "Side": "sell",
        "Shares": "100.000000001",
        "order_type": "limit",
        "limit": "100.123456789",
        "time_in_force": "ioc",
        "submitted": "2024-01-15T15:00:00+00:00",
    }
    found = desk.opened().order("sigc-2")
    assert found is not None
    assert found.request == request
    fill = {"execution_id": "e", "ClOrdID": "sigc-2", "Symbol": "BRK.B", "Side": "sell", "price": 0.1}
    fill |= {"Shares": 100, "commission": 0, "TransactTime": "2024-01-15T09:59:00-05:00"}
    desk.write("fills.jsonl", json.dumps(fill) + "\n")
    (told,) = desk.broker.activities("").fills
    assert (told.price, told.at) == (Decimal("0.1"), datetime(2024, 1, 15, 14, 59, tzinfo=UTC))


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_order_id": "../sigc"},
        {"client_order_id": ".sigc"},
        {"client_order_id": ""},
        {"asset": "A\nB"},
        {"asset": " A"},
        {"quantity": Decimal("0.25")},
        {"quantity": Decimal(10) ** 18},
        {"limit": Decimal(1)},
        {"order_type": OrderType.LIMIT, "limit": Decimal("NaN")},
    ],
)
def test_no_file_is_written_of_an_order_that_is_none(desk: Folders, wrong: dict[str, Any]) -> None:
    with pytest.raises(RejectedError):
        desk.broker.submit(replace(REQUEST, **wrong))
    assert desk.sent() == {}
    assert desk.broker.order("../outbox/order-sigc-1") is None


def test_a_write_that_fails_leaves_nothing(desk: Folders) -> None:
    def work() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # as a disk that is full after ten bytes
        with pytest.raises(NotSentError, match="order-sigc-1.csv can't be written: File too large"):
            desk.broker.submit(REQUEST)
        with pytest.raises(RejectedError, match="no order"):
            desk.broker.cancel("sigc-1")
        return 0

    assert child(work, None, Tally()) == 0
    assert desk.sent() == {}
    assert desk.broker.order("sigc-1") is None
    desk.broker.submit(REQUEST)
    assert len(desk.sent()) == 1


def test_a_name_that_may_not_outlive_a_power_cut_is_no_answer(desk: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(outbox, "sync_directory", broken)
        with pytest.raises(OutcomeUnknownError, match="folder can't be flushed"):
            desk.broker.submit(REQUEST)
        with pytest.raises(UnreachableError):
            desk.broker.cancel("sigc-1")
    found = desk.broker.order("sigc-1")
    assert found is not None
    assert desk.broker.submit(REQUEST) == found


def test_a_rename_that_is_done_and_fails_is_no_answer(desk: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def twice(path: Path, to: Path) -> Path:
        """As over a network: the first request is done, its answer is lost, the second finds nothing to rename."""
        rename(path, to)
        return rename(path, to)

    with monkeypatch.context() as network:
        network.setattr(Path, "rename", twice)
        with pytest.raises(OutcomeUnknownError, match="may be written: No such file"):
            desk.broker.submit(REQUEST)
    assert desk.broker.submit(REQUEST) == desk.broker.order("sigc-1")
    assert len(desk.sent()) == 1


def test_the_group_of_the_folder_may_read_whatever_the_umask_is(desk: Folders) -> None:
    before = os.umask(0o077)
    try:
        desk.broker.submit(REQUEST)
    finally:
        os.umask(before)
    assert (desk.outbox / "order-sigc-1.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("what", ["order", "cancel"])
def test_a_crash_at_any_line_leaves_no_file_or_a_whole_one(desk: Folders, what: str) -> None:
    def act() -> None:
        if what == "order":
            desk.opened().submit(REQUEST)
        else:
            desk.opened().cancel("sigc-1")

    def killed_at(line: int) -> Callable[[], int]:
        left = [line]

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code.co_filename == outbox.__file__ and event == "line":
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        def work() -> int:
            sys.settrace(trace)
            act()
            return 0

        return work

    if what == "cancel":
        desk.broker.submit(REQUEST)
    name = f"{what}-sigc-1.csv"
    seen = set()
    for line in range(1, 500):
        ended = child(killed_at(line), None, Tally())
        found = desk.sent()
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        is_there = name in found
        seen.add((is_there, f"{name}.part" in found))
        if is_there:
            assert found[name].endswith("\n")
            assert len(found[name].splitlines()) == 2
        act()
        assert [one for one in desk.sent() if one.startswith(what)] == [name]
        (desk.outbox / name).unlink()
    assert seen == {(False, False), (False, True), (True, False)}, "deaths before, within and after the write"
    assert line > 20


# What becomes of an order


def test_an_answer_that_comes_late_ends_the_order_all_the_same(desk: Folders) -> None:
    assert desk.broker.submit(REQUEST).status is OrderStatus.NEW
    acks = desk.write("acks.csv", f"{ACKS}sigc-1,rejected,77,no locate,{STAMP}\n")
    (order,) = desk.broker.orders(NOW)
    assert (order.status, order.message, order.broker_order_id) == (OrderStatus.REJECTED, "no locate", "77")
    with pytest.raises(RejectedError, match="no locate"):
        desk.broker.submit(REQUEST)
    acks.write_text(f"{ACKS}sigc-1,expired,77,second,2024-01-15T16:00:00Z\nsigc-1,cancelled,77,first,{STAMP}\n")
    (order,) = desk.broker.orders(NOW)
    assert (order.status, order.message) == (OrderStatus.CANCELLED, "first"), "an order ends once"
    desk.write("fills.csv", f"{FILLS}{FILL}")
    (order,) = desk.broker.orders(NOW)
    assert (order.status, order.filled) == (OrderStatus.CANCELLED, Decimal(5))
    desk.write("fills-2.csv", f"{FILLS}{FILL}e2,sigc-1,ACME,buy,7.5,100,0,{STAMP}\n")
    (order,) = desk.broker.orders(NOW)
    assert (order.status, order.filled, order.message) == (OrderStatus.FILLED, Decimal("12.50"), "")
    assert desk.broker.orders(NOW + timedelta(seconds=1)) == ()


def test_an_answer_is_waited_for_until_one_did_not_come(tmp_path: Path) -> None:
    desk = Folders(tmp_path, ack_wait_s=2.0)
    orders = [replace(REQUEST, client_order_id=f"sigc-{n}") for n in range(4)]

    def waited(number: int) -> float:
        before = desk.clock.now()
        desk.broker.submit(orders[number])
        return (desk.clock.now() - before).total_seconds()

    assert [waited(0), waited(1)] == [2.0, 0.0]
    desk.write("acks.csv", f"{ACKS}sigc-0,accepted,1,,{STAMP}\nsigc-1,accepted,2,,{STAMP}\n")
    assert [waited(2), waited(3)] == [2.0, 0.0]


def test_an_order_that_both_folders_lost_is_never_written_again(tmp_path: Path) -> None:
    desk = Folders(tmp_path)
    desk.broker.submit(REQUEST)
    desk.write("acks.csv", f"{ACKS}sigc-1,accepted,1,,{STAMP}\n")
    (tmp_path / "done").mkdir()
    (desk.outbox / "order-sigc-1.csv").rename(tmp_path / "done" / "order-sigc-1.csv")
    broker = desk.opened()
    with pytest.raises(OutcomeUnknownError, match=r"bring it back, or name .*broker\.files\.taken"):
        broker.submit(REQUEST)
    with pytest.raises(UnreachableError, match="bring it back"):
        broker.order("sigc-1")
    assert desk.sent() == {}
    moved = desk.settings.model_copy(update={"taken": str(tmp_path / "done")})
    found = open_files(moved, desk.clock)
    assert found.submit(REQUEST).broker_order_id == "1"
    assert [o.request for o in found.orders(NOW)] == [REQUEST]
    assert desk.sent() == {}


def test_a_cancel_is_written_whatever_the_inbox_looks_like(desk: Folders) -> None:
    desk.broker.submit(REQUEST)
    desk.write("acks.csv", "garbage\ngarbage\n")
    desk.broker.cancel("sigc-1")
    assert "cancel-sigc-1.csv" in desk.sent()


@pytest.mark.parametrize("kind", ["none", "old", "garbage"])
def test_nothing_is_sent_while_the_inbox_does_not_answer(desk: Folders, kind: str) -> None:
    if kind == "none":
        (desk.inbox / "account.csv").unlink()
    if kind == "old":
        desk.clock.sleep(901.0)
    if kind == "garbage":
        desk.write("fills.csv", "garbage\n")
    with pytest.raises(NotSentError, match="nothing is sent while"):
        desk.broker.submit(REQUEST)
    assert desk.sent() == {}


# The inbox


def test_what_is_not_whole_yet_is_not_read(desk: Folders) -> None:
    desk.write("fills.csv", FILLS + FILL + FILL.replace("e1", "e2").removesuffix("\n"))
    for name in ("fills.csv.part", "acks.csv.tmp", ".fills.csv.swp"):
        desk.write(name, "garbage\n")
    desk.write("acks.csv", "")
    (desk.inbox / "archive").mkdir()
    first = desk.broker.activities("")
    assert [fill.execution_id for fill in first.fills] == ["e1"]
    with (desk.inbox / "fills.csv").open("a") as file:
        file.write("\n\r\n")
    second = desk.broker.activities(first.cursor)
    assert [fill.execution_id for fill in second.fills] == ["e2"]
    assert desk.opened().activities(second.cursor).fills == ()


BAD_FILLS = {
    f"{FILLS}e1,sigc-1,ACME,buy,5,100.25,{STAMP}\n": "line 2: it has 7 values, the header has 8",
    f"{FILLS}{FILL}{FILL.replace('100.25', '1,000.25')}": "line 3: it has 9 values",
    f"{FILLS}{FILL.replace('100.25', 'NaN')}": "line 2: price is no number: 'NaN'",
    f"{FILLS}{FILL.replace('100.25', '1_0')}": "line 2: price is no number: '1_0'",
    f"{FILLS}{FILL.replace('100.25', '٣')}": "line 2: price is no number",
    f"{FILLS}{FILL.replace('100.25', '')}": "line 2: price is no number: ''",
    f"{FILLS}{FILL.replace('buy,5', 'buy,-5')}": "line 2: quantity is not positive: -5",
    f"{FILLS}{FILL.replace('1.50', '-1.50')}": "line 2: commission is negative",
    f"{FILLS}{FILL.replace('buy', 'B')}": "line 2: side is neither buy nor sell: 'B'",
    f"{FILLS}{FILL.replace('Z', '')}": "line 2: time has no zone",
    f"{FILLS}{FILL.replace(STAMP, 'noon')}": "line 2: time is no time",
    f"{FILLS}{FILL.replace('e1', '')}": "line 2: execution_id is empty",
    FILLS.replace("price", "px"): "line 1: the column 'price' of fills files is missing",
    FILLS.replace("price", "side"): "line 1: a column is named twice",
    f'{FILLS}"e1{FILL}': "line 2: it is no line of csv",
    f"{FILLS}\0{FILL}": "line 2: it has a zero byte",
}


@pytest.mark.parametrize(("text", "why"), BAD_FILLS.items(), ids=list(BAD_FILLS.values()))
def test_a_malformed_line_is_named(desk: Folders, text: str, why: str) -> None:
    path = desk.write("fills-20240115.csv", text)
    for read in (lambda: desk.broker.activities(""), lambda: desk.broker.orders(NOW)):
        with pytest.raises(UnreachableError) as told:
            read()
        assert str(told.value).startswith(f"{path}, {why}")


BAD_LINES = {
    "[1]": "it is no JSON object",
    "{": "it is no JSON",
    '{"client_order_id": "a", "client_order_id": "b"}': "a column is named twice",
    '{"client_order_id": true}': "client_order_id is neither a text nor a number",
    '{"client_order_id": "a"}': "the column 'status' of acks files is missing",
}


@pytest.mark.parametrize(("line", "why"), BAD_LINES.items())
def test_a_malformed_json_line_is_named(tmp_path: Path, line: str, why: str) -> None:
    desk = Folders(tmp_path, format="jsonl")
    (desk.inbox / "account.csv").unlink()
    path = desk.write("acks.jsonl", f"{line}\n")
    with pytest.raises(UnreachableError) as told:
        desk.broker.orders(NOW)
    assert str(told.value).startswith(f"{path}, line 1: {why}")


@pytest.mark.parametrize("name", ["fill.csv", "fills.txt", "fills.jsonl", "README", "orders.csv", "fillsold.csv"])
def test_a_file_of_no_kind_is_named(desk: Folders, name: str) -> None:
    path = desk.write(name, "")
    with pytest.raises(UnreachableError) as told:
        desk.broker.positions()
    assert str(told.value).startswith(f"{path}: only files acks*, fills*")


def test_a_status_that_is_none_is_named(desk: Folders) -> None:
    path = desk.write("acks.csv", f"{ACKS}sigc-1,working,1,,{STAMP}\n")
    with pytest.raises(UnreachableError) as told:
        desk.broker.order("sigc-1")
    assert str(told.value) == f"{path}, line 2: status is none of accepted, rejected, cancelled, expired: 'working'"


def test_a_fill_in_two_files_counts_once_and_two_under_one_id_are_an_error(desk: Folders) -> None:
    desk.broker.submit(REQUEST)
    desk.write("fills.csv", FILLS + FILL + FILL)
    desk.write("fills-old.csv", FILLS + FILL.replace("5,100.25", "5.0,100.250"))
    assert len(desk.broker.activities("").fills) == 1
    (order,) = desk.broker.orders(NOW)
    assert order.filled == 5
    desk.write("fills-old.csv", FILLS + FILL.replace("100.25", "100.26"))
    with pytest.raises(
        UnreachableError, match=r"fills.csv, line 2: e1 is told otherwise than in .*fills-old.csv, line 2"
    ):
        desk.broker.activities("")


def test_a_fill_of_another_asset_than_its_order_is_an_error(desk: Folders) -> None:
    desk.broker.submit(REQUEST)
    desk.write("fills.csv", FILLS + FILL.replace("ACME", "APEX"))
    with pytest.raises(UnreachableError, match="the fill e1 is to buy APEX, and its order to buy ACME"):
        desk.broker.activities("")


def test_hand_trades_and_charges_are_told(desk: Folders) -> None:
    desk.write("fills.csv", FILLS + FILL + FILL.replace("e1,sigc-1", "e2,") + FILL.replace("e1,sigc-1", "e3,hand 7"))
    desk.write("charges.csv", f"charge_id,kind,asset,amount,time\nc1,dividend,ACME,12.34,{STAMP}\nc2,fee,,-1,{STAMP}\n")
    read = desk.broker.activities("")
    assert [(fill.execution_id, fill.client_order_id) for fill in read.fills] == [
        ("e1", "sigc-1"),
        ("e2", "e2"),
        ("e3", "hand 7"),
    ]
    assert [(c.id, c.kind, c.asset, c.amount) for c in read.charges] == [
        ("c1", "dividend", "ACME", Decimal("12.34")),
        ("c2", "fee", "", Decimal(-1)),
    ]
    assert desk.broker.activities(read.cursor).charges == ()


def test_snapshots(desk: Folders) -> None:
    head, old = "time,asset,quantity\n", "2024-01-15T14:50:00Z"
    with pytest.raises(UnreachableError, match=r"inbox has no snapshot of positions \(positions\*\)"):
        desk.broker.positions()
    flat = desk.write("positions-1.csv", f"{head}{old},,\n")
    assert desk.broker.positions() == {}
    held = desk.write("positions-2.csv", f"{head}{STAMP},B,-3\n{STAMP},A,1.5\n{STAMP},C,0\n")
    assert list(desk.broker.positions().items()) == [("A", Decimal("1.5")), ("B", Decimal(-3))]
    desk.write("positions-3.csv", f"{head}2024-01-15T14:59:30Z,A,2")
    assert desk.broker.positions()["A"] == Decimal("1.5"), "an unfinished snapshot is none yet"
    flat.write_text(f"{head}{STAMP},A,1.5\n")
    with pytest.raises(UnreachableError, match=r"positions-2.csv, line 2: it differs from .*positions-1.csv, line 2"):
        desk.broker.positions()
    flat.unlink()
    for text, why in {
        f"{STAMP},A,1\n{STAMP},A,1\n": "line 3: asset 'A' is there twice",
        f"{STAMP},A,1\n{old},B,1\n": "line 3: time is not that of the lines before",
        f"{STAMP},,1\n": "line 2: asset is empty",
    }.items():
        held.write_text(head + text)
        with pytest.raises(UnreachableError, match=why):
            desk.broker.positions()
    held.write_text(f"{head}{STAMP},A,1\n")
    desk.clock.sleep(841.0)
    with pytest.raises(UnreachableError, match=r"of 2024-01-15 14:59:00 UTC, 901 s ago, and .*max_age_s is 900"):
        desk.broker.positions()
    held.write_text(f"{head}2024-01-15T15:16:00Z,A,1\n")
    with pytest.raises(UnreachableError, match="119 s ahead of this clock"):
        desk.broker.positions()


def test_a_folder_that_is_not_mounted_is_not_an_empty_one(desk: Folders) -> None:
    for folder in (desk.outbox, desk.inbox):
        folder.rename(folder.with_suffix(".away"))
    for read in (lambda: desk.broker.order("sigc-1"), desk.broker.account, lambda: desk.broker.activities("")):
        with pytest.raises(UnreachableError, match="is not there: is it mounted"):
            read()
    with pytest.raises(NotSentError):
        desk.broker.submit(REQUEST)


def test_a_place_of_another_broker_is_refused(desk: Folders) -> None:
    for said in ("5", '["20240115::x", "2024-01-15"]', "paper"):
        with pytest.raises(UnreachableError, match="not of a broker of folders"):
            desk.broker.activities(said)


STEPS = st.lists(st.tuples(st.sampled_from("aancrmx!!"), st.integers(0, 5)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_each_fill_is_told_however_files_come_and_go(tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    """a: append, n: a new file, c: a copy of a fill, r: rename, m: move away, x: rewrite, !: read."""
    desk = Folders(tmp_path_factory.mktemp("folders"))
    visible: dict[str, list[str]] = {}
    told: list[str] = []
    ever: set[str] = set()
    cursor, is_once = "", True
    for number, (step, which) in enumerate([*steps, ("!", 0)]):
        names = sorted(visible)
        name = names[which % len(names)] if names else ""
        if step in "an" or not names:
            name = name if step == "a" and names else f"fills-{which}-{number}.csv"
            visible.setdefault(name, []).append(f"e{number}")
        elif step == "c":
            visible[f"fills-{number}.csv"] = visible[name][:1]
            is_once = False  # where the first file is moved away, only the ledger knows
        elif step == "r":
            visible[f"fills-old-{number}.csv"] = visible.pop(name)
            (desk.inbox / name).rename(desk.inbox / f"fills-old-{number}.csv")
            is_once = False
        elif step == "m":
            del visible[name]
            (desk.inbox / name).unlink()
        elif step == "x":
            visible[name] = visible[name][::-1]
            is_once = False
        for each, ids in visible.items():
            desk.write(each, FILLS + "".join(FILL.replace("e1,sigc-1", f"{id},h") for id in ids))
        if step == "!":
            read = desk.opened().activities(cursor)
            cursor = read.cursor
            told += [fill.execution_id for fill in read.fills]
            ever |= {id for ids in visible.values() for id in ids}
            assert set(told) == ever
            assert desk.broker.activities(cursor).fills == ()
    if is_once:
        assert len(told) == len(ever)


WORDS = ["e1", "sigc-1", "ACME", "buy", "SELL", "5", "-0.0", "1e9", "1e999", "NaN", "", " ", '"', "\0", "é", "accepted"]
WORDS += [
    STAMP,
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2024-01-15",
    "{",
    "[" * 20_000,
    "true",
    "1" * 200_000,
]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from([*COLUMNS]).filter(lambda kind: kind not in ("order", "cancel")),
    is_json=st.booleans(),
    rows=st.lists(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=3)), max_size=9), max_size=4),
    end=st.sampled_from(["\n", "\r\n", "\r", ""]),
)
def test_no_file_breaks_a_read_otherwise_than_by_an_error_that_names_it(
    tmp_path_factory: pytest.TempPathFactory, kind: str, is_json: bool, rows: list[list[str]], end: str
) -> None:
    folder = tmp_path_factory.mktemp("folders")
    desk = Folders(folder, format="jsonl" if is_json else "csv")
    (desk.inbox / "account.csv").unlink()
    columns = COLUMNS[kind]
    if is_json:
        lines = [json.dumps(dict(zip(columns, row, strict=False))) if row[:1] != ["{"] else row[-1] for row in rows]
    else:
        lines = [",".join(columns), *(",".join(row) for row in rows)]
    path = desk.inbox / f"{kind}-1.{desk.settings.format}"
    path.write_bytes("".join(line + end for line in lines).encode())
    reads = (desk.broker.account, desk.broker.positions, lambda: desk.broker.orders(NOW))
    for read in (*reads, lambda: desk.broker.activities("")):
        told = ""
        try:
            read()
        except UnreachableError as error:
            told = str(error)
        assert not told or (told.startswith(str(desk.inbox)) and len(told) < 1_000)


# Settings


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "broker.files.outbox is not set"),
        ({"outbox": "outbox", "inbox": "/b"}, "broker.files.outbox is no absolute path: outbox"),
        ({"outbox": "/a", "inbox": "/a"}, "must be different folders"),
        ({"outbox": "/a", "inbox": "/b", "columns": {"quantiy": "qty"}}, "no file has a column 'quantiy'"),
        ({"outbox": "/a", "inbox": "/b", "columns": {"asset": "side"}}, "would be named 'side'"),
        ({"outbox": "/a", "inbox": "/b", "columns": {"asset": ""}}, "would be named ''"),
    ],
)
def test_settings_that_can_not_be_right_are_told(tmp_path: Path, given: dict[str, Any], why: str) -> None:
    with pytest.raises(SigcError, match=why) as told:
        open_broker(BrokerSettings(type="files", files=FilesSettings.model_validate(given)), tmp_path, HandClock(NOW))
    assert told.value.diagnostics[0].code == "E402"


def test_it_is_live_unless_it_is_said_not_to_be(tmp_path: Path) -> None:
    for is_live in (True, False):
        given = {"outbox": str(tmp_path / "o"), "inbox": str(tmp_path / "i"), "shorting": False}
        files = FilesSettings.model_validate(given if is_live else {**given, "is_live": False})
        chosen = BrokerSettings(type="files", files=files)
        broker = open_broker(chosen, tmp_path, HandClock(NOW))
        can = broker.capabilities()
        assert (can.is_live, can.shorting, simulation(broker)) == (is_live, False, None)
        assert (can.name, has_no_money(can.name)) == (chosen.label, not is_live)
        close_broker(broker)
