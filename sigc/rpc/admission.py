"""Admission of requests: each is judged by its head alone, before its body is read.

In this order, so that a caller without a token learns nothing, not even which routes exist:

    Host not ours 403 · foreign Origin 403 · no token or a wrong one 401, 429 · no such route 404 · another method 405
    · a role too low 403 · a body that is not application/json 415 · one too large 413

Only verbs are allowed: the table of routes is made of the verbs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sigc.rpc.access import Access, AccessToken, Throttle, is_foreign
from sigc.rpc.verb import KEY_PATTERN, Method, Verb

_JSON = re.compile(r"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_KEY = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request. headers: by lower-case name. scheme: http or https. peer: the caller's address."""

    method: str
    path: str
    headers: Mapping[str, str]
    scheme: str
    peer: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """An admitted request: its verb, its token, its idempotency key."""

    verb: Verb[Any]
    token: AccessToken
    key: str


class Guard:
    """The judge of heads. Its only state is the count of wrong tokens."""

    def __init__(self, verbs: Iterable[Verb[Any]], access: Access, throttle: Throttle, most_bytes: int) -> None:
        self._access, self._throttle, self._most_bytes = access, throttle, most_bytes
        self._routes: dict[str, dict[str, Verb[Any]]] = {}
        for verb in verbs:
            self._routes.setdefault(verb.path, {})[verb.method] = verb

    def judge(self, head: Head) -> Granted | Refusal:
        """Return the admission or refusal of a request."""
        host = head.headers.get("host")
        if not self._access.is_host(host):
            return Refusal(403, "the Host header does not name this daemon (daemon.rpc.hosts)")
        if is_foreign(head.headers.get("origin"), head.headers.get("sec-fetch-site"), host, head.scheme):
            return Refusal(403, "pages of another origin may not call the daemon")
        token = self._access.token(head.headers.get("authorization"))
        if token is None:
            return self._no_token(head)
        methods = self._routes.get(head.path)
        if methods is None:
            return Refusal(404, "there is no such verb", token=token.name)
        verb = methods.get(head.method)
        if verb is None:
            allowed = ", ".join(sorted(methods))
            return Refusal(405, f"this verb takes {allowed}", {"Allow": allowed}, token.name)
        if not token.role.includes(verb.role):
            message = f"{verb.name} takes the role {verb.role}, and the token '{token.name}' has {token.role}"
            return Refusal(403, message, token=token.name)
        return self._body(head, verb, token)

    def _no_token(self, head: Head) -> Refusal:
        challenge = {"WWW-Authenticate": 'Bearer realm="sigc"'}
        # No token is no guess: it is not counted.
        if "authorization" not in head.headers:
            return Refusal(401, "a token is needed: Authorization: Bearer TOKEN", challenge)
        if self._throttle.is_over(head.peer):
            return Refusal(429, "too many wrong tokens: wait a minute", {"Retry-After": "60"})
        return Refusal(401, "the token is wrong", challenge)

    def _body(self, head: Head, verb: Verb[Any], token: AccessToken) -> Granted | Refusal:
        headers, name = head.headers, token.name
        length = headers.get("content-length", "0")
        has_body = length != "0" or "transfer-encoding" in headers
        kind = headers.get("content-type")
        if (kind is not None and not _JSON.fullmatch(kind)) or (kind is None and verb.method == "POST"):
            return Refusal(415, "the content type must be application/json", token=name)
        if headers.get("content-encoding", "identity") != "identity":
            return Refusal(415, "a compressed body is not read", token=name)
        if length.isdecimal() and int(length) > self._most_bytes:
            return Refusal(413, f"a request has at most {self._most_bytes} bytes", {"Connection": "close"}, name)
        if has_body and verb.method == "GET":
            return Refusal(400, "GET has no body", token=name)
        key = headers.get("idempotency-key", "")
        if key and not _KEY.fullmatch(key):
            return Refusal(400, f"an Idempotency-Key matches {KEY_PATTERN}", token=name)
        return Granted(verb, token, key)

    def routes(self) -> tuple[tuple[str, Method], ...]:
        """Return every allowed route and method, in order."""
        return tuple((path, verb.method) for path, by in sorted(self._routes.items()) for _, verb in sorted(by.items()))
