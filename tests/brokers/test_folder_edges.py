"""The broker of folders at the edges of what is taken: values by hand, files byte by byte, times to the second."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.errors import SigcError
from sigc.store.ledger.records import OrderType, Side
from sigc_pipelines.brokers.files.columns import ACKS as ACK_FILES
from sigc_pipelines.brokers.files.columns import FILLS as FILL_FILES
from sigc_pipelines.brokers.files.columns import POSITIONS, FolderForm, FolderRow
from sigc_pipelines.brokers.files.inbox import FolderInbox
from sigc_pipelines.brokers.files.opening import open_files
from sigc_pipelines.brokers.protocol import (
    Account,
    NotSentError,
    OrderStatus,
    OutcomeUnknownError,
    RejectedError,
    UnreachableError,
)
from tests.brokers.test_folders import ACCOUNT, ACKS, FILL, FILLS, NOW, REQUEST, STAMP, Folders

D = Decimal
HEAD = "time,asset,quantity\n"


@pytest.fixture
def desk(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


# Orders that are taken, and that are none.


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"client_order_id": "a/b"}, "the client order id 'a/b' can't be part of a file's name"),
        ({"asset": ""}, "the asset '' is no name"),
        ({"asset": "A\n"}, "the asset 'A\\n' is no name"),
        ({"asset": "A\tB"}, "the asset 'A\\tB' is no name"),
        ({"asset": "A "}, "the asset 'A ' is no name"),
        ({"quantity": D(0)}, "the quantity 0 is none"),
        ({"quantity": D(-1)}, "the quantity -1 is none"),
        ({"quantity": D("NaN")}, "the quantity NaN is none"),
        ({"quantity": D("Infinity")}, "the quantity Infinity is none"),
        ({"quantity": D(10**18)}, "the quantity 1000000000000000000 is none"),
        ({"quantity": D("0.7")}, "the quantity 0.7 is no multiple of 0.5"),
        ({"order_type": OrderType.LIMIT}, "a limit order has a limit price, and no other order has one"),
        ({"limit": D(1)}, "a limit order has a limit price, and no other order has one"),
        ({"order_type": OrderType.LIMIT, "limit": D(0)}, "the limit 0 is no price"),
        ({"order_type": OrderType.LIMIT, "limit": D(-1)}, "the limit -1 is no price"),
        ({"order_type": OrderType.LIMIT, "limit": D("Infinity")}, "the limit Infinity is no price"),
        ({"order_type": OrderType.LIMIT, "limit": D(10**18)}, "the limit 1000000000000000000 is no price"),
    ],
)
def test_an_order_that_is_none_is_rejected_in_words(desk: Folders, wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(RejectedError) as told:
        desk.broker.submit(replace(REQUEST, **wrong))
    assert (str(told.value), desk.sent()) == (why, {})


@pytest.mark.parametrize(
    "given",
    [
        {"quantity": D(10**18 - 1)},
        {"quantity": D(1000)},
        {"order_type": OrderType.LIMIT, "limit": D(1000)},
        {"order_type": OrderType.LIMIT, "limit": D("999999999999999999.5")},
        {"side": Side.SELL, "asset": "BRK B"},
    ],
)
def test_an_order_at_the_edge_is_written_and_read_back(desk: Folders, given: dict[str, Any]) -> None:
    order = desk.broker.submit(replace(REQUEST, **given))
    again = desk.opened().order("sigc-1")
    assert again == order
    assert order.request == replace(REQUEST, **given)


def test_an_id_is_taken_once(desk: Folders) -> None:
    desk.broker.submit(REQUEST)
    with pytest.raises(RejectedError, match="client order id sigc-1 is taken by a different order"):
        desk.broker.submit(replace(REQUEST, quantity=D(1)))


def test_an_answer_is_looked_for_in_growing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as long each time, up to half a second, and to the end of two."""
    desk, waits = Folders(tmp_path, ack_wait_s=2.0), list[float]()
    sleep = HandClock.sleep

    def noted(clock: HandClock, seconds: float) -> None:
        waits.append(round(seconds, 6))
        sleep(clock, seconds)

    monkeypatch.setattr(HandClock, "sleep", noted)
    desk.broker.submit(REQUEST)
    assert waits == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.38]


