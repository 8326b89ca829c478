"""Dispatch of an admitted request: decode, gate, audit, run once, reply. Knows nothing of sockets.

    bytes --decode--> request --gate--> allowed now --audit "asked"--> --run--> reply --audit "done"--> bytes

A change that can't be audited is not done (503), except urgent verbs. A verb that takes longer than its time limit
goes on: the caller gets 504, and the reply when it repeats the call under the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sigc.errors import Diagnostic, SigcError
from sigc.host.redact import escape
from sigc.rpc.admission import Granted, Head
from sigc.rpc.idempotency import MemoryReplies, Replies, Reply
from sigc.rpc.openapi import ErrorReply
from sigc.rpc.schema import MismatchError, decode, decode_query, encode, parse_json, to_json
from sigc.rpc.verb import Verb, VerbCall

D = TypeVar("D")
_MOST_FIELDS = 100
_LONGEST_NAME = 200
log = logging.getLogger("sigc.rpc")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """The audit record of a change of state: asked, done or refused.

    phase: asked, done or refused. token: the name of the proven token; who: the caller's own claim.
    """

    phase: str
    verb: str
    token: str
    who: str
    peer: str
    key: str
    request: Any = None
    status: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Hooks:
    """The daemon's callbacks.

    audit: records an entry, and raises if it can't. gate: returns why a verb is not available now (starting, stopping),
    ''
    if it is. observe: gets the seconds of each answered call. refused: gets the status of each refusal. hide: removes
    secrets from the text of every reply.
    """

    audit: Callable[[CallRecord], Awaitable[None]]
    gate: Callable[[Verb[Any]], str] = lambda _: ""
    observe: Callable[[str, float], None] = lambda *_: None
    refused: Callable[[int], None] = lambda _: None
    hide: Callable[[str], str] = str


class Dispatcher(Generic[D]):
    """The dispatcher of the calls to one daemon."""

    def __init__(self, daemon: D, hooks: Hooks, replies: Replies | None = None) -> None:
        self._daemon, self._hooks = daemon, hooks
        self._replies: Replies = replies if replies is not None else MemoryReplies(time.monotonic)
        self._under_way: dict[str, tuple[bytes, asyncio.Task[Reply]]] = {}
        self._tasks: set[asyncio.Task[Reply]] = set()

    async def answer(self, granted: Granted, head: Head, query: str, body: bytes) -> Reply:
        """Return the reply to a call. Never raise, whatever the verb does."""
        began = time.perf_counter()
        reply = await self._answer(granted, head, query, body)
        self._hooks.observe(granted.verb.name, time.perf_counter() - began)
        return reply

    def stream(self, granted: Granted, head: Head, query: str) -> AsyncIterator[Any] | Reply:
        """Return the events of a stream, or a reply that refuses them."""
        request = _read(granted.verb, query, b"")
        refused = request if isinstance(request, Reply) else self._gated(granted.verb)
        if refused is not None:
            return refused
        events: AsyncIterator[Any] = granted.verb.run(self._call(granted, head), request)
        return events

    async def refuse(self, granted_by: str, head: Head, status: int, message: str) -> None:
        """Log, count and audit a call that was refused at admission."""
        self._hooks.refused(status)
        if status != 429:
            log.warning("refused", extra={"status": status, "peer": head.peer, "path": head.path, "why": message})
        # Audited only with a valid token, or within the limit on wrong ones: else anyone could fill the audit.
        is_wrong_token = status == 401 and "authorization" in head.headers
        if head.method != "GET" and (granted_by or is_wrong_token):
            verb = head.path[:_LONGEST_NAME]
            entry = CallRecord("refused", verb, granted_by, _who(head), head.peer, "", None, status, message)
            await self._audit(entry)

    async def finish(self, timeout_s: float) -> bool:
        """Wait for the calls under way. Return True if all ended within the time."""
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=timeout_s)
            return not pending
        return True

    async def _answer(self, granted: Granted, head: Head, query: str, body: bytes) -> Reply:
        verb = granted.verb
        request = _read(verb, query, body)
        if isinstance(request, Reply):
            return request
        # The key belongs to token and verb: two callers, or two verbs, may use the same key without meeting.
        digest = hashlib.sha256(to_json(request)).digest()
        key = f"{granted.token.name}\n{verb.name}\n{granted.key}" if granted.key and verb.method == "POST" else ""
        before = self._before(key, digest) if key else None
        if isinstance(before, Reply):
            return before
        task = before
        gated = self._gated(verb) if task is None else None
        if gated is not None:
            return gated
        if task is None:
            task = asyncio.get_running_loop().create_task(self._do(granted, head, request, digest, key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if key:
                # Entered before the first await, so that a repeat can't start a second task.
                self._under_way[key] = (digest, task)
                task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # `wait` does not cancel the task at the timeout: work begun goes on, and a repeat under the same key awaits it.
        done, _ = await asyncio.wait([task], timeout=verb.timeout_s)
        if not done:
            again = " ask again under the same key for its reply" if key else ""
            return _error(504, f"{verb.name} takes longer than {verb.timeout_s:g} s, and goes on;{again}")
        return task.result()

    def _before(self, key: str, digest: bytes) -> Reply | asyncio.Task[Reply] | None:
        """Return the reply kept under a key, the task under way, or None; a 422 if the key had another request."""
        known, task = self._under_way.get(key, (b"", None))
        kept = self._replies.get(key) if task is None else None
        if kept is not None:
            known = kept.request
        if (task is not None or kept is not None) and known != digest:
            return _error(422, "the Idempotency-Key was used for another request")
        return kept if kept is not None else task

    async def _do(self, granted: Granted, head: Head, request: Any, digest: bytes, key: str) -> Reply:
        verb, call = granted.verb, self._call(granted, head)
        changes = verb.method == "POST"
        entry = CallRecord("asked", verb.name, call.token, call.who, call.peer, call.key, encode(request))
        # Audited before it is done: a change that happened is always on record.
        if changes and not await self._audit(entry) and not verb.is_urgent:
            return _error(503, f"{verb.name} was not done, because it can't be audited")
        status, body, message = await self._run(verb, call, request)
        reply = Reply(digest, status, body)
        if key:
            self._replies.put(key, reply)
        if changes:
            done = CallRecord("done", verb.name, call.token, call.who, call.peer, call.key, None, status, message)
            await self._audit(done)
        # Debug for reads: pages poll every second.
        log.log(
            logging.INFO if changes else logging.DEBUG,
            "call",
            extra={"verb": verb.name, "status": status, "peer": call.peer, "who": call.who},
        )
        return reply

    async def _run(self, verb: Verb[D], call: VerbCall[D], request: Any) -> tuple[int, bytes, str]:
        try:
            value = verb.run(call, request)
            value = await value if inspect.isawaitable(value) else value
            return 200, self.said(value), ""
        except SigcError as error:
            reply = ErrorReply(str(error), error.diagnostics)
            return _status(error), self.said(reply), str(error)
        except Exception as error:
            log.exception("call failed", extra={"verb": verb.name})
            said = Diagnostic("E300", f"{verb.name} failed in the daemon: {type(error).__name__}; see its log")
            return 500, to_json(ErrorReply(said.message, (said,))), type(error).__name__

    def said(self, value: Any) -> bytes:
        """Return a reply or an event as bytes, without secrets."""
        return self._hooks.hide(to_json(value).decode()).encode()

    async def _audit(self, entry: CallRecord) -> bool:
        try:
            await self._hooks.audit(entry)
        except Exception:
            log.exception("can't audit a call", extra={"verb": entry.verb, "phase": entry.phase})
            return False
        return True

    def _gated(self, verb: Verb[Any]) -> Reply | None:
        why = self._hooks.gate(verb)
        return _error(503, why) if why else None

    def _call(self, granted: Granted, head: Head) -> VerbCall[D]:
        verb, token = granted.verb, granted.token
        return VerbCall(self._daemon, verb.name, token.role, token.name, _who(head), head.peer, granted.key)


def error_body(message: str) -> bytes:
    """Return the body of a refusal."""
    return to_json(ErrorReply(message, (Diagnostic("E901", message),)))


def _error(status: int, message: str) -> Reply:
    return Reply(b"", status, error_body(message))


def _read(verb: Verb[Any], query: str, body: bytes) -> Any:
    """Return the decoded request, or an error reply."""
    try:
        if verb.method == "GET":
            pairs = urllib.parse.parse_qsl(
                query, keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=_MOST_FIELDS
            )
            return decode_query(verb.request, pairs)
        if query:
            return _error(400, "POST takes its fields in the body, not in the query")
        data = parse_json(body)
    except ValueError:
        return _error(400, "the query can't be read")
    except MismatchError as mismatch:
        return _error(422 if verb.method == "GET" else 400, f"{verb.name}: {mismatch}")
    try:
        return decode(verb.request, data)
    except MismatchError as mismatch:
        return _error(422, f"{verb.name}: {mismatch}")


def _who(head: Head) -> str:
    """Return the caller's own claim of its name: a hint for people, not a proof."""
    return escape(head.headers.get("x-sigc-user", ""))[:_LONGEST_NAME]


def _status(error: SigcError) -> int:
    """Return 409 if the daemon's state forbids the call, 502 if the broker failed, else 422 (the caller's files)."""
    code = error.diagnostics[0].code
    if code.startswith(("E9", "E31", "E8")):
        return 409
    return {"E3": 500, "E6": 502}.get(code[:2], 422)
