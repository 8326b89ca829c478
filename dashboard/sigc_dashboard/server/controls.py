"""Controls of the page: each action is a verb of the daemon, called on behalf of the person.

The browser sends what is to be done, about what, and the name the person typed; nothing is done unless that is the
name. The role is judged here for the sake of a good answer, and by the daemon in any case; the daemon audits the token
and the person's name. A key from the browser has a double click done once.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tornado.web import RequestHandler

from sigc.errors import SigcError
from sigc.rpc.client import Client, NoDaemonError, Target
from sigc.rpc.messages.requests import RunStatus
from sigc.rpc.schema import MismatchError, decode, parse_json
from sigc.rpc.verb import Role
from sigc_dashboard.parts.alerts import name_of
from sigc_dashboard.server.login import person_of
from sigc_dashboard.server.page import Page
from sigc_dashboard.server.places import Place
from sigc_dashboard.server.sessions import Pass

_PATIENCE_S = 30.0
_NUMBER = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A request of the browser. do: an action. name: the text to type for confirmation, given by the page, as
    `typed` was by the person. id: of a run or an alert. key: of this one request.
    """

    daemon: str
    do: str
    name: str
    typed: str
    key: str
    id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ControlAction:
    """A verb, the least role, its fields, the words on success. about: strategy, daemon, job, run or alert."""

    verb: str
    role: Role
    about: str
    fields: Callable[[ControlRequest], Mapping[str, Any]]
    said: Callable[[ControlRequest, Mapping[str, Any]], str]


def _strategy(wanted: ControlRequest) -> Mapping[str, Any]:
    return {"strategy": wanted.name, "reason": wanted.reason}


def _all(wanted: ControlRequest) -> Mapping[str, Any]:
    return {"reason": wanted.reason}


def _job(wanted: ControlRequest) -> Mapping[str, Any]:
    return {"job": wanted.name, "reason": wanted.reason}


def _run(wanted: ControlRequest) -> Mapping[str, Any]:
    return {"id": wanted.id, "reason": wanted.reason}


def _alert(wanted: ControlRequest) -> Mapping[str, Any]:
    return {"id": int(wanted.id), "reason": wanted.reason}


def _began(wanted: ControlRequest, reply: Mapping[str, Any]) -> str:
    return f"Run {reply.get('id', '')} of {wanted.name} has begun."


def _changed(words: str, before: str) -> Callable[[ControlRequest, Mapping[str, Any]], str]:
    return lambda wanted, reply: f"{wanted.name} {words if reply.get('is_changed', True) else before}."


def _cancelled(wanted: ControlRequest, reply: Mapping[str, Any]) -> str:
    left = int(reply.get("left", 0))
    stage = f" in the stage {reply['stage']}" if reply.get("stage") else ""
    said = (
        f"was cancelled{stage}, and ends as soon as it can" if reply.get("was_going") else "was not under way any more"
    )
    orders = reply.get("orders") or {}
    told = [
        f"{orders[name]} {what}"
        for name, what in (("unsent", "not sent"), ("taken_back", "cancelled at the broker"), ("filled", "filled"))
        if orders.get(name)
    ]
    told += [f"{orders['open']} that the broker has yet to confirm"] if orders.get("open") else []
    counts = f" Orders: {', '.join(told)}." if told else ""
    return f"Run {wanted.id} {said}.{counts}" + (f" {left} not reached: cancel it again." if left else "")


_PAUSED = _changed("is paused: no new run of it begins", "was paused already")
_RESUMED = _changed("runs again", "was not paused")
_HALTED = _changed("is halted: no order is sent", "was halted already")
_UNHALTED = _changed("may trade again", "was not halted")

