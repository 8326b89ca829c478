"""Requests to Alpaca's trading API, and the meaning of each way in which one fails.

    answer or failure                         a read, a cancel        an order (POST)
    no connection, no free connection         UnreachableError        NotSentError: nothing was written
    reset, timeout, broken answer after that  UnreachableError        OutcomeUnknownError: it may be in the book
    429                                       UnreachableError        ThrottledError, until X-RateLimit-Reset
    401                                       UnreachableError        RejectedError: the keys are not accepted
    other 4xx                                 AnsweredNoError            AnsweredNoError, with the broker's own message
    5xx, 3xx                                  UnreachableError        OutcomeUnknownError (504 is sent for orders taken)

No request is repeated here: a read may be repeated by its caller, an order only by the protocol of the intent log.
From the documentation of the trading API: authentication by two headers, numbers as text, 200 requests a minute a key.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from sigc_pipelines.brokers.alpaca.pace import Pace
from sigc_pipelines.brokers.protocol import (
    BrokerError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)

_MOST_BYTES = 64 << 20
_LONGEST_HINT_S = 60.0
_NOT_WRITTEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_FOUND, _UNAUTHORISED, _TOO_MANY = 404, 401, 429
Params = Mapping[str, str]


class AnsweredNoError(BrokerError):
    """The broker answered no (4xx). status: of HTTP; message: the broker's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} ({status})")
        self.status, self.message = status, message


class AlpacaClient:
    """A connection pool to one account. timeout_s: of a whole request, its turn included."""

    def __init__(
        self, base_url: str, key_id: str, secret_key: str, *, timeout_s: float, per_minute: int, connections: int = 10
    ) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line for each request
        host = httpx.URL(base_url).host
        self._http = httpx.Client(
            base_url=base_url,
            headers={"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret_key, "Accept": "application/json"},
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
            trust_env=host not in ("127.0.0.1", "localhost", "::1"),  # proxies of the environment, but not to ourselves
        )
        self._timeout_s, self._pace = timeout_s, Pace(per_minute)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Params | None = None) -> Any:
        """Return the answer to a read. Raises UnreachableError, AnsweredNoError."""
        return self._read("GET", path, params)

    def find(self, path: str, params: Params | None = None) -> Any:
        """Return the answer to a read, None where there is no such thing. Raises UnreachableError, AnsweredNoError."""
        try:
            return self._read("GET", path, params)
        except AnsweredNoError as no:
            if no.status == _NOT_FOUND:
                return None
            raise

    def delete(self, path: str) -> None:
        """Send a cancel. Raises UnreachableError, AnsweredNoError."""
        self._read("DELETE", path, None)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Send an order, once.

        Raises RejectedError, AnsweredNoError, NotSentError (ThrottledError), OutcomeUnknownError.
        """
        wait = self._pace.order()
        if wait:
            raise ThrottledError("our own limit on requests a minute is reached", wait)
        try:
            status, headers, content = self._send("POST", path, None, json.dumps(body).encode())
        except _NOT_WRITTEN as down:
            raise NotSentError(f"no connection: {_said(down)}") from down
        except httpx.HTTPError as lost:
            raise OutcomeUnknownError(f"no answer: {_said(lost)}") from lost
        if status == _TOO_MANY:
            raise ThrottledError(f"{_message(content)} (429)", _wait_of(headers))
        if status == _UNAUTHORISED:
            raise RejectedError(_unauthorised(content))
        if 400 <= status < 500:
            raise AnsweredNoError(status, _message(content))
        if not 200 <= status < 300:
            raise OutcomeUnknownError(f"{_message(content)} ({status})")
        try:
            return parsed(content)
        except ValueError as broken:
            raise OutcomeUnknownError(f"the answer is not JSON: {broken}") from broken

    def _read(self, method: str, path: str, params: Params | None) -> Any:
        if not self._pace.read(self._timeout_s):
            raise UnreachableError("our own limit on requests a minute is reached")
        try:
            status, _headers, content = self._send(method, path, params, None)
        except httpx.HTTPError as lost:
            raise UnreachableError(f"{path}: {_said(lost)}") from lost
        if status == _UNAUTHORISED:
            raise UnreachableError(_unauthorised(content))
        if 400 <= status < 500 and status != _TOO_MANY:
            raise AnsweredNoError(status, _message(content))
        if not 200 <= status < 300:
            raise UnreachableError(f"{path}: {_message(content)} ({status})")
        try:
            return parsed(content) if content else None
        except ValueError as broken:
            raise UnreachableError(f"{path}: the answer is not JSON: {broken}") from broken

    def _send(
        self, method: str, path: str, params: Params | None, body: bytes | None
    ) -> tuple[int, httpx.Headers, bytes]:
        """Return status, headers and content. httpx limits each step of a request; here all of it is limited."""
        ends = time.monotonic() + self._timeout_s
        headers = {"Content-Type": "application/json"} if body is not None else None
        found, size = list[bytes](), 0
        with self._http.stream(method, path, params=params, content=body, headers=headers) as answer:
            for part in answer.iter_bytes():
                found.append(part)
                size += len(part)
                if time.monotonic() > ends or size > _MOST_BYTES:
                    raise httpx.ReadTimeout(f"the answer took longer than {self._timeout_s:g} s, or is too long")
            return answer.status_code, answer.headers, b"".join(found)


def parsed(content: bytes) -> Any:
    """Return JSON with its numbers as exact decimals. Raises ValueError.

    >>> parsed(b'{"qty": 0.1}')
    {'qty': Decimal('0.1')}
    """
    return json.loads(content, parse_float=Decimal, parse_int=Decimal)


def _message(content: bytes) -> str:
    """Return the broker's message of a failure, or the beginning of whatever came."""
    try:
        said = parsed(content)
    except ValueError:
        said = None
    if isinstance(said, dict) and isinstance(said.get("message"), str):
        return str(said["message"])
    return content[:200].decode("utf-8", "replace").strip() or "no message"


def _unauthorised(content: bytes) -> str:
    keys = "broker.alpaca.key_id and secret_key are not accepted: paper and live accounts have keys of their own"
    return f"{_message(content)} (401): {keys}"


def _wait_of(headers: httpx.Headers) -> float:
    """Return the seconds that a 429 asks to wait: Retry-After, else until X-RateLimit-Reset (seconds of the epoch)."""
    now = time.time()
    try:
        if (text := headers.get("Retry-After")) is not None:
            wait = float(text) if text.strip().isdigit() else parsedate_to_datetime(text).timestamp() - now
        else:
            wait = float(headers["X-RateLimit-Reset"]) - now
    except (KeyError, ValueError, TypeError):
        wait = 1.0
    return min(_LONGEST_HINT_S, max(0.1, wait))


def _said(failure: httpx.HTTPError) -> str:
    return f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
