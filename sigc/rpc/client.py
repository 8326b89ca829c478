"""The thin client: calls verbs over HTTP with the standard library alone, so that a command starts at once.

    with Client(find_daemon(Wish(name="paper"), runtime_dirs(os.environ, os.getuid()))) as daemon:
        status = daemon.get("status", reply=Status)
        daemon.post("pause", {"strategy": "momentum"})

Nobody answers: `NoDaemonError` (E900, exit 10). The daemon says no: SigcError with what it says (E901, exit 11, or the
errors of the caller's files as they are). A call whose connection broke is asked once more under the same key, so
it is done once. A verb that changes state and takes longer than its time limit is waited for in the same way.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sigc.errors import Diagnostic, SigcError
from sigc.host.instance import DEFAULT
from sigc.host.instances import RunningDaemon, running
from sigc.host.redact import escape
from sigc.rpc.access import TOKEN_FILE, read_token
from sigc.rpc.address import address_text, as_reached, is_loopback, parse_address
from sigc.rpc.schema import MismatchError, decode, to_json
from sigc.rpc.verb import PREFIX
from sigc.rpc.wire import Connection, WireError

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")
DEFAULT_ADDRESS = "127.0.0.1:5555"
_MOST_BYTES = 64_000_000
_MOST_WAITS = 120  # times a call that takes longer than its time limit is asked for again
_OK, _UNAUTHORIZED, _TOO_MANY, _TIMED_OUT = 200, 401, 429, 504  # of HTTP
_NO_FIELDS: Mapping[str, object] = MappingProxyType({})


class NoDaemonError(SigcError):
    """Nobody answers. is_refused: nobody even listens, so no daemon is there, not one that hangs."""

    is_refused = False


class RefusedError(SigcError):
    """The daemon says no. status: of HTTP; 401 is a token that is wrong, 429 too many of them."""

    status = 0


@dataclass(frozen=True, slots=True)
class DaemonQuery:
    """What is known of the daemon wanted: the command line's address, then the configuration's.

    ca: the authority of its certificate, for an address beyond this machine; without it, those of the system.
    is_named: somebody said its name, so no other daemon will do.
    """

    address: str | None = None
    name: str | None = None
    configured_address: str | None = None
    token: str | None = None
    work_dir: Path | None = None
    ca: Path | None = None
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A daemon to call. No token: it will refuse, and say so."""

    address: str
    token: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Target({self.address!r})"  # a token is for nobody's eyes


def find_daemon(wish: DaemonQuery, directories: Iterable[Path]) -> Target:
    """Where the daemon wanted is. directories: where daemons that run have their entries. Raises E900, E402.

    An address given wins; then the running daemon of the name; then the only one that runs; then the default.
    """
    entries = running(directories)
    address = wish.address or wish.configured_address
    if wish.is_named and wish.address is None:
        address = _address_of(wish, entries)
    entry = _entry(wish, address, entries)
    at = address or (entry.address if entry is not None else DEFAULT_ADDRESS)
    host, number = parse_address(at, "--address" if wish.address else "daemon.rpc.address")
    at = address_text(as_reached(host), number)
    has_tls = entry.tls if entry is not None else not is_loopback(host)
    places = [Path(entry.work_dir)] if entry is not None else []
    places += [wish.work_dir] if wish.work_dir is not None else []
    return Target(at, wish.token or _token(places), _tls(wish.ca) if has_tls else None)