def test_who_answered_is_waited_for_again_though_the_answer_was_moved_away(tmp_path: Path) -> None:
    desk = Folders(tmp_path, ack_wait_s=2.0)
    acks = desk.write("acks.csv", f"{ACKS}sigc-2,accepted,1,,{STAMP}\n")
    with pytest.raises(OutcomeUnknownError):  # what is told of it is told before it is sent
        desk.broker.submit(replace(REQUEST, client_order_id="sigc-2"))
    acks.unlink()
    desk.broker.submit(REQUEST)
    desk.write("acks.csv", f"{ACKS}sigc-1,accepted,1,,{STAMP}\n")
    desk.broker.submit(REQUEST)  # it is answered now
    acks.unlink()
    before = desk.clock.now()
    desk.broker.submit(replace(REQUEST, client_order_id="sigc-3"))
    assert desk.clock.now() - before == timedelta(seconds=2)


def test_a_rejection_without_a_word_is_one(desk: Folders) -> None:
    desk.broker.submit(REQUEST)
    desk.write("acks.csv", f"{ACKS}sigc-1,rejected,,,{STAMP}\n")
    with pytest.raises(RejectedError, match="the order management system rejected it without a reason"):
        desk.broker.submit(REQUEST)
    desk.broker.cancel("sigc-1")  # it has ended
    assert list(desk.sent()) == ["order-sigc-1.csv"]


@pytest.mark.parametrize("id", ["../sigc", "", ".x", "nothing"])
def test_there_is_no_order_to_cancel(desk: Folders, id: str) -> None:
    with pytest.raises(RejectedError, match="there is no order"):
        desk.broker.cancel(id)
    assert desk.broker.order(id) is None


def test_open_orders_are_listed_however_old(desk: Folders) -> None:
    """In order of their time, then of their ids; an ended one from its time on."""
    for id, seconds in (("sigc-b", 0), ("sigc-a", 0), ("sigc-0", 60)):
        desk.clock.turn(NOW + timedelta(seconds=seconds))
        desk.broker.submit(replace(REQUEST, client_order_id=id))
    desk.write("account.csv", ACCOUNT)
    desk.broker.cancel("sigc-0")  # a file beside theirs
    later = NOW + timedelta(seconds=61)
    assert [o.request.client_order_id for o in desk.broker.orders(later)] == ["sigc-a", "sigc-b", "sigc-0"]
    desk.write("acks.csv", f"{ACKS}sigc-a,expired,,,{STAMP}\nsigc-0,cancelled,,,{STAMP}\n")
    assert [o.request.client_order_id for o in desk.broker.orders(later)] == ["sigc-b"]
    last = NOW + timedelta(seconds=60)
    assert [o.request.client_order_id for o in desk.broker.orders(last)] == ["sigc-b", "sigc-0"]


@pytest.mark.parametrize("by", ["acks", "fills"])
def test_an_order_that_the_inbox_knows_and_the_outbox_does_not(tmp_path: Path, by: str) -> None:
    desk = Folders(tmp_path, taken=str(tmp_path / "taken"))
    (tmp_path / "taken").mkdir()
    desk.write(f"{by}.csv", f"{ACKS}sigc-1,accepted,1,,{STAMP}\n" if by == "acks" else FILLS + FILL)
    text = (
        f"{desk.inbox} tells of the order sigc-1, and its file is not in {desk.outbox} and {tmp_path / 'taken'}: bring it"
        " back, or name the folder to which orders are moved in broker.files.taken"
    )
    with pytest.raises(UnreachableError) as told:
        desk.broker.order("sigc-1")
    assert str(told.value) == text
    with pytest.raises(OutcomeUnknownError) as unknown:
        desk.broker.submit(REQUEST)
    assert str(unknown.value) == text
    plain = open_files(desk.settings.model_copy(update={"taken": None}), desk.clock)
    with pytest.raises(UnreachableError, match=f"its file is not in {desk.outbox}: bring"):
        plain.order("sigc-1")


def test_a_folder_of_what_was_taken_that_is_not_there_leaves_it_open(tmp_path: Path) -> None:
    """The order may be in it. Without an outbox, nothing was sent, and may be in a second."""
    desk = Folders(tmp_path, taken=str(tmp_path / "taken"))
    with pytest.raises(OutcomeUnknownError, match="taken is not there: is it mounted"):
        desk.broker.submit(REQUEST)
    (tmp_path / "taken").mkdir()
    desk.outbox.rmdir()
    with pytest.raises(NotSentError) as told:
        desk.broker.submit(REQUEST)
    assert told.value.retry_after_s == 1.0
    desk.outbox.mkdir()
    (desk.inbox / "account.csv").unlink()
    with pytest.raises(NotSentError, match="nothing is sent while the inbox does not answer") as told:
        desk.broker.submit(REQUEST)
    assert told.value.retry_after_s == 1.0


# Writing.


