"""Answer of `sigc why` for a strategy and a session, or one asset; each row of runs and orders leads there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sigc.why.assets import AssetAnswer
from sigc.why.cases import LinkState
from sigc.why.chain import Explanation
from sigc.why.text import asset_lines, lines
from sigc_dashboard.daemon_feed import Ask
from sigc_dashboard.html import NONE, Html, tag
from sigc_dashboard.parts.links import link, why_parts
from sigc_dashboard.parts.tiles import TableRow, badge, nothing, table
from sigc_dashboard.view_api import Look, Part, Plot, Where

_WAITING = "Waiting for the daemon."
_EVERY_S = 5.0
_TONES: Mapping[str, str] = {
    LinkState.OK: "good",
    LinkState.WARNING: "warn",
    LinkState.WAITING: "open",
    LinkState.STOPPED: "bad",
}


def answer_of(where: Where) -> Ask[Explanation] | Ask[AssetAnswer]:
    """Return the ask for the explanation that a tab shows."""
    strategy, run, asset = why_parts(where.what)
    fields: tuple[tuple[str, object], ...] = (("strategy", strategy), ("run", run))
    if asset:
        return Ask("why/asset", AssetAnswer, (*fields, ("asset", asset)), every_s=_EVERY_S)
    return Ask("why", Explanation, fields, every_s=_EVERY_S)


class WhyView:
    """The chain of one session, or the steps of one asset."""

    name, title, is_listed, has_frames = "why", "Why", False, False
    place = 6

    def asks(self, where: Where) -> Sequence[Ask[Any]]:
        """Ask for the explanation."""
        return (answer_of(where),) if where.what else ()

    def parts(self, look: Look) -> Sequence[Part]:
        """Return the verdict, the links or steps, and the text that the command prints."""
        if not look.where.what:
            said = nothing("Choose `why` in a row of runs or orders.")
            return (Part("verdict", "", said), Part("chain", "Chain"), Part("text", "As the command says it"))
        ask: Ask[Any] = answer_of(look.where)
        found: Explanation | AssetAnswer | None = look.get(ask)
        if found is None:
            said = nothing(look.refusal(ask) or _WAITING)
            return (Part("verdict", "", said), Part("chain", "Chain"), Part("text", "As the command says it"))
        return (
            Part("verdict", "", _verdict(look, found)),
            Part("chain", "Chain", _chain(found)),
            Part("text", "As the command says it", _text(found)),
        )

    def plots(self, where: Where) -> Sequence[Plot]:
        """None."""
        del where
        return ()


def _verdict(look: Look, found: Explanation | AssetAnswer) -> Html:
    asset = found.asset if isinstance(found, AssetAnswer) else ""
    words = f"{found.strategy}{' ' + asset if asset else ''}, session {found.session}"
    head = tag(
        "div",
        tag("h2", words, class_="big"),
        link(look.where, "strategy", found.strategy, "the strategy"),
        class_="row",
    )
    tone = NONE if isinstance(found, AssetAnswer) else badge(found.state, of=_TONES.get(found.state, "plain"))
    return tag("div", head, tag("p", tone, " ", found.verdict, class_="said"), class_="headline")


def _chain(found: Explanation | AssetAnswer) -> Html:
    if isinstance(found, AssetAnswer):
        if not found.steps:
            return nothing("No run of that session tells of it.")
        steps = [TableRow(step.name, (step.name, tag("span", step.text, class_="text"))) for step in found.steps]
        return table("Steps", ("Step", "What is known"), steps)
    rows = []
    for one in found.links:
        word = "not reached" if one.state == LinkState.NOT_REACHED else one.state
        state = badge(word, of=_TONES.get(one.state, "plain"))
        rows.append(TableRow(one.name, (one.name, state, tag("span", one.text, class_="text"))))
    return table("Chain", ("Link", "State", "What is known"), rows)


def _text(found: Explanation | AssetAnswer) -> Html:
    told = asset_lines(found) if isinstance(found, AssetAnswer) else lines(found)
    return tag("pre", "\n".join(told), class_="log", tabindex="0")