class Client:
    """Calls one daemon over one connection. who: on whose behalf, for its records; '' is the user of this process."""

    def __init__(self, target: Target, timeout_s: float = 60.0, who: str = "") -> None:
        host, port = parse_address(target.address, "--address")
        self._target, self._timeout_s = target, timeout_s
        self._who = who or f"{_user()}@{socket.gethostname()}"
        self._connection = Connection(host, port, timeout_s, target.tls)

    @property
    def address(self) -> str:
        """Where the daemon is."""
        return self._target.address

    @overload
    def get(self, verb: str, fields: Mapping[str, object] = ..., *, reply: type[T]) -> T: ...
    @overload
    def get(self, verb: str, fields: Mapping[str, object] = ..., *, reply: None = ...) -> Any: ...
    def get(self, verb: str, fields: Mapping[str, object] = _NO_FIELDS, *, reply: type[T] | None = None) -> T | Any:
        """Look: the reply as JSON, or as a `reply`."""
        status, body = self._send("GET", verb + _query(fields), b"", {})
        return self._reply(status, body, reply)

    @overload
    def post(self, verb: str, fields: object = ..., *, key: str = ..., reply: type[T]) -> T: ...
    @overload
    def post(self, verb: str, fields: object = ..., *, key: str = ..., reply: None = ...) -> Any: ...
    def post(
        self, verb: str, fields: object = _NO_FIELDS, *, key: str = "", reply: type[T] | None = None
    ) -> T | Any:  # fmt: skip
        """Change something: the reply as JSON, or as a `reply`. fields: a mapping, or the request as a dataclass."""
        headers = {"Idempotency-Key": key or os.urandom(16).hex(), "Content-Type": "application/json"}
        for _ in range(_MOST_WAITS):
            status, body = self._send("POST", verb, to_json(fields), headers)
            if status != _TIMED_OUT:
                break
        return self._reply(status, body, reply)

    def events(self, verb: str, fields: Mapping[str, object] = _NO_FIELDS) -> Iterator[Any]:
        """The events of a stream as they come, until the daemon ends it."""
        with self._told():
            self._connection.send("GET", PREFIX + verb + _query(fields), b"", self._headers({}))
            answer = self._connection.answer()
            if answer.status != _OK:
                self._reply(answer.status, answer.read(_MOST_BYTES), None)
        is_error, lines = False, answer.lines()
        with contextlib.closing(lines):
            while True:
                with self._told():
                    line = next(lines, b"")
                if not line:
                    return
                if line.startswith(b"event: error"):
                    is_error = True
                elif line.startswith(b"data: "):
                    if is_error:
                        raise _refused(409, line.removeprefix(b"data: "))
                    yield json.loads(line.removeprefix(b"data: "))

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        with self._told():
            try:
                return self._once(method, path, body, headers)
            except (ConnectionResetError, BrokenPipeError):
                # It may have been heard: the key has it done once, and looking twice does no harm.
                self._connection.close()
                try:
                    return self._once(method, path, body, headers)
                except ConnectionRefusedError as gone:
                    raise ConnectionResetError("the daemon ended while it was asked") from gone

    def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._connection.send(method, PREFIX + path, body, self._headers(headers))
        answer = self._connection.answer()
        return answer.status, answer.read(_MOST_BYTES)

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        who = escape(self._who).encode("ascii", "replace").decode()
        token = {"Authorization": f"Bearer {self._target.token}"} if self._target.token else {}
        return {"Accept": "application/json", "X-Sigc-User": who, **token, **more}

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong on the way is told as E900."""
        try:
            yield
        except (OSError, WireError) as failure:
            self._connection.close()
            raise self._nobody(failure) from failure

    def _nobody(self, failure: Exception) -> NoDaemonError:
        is_refused = isinstance(failure, ConnectionRefusedError)
        if isinstance(failure, TimeoutError):
            why = f"no answer within {self._timeout_s:g} s"
        else:
            why = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
        hint = "start one by `sigc daemon`; `sigc ps` lists those that run" if is_refused else "see its log"
        said = Diagnostic("E900", f"no daemon answers at {self._target.address}: {why.lower()}", hint=hint)
        error = NoDaemonError(said)
        error.is_refused = is_refused
        return error

    def _reply(self, status: int, body: bytes, kind: type[T] | None) -> T | Any:
        if status != _OK:
            raise _refused(status, body)
        try:
            found = json.loads(body)
            return found if kind is None else decode(kind, found, is_lenient=True)
        except (ValueError, MismatchError) as broken:
            message = f"what answers at {self._target.address} is no daemon of this version: {str(broken)[:200]}"
            raise NoDaemonError(Diagnostic("E900", message)) from broken


def _address_of(wish: DaemonQuery, entries: tuple[RunningDaemon, ...]) -> str:
    """Of the daemon that runs under the name; a configured one where nobody else is known to be. Raises E900."""
    named = next((e for e in entries if e.name == wish.name), None)
    if named is not None:
        return named.address
    at = wish.configured_address
    if at is None or any(_reached(e.address) == _reached(at) for e in entries):
        hint = "`sigc ps` lists those that run"
        gone = NoDaemonError(Diagnostic("E900", f"no daemon named '{wish.name}' runs here", hint=hint))
        gone.is_refused = True
        raise gone
    return at


def _entry(wish: DaemonQuery, address: str | None, entries: tuple[RunningDaemon, ...]) -> RunningDaemon | None:
    if address is not None:
        reached = _reached(address)
        return next((e for e in entries if _reached(e.address) == reached), None)
    if wish.name is not None:
        named = next((e for e in entries if e.name == wish.name), None)
        if named is not None or wish.name != DEFAULT:
            return named
        # Daemons of the default name that were given ports of their own are called after these.
        entries = tuple(e for e in entries if e.name.startswith(f"{DEFAULT}-"))
    if len(entries) > 1:
        names = ", ".join(f"{e.name} at {e.address}" for e in entries)
        raise NoDaemonError(Diagnostic("E900", f"several daemons run: {names}", hint="say which by --address"))
    return entries[0] if entries else None


def _reached(address: str) -> tuple[str, int]:
    host, number = parse_address(address, "--address")
    return as_reached(host), number


def _tls(ca: Path | None) -> ssl.SSLContext:
    import ssl  # takes a while, and an address of this machine has no certificate

    return ssl.create_default_context(cafile=ca)


def _token(places: Iterable[Path]) -> str:
    """The token of the first place that has one we may read."""
    for place in places:
        try:
            return read_token(place / TOKEN_FILE)
        except OSError:
            continue
    return ""


def _query(fields: Mapping[str, object]) -> str:
    given = {name: _in_query(value) for name, value in fields.items() if value is not None}
    return f"?{urllib.parse.urlencode(given, doseq=True)}" if given else ""


def _in_query(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [_in_query(inner) for inner in value] if isinstance(value, list | tuple) else str(value)


def _refused(status: int, body: bytes) -> RefusedError:
    """What the daemon says, as the error it is."""
    try:
        said = json.loads(body)
        found = decode(tuple[Diagnostic, ...], said["diagnostics"], is_lenient=True)
    except (ValueError, TypeError, KeyError, MismatchError):
        found = ()
    hint = ""
    if status in (_UNAUTHORIZED, _TOO_MANY):
        hint = f"set SIGC_RPC_TOKEN, or be the daemon's user: its token is in {TOKEN_FILE} of its work directory"
    if hint and found:
        found = tuple(Diagnostic(d.code, d.message, d.span, d.severity, d.expected, hint, d.via) for d in found)
    error = RefusedError(*(found or (Diagnostic("E901", f"the daemon refused ({status})", hint=hint),)))
    error.status = status
    return error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
