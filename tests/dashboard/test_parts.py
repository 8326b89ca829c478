"""Laws of the parts: what is text is never an element; what is unknown is waited for; HTML is whole."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.rpc.messages.requests import StatusReply
from sigc.rpc.schema import hints
from sigc.rpc.verb import Role
from sigc_dashboard.daemon_feed import STATUS, Ask, FeedAnswer, Snapshot
from sigc_dashboard.html import Html, tag, text
from sigc_dashboard.parts.masthead import masthead
from sigc_dashboard.view_api import Following, Look, View, Where
from sigc_dashboard.views import VIEWS

EVIL = "<script>alert(1)</script>\"' onmouseover=alert(2) x='<img src=x onerror=alert(3)>&lt;"
NOW = datetime(2024, 1, 2, 15, 0, tzinfo=UTC)
VOID = {"meta", "input", "br", "hr", "img", "link"}
EMPTY = Snapshot()


def filled(kind: Any, string: str) -> Any:
    """A value of a type in which every text is `string`."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or kind is str:
        return string
    if origin is typing.Annotated:
        return filled(inner[0], string)
    if origin in (typing.Union, types.UnionType):
        return filled(next(one for one in inner if one is not type(None)), string)
    if origin is tuple:
        return (filled(inner[0], string),) * 2 if inner[-1] is Ellipsis else tuple(filled(one, string) for one in inner)
    if origin is not None and issubclass(origin, Mapping):
        return {filled(inner[0], string): filled(inner[1], string)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        found = hints(kind)
        return kind(**{f.name: filled(found[f.name], string) for f in dataclasses.fields(kind)})
    plain: dict[Any, Any] = {int: 3, float: 0.5, bool: True, datetime: NOW, date: NOW.date(), object: string}
    return plain[kind]


class Reading(HTMLParser):
    """Which elements and attributes a browser would see, and whether each element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.add(name)
        self.attributes |= {key for key, _ in attributes}
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def snapshot_of(view: View, where: Where, string: str) -> Snapshot:
    """Everything a view asks, answered with `string`."""
    answers: dict[Ask[Any], FeedAnswer] = {}
    for _ in range(2):
        snapshot = Snapshot(MappingProxyType(answers), 1.0)
        more = view.follow(Look(where, snapshot, Role.TRADE)) if isinstance(view, Following) else ()
        for ask in (STATUS, *view.asks(where), *more):
            answers.setdefault(ask, FeedAnswer(filled(ask.reply, string)))
    return Snapshot(MappingProxyType(answers), 1.0)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("role", list(Role))
def test_no_text_of_the_daemon_becomes_an_element(view: View, role: Role) -> None:
    tame, wild = (
        [Reading(str(part.html)) for part in view.parts(Look(where, snapshot_of(view, where, where.what), role))]
        for where in (Where("demo", "tame"), Where("demo", EVIL))
    )
    assert [one.elements for one in wild] == [one.elements for one in tame]
    assert [one.attributes for one in wild] == [one.attributes for one in tame]
    assert not any(one.open for one in wild)
    assert any("<script>" in words for one in wild for words in one.texts)
    assert not {name for one in wild for name in one.attributes if name.startswith("on")}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_is_ready_for_answers_that_are_not_there(view: View) -> None:
    where = Where("demo", "momentum")
    known = snapshot_of(view, where, "tame")
    asks = list(known.answers)
    shape = [(part.name, part.title) for part in view.parts(Look(where, known, Role.TRADE))]
    refused = {ask: FeedAnswer(None, "refused for a reason") for ask in asks}
    some = [
        EMPTY,
        Snapshot(MappingProxyType(refused)),
        *(Snapshot(MappingProxyType({a: v for a, v in known.answers.items() if a != ask})) for ask in asks),
    ]
    for snapshot in some:
        look = Look(where, snapshot, Role.READ)
        found = view.parts(look)
        assert [(part.name, part.title) for part in found] == shape
        for part in found:
            assert Reading(str(part.html)).open == []
        for plot in view.plots(where):
            plot.update(look)
        masthead(look)


def test_live_and_paper_differ_by_word_too() -> None:
    status = filled(StatusReply, "x")
    for broker, word in (("paper", "Paper"), ("alpaca paper", "Paper"), ("alpaca live", "Live"), ("mine", "Live")):
        answers = {STATUS: FeedAnswer(dataclasses.replace(status, broker=broker))}
        html = str(masthead(Look(Where("demo"), Snapshot(MappingProxyType(answers)), Role.READ)))
        assert f">{word}<" in html


@given(st.text(), st.text())
def test_text_comes_out_as_it_went_in(inner: str, attribute: str) -> None:
    inner, attribute = inner.replace("\r", ""), attribute.replace("\r", "")
    found = Reading(str(tag("p", inner, title=attribute)))
    assert found.elements == {"p"}
    assert found.attributes == {"title"}
    assert "".join(found.texts) == inner


def test_only_html_is_html() -> None:
    assert text("<b>") == "&lt;b&gt;"
    assert text(Html("<b>")) == "<b>"