def test_a_file_is_flushed_whole_before_it_has_its_name(desk: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, list[str]]] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        seen.append((os.fstat(handle).st_size, [path.name for path in desk.outbox.iterdir()]))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    desk.broker.submit(REQUEST)
    (text,) = desk.sent().values()
    assert seen[0] == (len(text), ["order-sigc-1.csv.part"])
    assert [names for _, names in seen[1:]] == [["order-sigc-1.csv"]]  # then the folder


def test_a_file_that_can_not_be_begun_was_not_sent(desk: Folders) -> None:
    part = desk.outbox / "order-sigc-1.csv.part"
    part.symlink_to(part)  # a loop
    with pytest.raises(NotSentError, match="can't be written: Too many levels of symbolic links"):
        desk.broker.submit(REQUEST)
    assert list(desk.outbox.iterdir()) == []


def test_a_rename_that_fails_leaves_no_file_and_one_that_may_be_done_leaves_it_open(
    desk: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "rename", broken)
        with pytest.raises(NotSentError, match="order-sigc-1.csv can't be written: Input/output error"):
            desk.broker.submit(REQUEST)
        assert desk.sent() == {}
        disk.setattr(Path, "exists", broken)  # nor can it be asked for
        with pytest.raises(OutcomeUnknownError, match="may be written: Input/output error"):
            desk.broker.submit(REQUEST)


@pytest.mark.parametrize(
    "text",
    [
        "sigc-2,ACME,buy,1,market,,day,2024-01-15T15:00:00Z\n",
        "sigc-1,ACME,buy,1,market,,day,2024-01-15T15:00:00Z\n" * 2,
        "",
    ],
)
def test_a_file_that_is_not_the_order_of_its_name_is_an_error(desk: Folders, text: str) -> None:
    head = "client_order_id,asset,side,quantity,order_type,limit,time_in_force,submitted\n"
    (desk.outbox / "order-sigc-1.csv").write_text(head + text)
    for read in (lambda: desk.broker.order("sigc-1"), lambda: desk.broker.orders(NOW)):
        with pytest.raises(UnreachableError, match="it is not the one order that its name says"):
            read()


# Snapshots.


def test_the_money_is_that_of_the_newest_row(desk: Folders) -> None:
    older = "2024-01-15T14:58:00Z,1,2,3\n"
    desk.write("account.csv", ACCOUNT + older)
    assert desk.broker.account() == Account(D("1000.10"), D("1000.10"), D("2000.20"))
    desk.write("account-2.csv", "time,cash,equity,buying_power\n" + f"{STAMP},1000.1,1000.1,2000.2\n")
    assert desk.broker.account().buying_power == D("2000.20")  # told twice
    desk.write("account-2.csv", "time,cash,equity,buying_power\n" + f"{STAMP},1000.1,1000.1,2000.3\n")
    with pytest.raises(UnreachableError, match="of the same time; which of them is right"):
        desk.broker.account()


@pytest.mark.parametrize(
    ("age_s", "text"),
    [(900, None), (901, "901 s ago"), (0, None), (-60, None), (-61, "61 s ahead of this clock")],
)
def test_the_age_of_a_snapshot(desk: Folders, age_s: int, text: str | None) -> None:
    """Of 900 seconds at most, and of a clock that is a minute ahead."""
    at = NOW - timedelta(seconds=age_s)
    desk.write("positions.csv", f"{HEAD}{at.isoformat()},A,1\n")
    if text is None:
        assert desk.broker.positions() == {"A": D(1)}
    else:
        with pytest.raises(UnreachableError, match=text):
            desk.broker.positions()


def test_a_snapshot_without_a_row_is_none_and_a_row_without_an_asset_is_nothing(desk: Folders) -> None:
    desk.write("positions-1.csv", HEAD)
    with pytest.raises(UnreachableError, match="has no snapshot of positions"):
        desk.broker.positions()
    desk.write("positions-2.csv", f"{HEAD}{STAMP},,0\n")
    assert desk.broker.positions() == {}


@pytest.mark.parametrize(("was", "now", "why"), [("buy,5", "buy,0", "quantity is not positive: 0"), ("100.25", "0.00", "price is not positive: 0.00")])  # fmt: skip
def test_a_fill_of_nothing_is_none(desk: Folders, was: str, now: str, why: str) -> None:
    desk.write("fills.csv", FILLS + FILL.replace(was, now))
    with pytest.raises(UnreachableError, match=why):
        desk.broker.activities("")