ACTIONS: Mapping[str, ControlAction] = MappingProxyType(
    {
        "pause": ControlAction("pause", Role.OPERATE, "strategy", _strategy, _PAUSED),
        "resume": ControlAction("resume", Role.OPERATE, "strategy", _strategy, _RESUMED),
        "pause_all": ControlAction("pause", Role.OPERATE, "daemon", _all, _PAUSED),
        "resume_all": ControlAction("resume", Role.OPERATE, "daemon", _all, _RESUMED),
        "run": ControlAction("run", Role.TRADE, "strategy", _strategy, _began),
        "dry_run": ControlAction("run/dry", Role.OPERATE, "strategy", _strategy, _began),
        "cancel": ControlAction("runs/cancel", Role.OPERATE, "run", _run, _cancelled),
        "halt": ControlAction("safety/halt", Role.OPERATE, "strategy", _strategy, _HALTED),
        "unhalt": ControlAction("safety/resume", Role.TRADE, "strategy", _strategy, _UNHALTED),
        "halt_all": ControlAction("safety/halt", Role.OPERATE, "daemon", _all, _HALTED),
        "unhalt_all": ControlAction("safety/resume", Role.TRADE, "daemon", _all, _UNHALTED),
        "ack": ControlAction(
            "alerts/ack",
            Role.OPERATE,
            "alert",
            _alert,
            _changed("is acknowledged", "was acknowledged already, or is over"),
        ),
        "enable": ControlAction(
            "schedule/enable", Role.OPERATE, "job", _job, _changed("fires again", "was enabled already")
        ),
        "disable": ControlAction(
            "schedule/disable", Role.OPERATE, "job", _job, _changed("fires no more", "was disabled already")
        ),
    }
)


class Do(RequestHandler):
    """Handler of control actions. Admission has checked the origin."""

    async def post(self) -> None:
        """Carry out an action. Answer with {"ok": ..., "message": ...}."""
        page: Page = self.application.page  # type: ignore[attr-defined]
        status, said = await self._answer(page)
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"ok": status == 200, "message": said}))

    async def _answer(self, page: Page) -> tuple[int, str]:
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return 415, "the content type must be application/json"
        person = person_of(page, self.request)
        if person is None:
            return 401, "You are not logged in any more. Load the page again."
        try:
            wanted = decode(ControlRequest, parse_json(self.request.body))
        except MismatchError as mismatch:
            return 400, str(mismatch)
        held, place = person.passes.get(wanted.daemon), page.daemons().get(wanted.daemon)
        if held is None or place is None:
            return 401, f"You are not logged in at {wanted.daemon}."
        refused = refusal(wanted, held)
        if refused is not None:
            return refused
        who = f"{held.user} (page, {self.request.remote_ip})"
        answer = await asyncio.get_running_loop().run_in_executor(None, perform, wanted, place, held.token, who)
        page.feed(wanted.daemon).hurry()
        return answer


def refusal(wanted: ControlRequest, held: Pass) -> tuple[int, str] | None:
    """Return the reason why a request is not passed on; None if it is."""
    action = ACTIONS.get(wanted.do)
    if action is None:
        return 404, "There is no such action."
    name = wanted.daemon if action.about == "daemon" else wanted.name
    if not name or wanted.typed.strip() != name or wanted.name != name:
        return 422, f"Nothing was done: what was typed is not '{name}'."
    if action.about == "alert" and (not _NUMBER.fullmatch(wanted.id) or name != name_of(int(wanted.id))):
        return 422, f"Nothing was done: '{name}' is not the alert {wanted.id}."
    if not held.role.includes(action.role):
        return 403, f"That takes the role {action.role}, and your token '{held.token_name}' has {held.role}."
    return None


def perform(wanted: ControlRequest, place: Place, token: str, who: str) -> tuple[int, str]:
    """Call the daemon's verb. Return status and words. Runs in a thread."""
    action, found = ACTIONS[wanted.do], place.target()
    try:
        with Client(Target(found.address, token, found.tls), _PATIENCE_S, who=who) as client:
            if action.about == "run":
                run = client.get("runs/show", {"id": wanted.id}, reply=RunStatus)
                of = run.strategy or run.job
                if of != wanted.name:
                    return 422, f"Nothing was done: run {wanted.id} is of '{of}'."
            reply = client.post(action.verb, action.fields(wanted), key=wanted.key)
    except NoDaemonError as gone:
        return 503, f"It is not known whether that was done: {gone}"
    except SigcError as refused:
        return 409, f"The daemon refused: {refused}"
    return 200, action.said(wanted, reply)