def test_fills_are_told_in_order_of_their_times(desk: Folders) -> None:
    later = FILL.replace("e1", "e0").replace("14:59:00", "14:59:01")
    same = FILL.replace("e1", "e5")
    desk.write("fills.csv", FILLS + later + same + FILL.replace("1.50", "0"))
    read = desk.broker.activities("")
    assert [fill.execution_id for fill in read.fills] == ["e1", "e5", "e0"]
    assert read.fills[0].commission == 0


# The place in the inbox.


def test_the_place_is_a_size_and_a_digest_by_file(desk: Folders) -> None:
    data = (FILLS + FILL).encode()
    desk.write("fills.csv", FILLS + FILL + "e2,")
    desk.write("charges.csv", "")
    digest = blake2b(data, digest_size=8).hexdigest()
    assert desk.broker.activities("").cursor == json.dumps({"fills.csv": [len(data), digest]}, separators=(",", ":"))


def test_a_file_that_was_rewritten_is_told_whole_again(desk: Folders) -> None:
    path = desk.write("fills.csv", FILLS + FILL)
    place = desk.broker.activities("").cursor
    more = FILL.replace("e1", "e2")
    path.write_text(FILLS + FILL + more)
    assert [fill.execution_id for fill in desk.broker.activities(place).fills] == ["e2"]
    path.write_text(FILLS + more + FILL)
    assert [fill.execution_id for fill in desk.broker.activities(place).fills] == ["e1", "e2"]
    path.write_text(FILLS)
    assert desk.broker.activities(place).fills == ()
    path.unlink()
    desk.write("fills-2.csv", FILLS + FILL)
    assert [fill.execution_id for fill in desk.broker.activities(place).fills] == ["e1"]


def inbox_of(folder: Path, **meaning: Callable[[FolderRow], object]) -> FolderInbox:
    return FolderInbox(folder, FolderForm.of("csv", {}), meaning)


def test_a_file_that_stays_as_it_is_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds after its last change, by either of its stamps; until then it may change under the same ones."""
    path = tmp_path / "fills.csv"
    path.write_text(FILLS + FILL)
    os.utime(path, (1, 1))  # as a copy that keeps the time of its original
    changed = path.stat().st_ctime_ns
    inbox = inbox_of(tmp_path)
    for after_ns, is_kept in ((2_000_000_000, False), (2_000_000_001, True)):
        monkeypatch.setattr(time, "time_ns", lambda now=changed + after_ns: now)
        (first,), (second,) = inbox.files(FILL_FILES), inbox.files(FILL_FILES)
        assert (first is second) is is_kept
    with path.open("a") as file:
        file.write(FILL.replace("e1", "e2"))
    (third,) = inbox.files(FILL_FILES)
    assert [row.text("execution_id") for row in third.rows] == ["e1", "e2"]


def test_a_file_that_is_always_gone_is_tried_five_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fills.csv").symlink_to(tmp_path / "nowhere")
    listed: list[object] = []
    scan = os.scandir

    def noted(folder: Any) -> Any:
        listed.append(folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", noted)
    with pytest.raises(UnreachableError, match="its files are moved while they are read"):
        inbox_of(tmp_path).files(FILL_FILES)
    assert listed == [tmp_path] * 5


def test_only_files_of_the_kinds_that_are_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / "acks.csv").write_text("garbage\n")
    (tmp_path / "fills-2.csv").write_text(FILLS + FILL)
    (tmp_path / "fills.csv").write_text(FILLS)
    (tmp_path / "positions.csv").write_text(f"{HEAD}{STAMP},A,1")
    (tmp_path / "positions.csv.d").mkdir()
    first, second = inbox_of(tmp_path, fills=lambda row: row.text("asset")).files(FILL_FILES)
    assert (first.name, first.facts, first.is_whole) == (
        "fills-2.csv",
        ((f"{tmp_path}/fills-2.csv, line 2", "ACME"),),
        True,
    )
    assert (second.name, second.rows, second.size) == ("fills.csv", (), len(FILLS))
    (third,) = inbox_of(tmp_path).files(POSITIONS)
    assert (third.rows, third.facts, third.is_whole, third.size) == ((), (), False, len(HEAD))
    assert first.rows_within(len(FILLS)) == 0
    assert first.rows_within(first.size) == 1
    with pytest.raises(UnreachableError, match="the column 'client_order_id' of acks files is missing"):
        inbox_of(tmp_path).files(ACK_FILES)


# Columns.


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        ({"quantiy": "qty"}, "broker.files.columns: no file has a column 'quantiy'", "quantity"),
        ({"zzzzzz": "qty"}, "broker.files.columns: no file has a column 'zzzzzz'", "write our name of the column first"),
        ({"asset": "side"}, "broker.files.columns: two columns of order files would be named 'side'", "a name of its own"),
        ({"asset": ""}, "broker.files.columns: two columns of order files would be named ''", "a name of its own"),
        ({"cash": "equity"}, "broker.files.columns: two columns of account files would be named 'equity'", "a name"),
    ],
)  # fmt: skip
def test_names_of_columns_that_can_not_be(names: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(SigcError) as told:
        FolderForm.of("csv", names)
    (found,) = told.value.diagnostics
    assert (found.code, found.message) == ("E402", message)
    assert hint in str(found.hint)


def row(**values: str) -> FolderRow:
    return FolderRow("f, line 2", values, FolderForm.of("csv", {"message": "Text"}))


def test_values_of_a_row() -> None:
    one = row(side="SELL", quantity="-1.50e2", time="2024-01-15T09:59:00-05:00", asset="A", message="")
    assert (one.side("side"), one.name("asset"), one.text("message")) == (Side.SELL, "A", "")
    assert str(one.number("quantity")) == "-150"
    at = one.instant("time")
    assert (at, at.tzinfo) == (datetime(2024, 1, 15, 14, 59, tzinfo=UTC), UTC)
    with pytest.raises(UnreachableError, match=r"^f, line 2: Text is empty$"):
        one.name("message")


@pytest.mark.parametrize(("length", "shown"), [(60, "x" * 60), (61, "x" * 60 + "..."), (400, "x" * 60 + "...")])
def test_a_long_value_is_cut_in_an_error(length: int, shown: str) -> None:
    with pytest.raises(UnreachableError) as told:
        row(side="x" * length).side("side")
    assert str(told.value) == f"f, line 2: side is neither buy nor sell: '{shown}'"


def test_a_long_reason_is_cut() -> None:
    with pytest.raises(UnreachableError) as told:
        row(side="").malformed("side", "x" * 400)
    assert str(told.value) == "f, line 2: side " + "x" * 295


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_file_of_one_row_is_read_as_it_was_written(format: str) -> None:
    form = FolderForm.of(format, {"message": "Text"})
    values = {"client_order_id": "a", "status": "accepted", "order_id": "", "message": 'a "b", c', "time": STAMP}
    data = form.file_of(ACK_FILES, values)
    (one,) = form.rows_of(ACK_FILES, "f", data)
    assert one.values == values
    assert one.at == ("f, line 2" if format == "csv" else "f, line 1")


def test_values_of_json_that_are_none_are_empty() -> None:
    said = {"client_order_id": "a", "status": " accepted ", "order_id": None, "message": 7, "time": STAMP}
    (one,) = FolderForm.of("jsonl", {}).rows_of(ACK_FILES, "f", b"\n" + json.dumps(said).encode() + b"\n")
    assert (one.text("order_id"), one.text("message"), one.text("status")) == ("", "7", "accepted")
    assert one.at == "f, line 2"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\xff\n", "f, line 1: it is not UTF-8"),
        (b'{"a": "b\n', "f, line 1: it is no JSON: "),
        (b'{"client_order_id": ["a"]}\n', "f, line 1: client_order_id is neither a text nor a number"),
    ],
)
def test_a_line_that_is_none(line: bytes, why: str) -> None:
    with pytest.raises(UnreachableError) as told:
        FolderForm.of("jsonl", {}).rows_of(ACK_FILES, "f", line)
    assert str(told.value).startswith(why)


def test_a_mark_at_the_begin_of_a_file_is_no_part_of_its_first_column() -> None:
    form = FolderForm.of("csv", {})
    (one,) = form.rows_of(FILL_FILES, "f", b"\xef\xbb\xbf" + (FILLS + FILL).replace("\n", "\r\n").encode())
    assert (one.text("execution_id"), one.text("time")) == ("e1", STAMP)
    assert form.rows_of(FILL_FILES, "f", b"") == form.rows_of(FILL_FILES, "f", FILLS.encode()) == ()


# An order as it stands.


def test_an_order_with_a_part_filled_and_an_answer_with_its_number(desk: Folders) -> None:
    desk.broker.submit(REQUEST)
    desk.write("acks.csv", f"{ACKS}sigc-1,accepted,,,{STAMP}\nsigc-1,accepted,77,,{STAMP}\n")
    desk.write("fills.csv", FILLS + FILL + FILL.replace("e1", "e2").replace("buy,5", "buy,2.5"))
    order = desk.broker.order("sigc-1")
    assert order is not None
    assert (order.status, order.filled, order.broker_order_id, order.message) == (
        *(OrderStatus.PARTIALLY_FILLED, D("7.5"), "77", ""),
    )
