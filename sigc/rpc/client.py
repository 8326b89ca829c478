"""The thin client: calls verbs over HTTP with the standard library alone, so that a command starts at once.

    with Client(find_daemon(Wish(name="paper"), runtime_dirs(os.environ, os.getuid()))) as daemon:
        status = daemon.get("status", reply=Status)
        daemon.post("pause", {"strategy": "momentum"})

If no daemon answers: `NoDaemonError` (E900, exit 10). If it refuses: SigcError with its diagnostics (E901, exit 11, or
the errors of the caller's files). A call whose connection broke is sent once more under the same idempotency key, so it
is done once. A verb that changes state and takes longer than its time limit is awaited in the same way.
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
_MOST_WAITS = 120  # repeats of a call that takes longer than its time limit
_OK, _UNAUTHORIZED, _TOO_MANY, _TIMED_OUT = 200, 401, 429, 504  # HTTP status codes
_NO_FIELDS: Mapping[str, object] = MappingProxyType({})


class NoDaemonError(SigcError):
    """The error that no daemon answers. is_refused: nothing listens there, so none runs (rather than hangs)."""

    is_refused = False


class RefusedError(SigcError):
    """The error that the daemon refuses. status: of HTTP; 401 is a wrong token, 429 too many of them."""

    status = 0


@dataclass(frozen=True, slots=True)
class DaemonQuery:
    """The search for a daemon: the one at an address, of a name, or of a configuration.

    config, work_dir: the configuration of the command (None: none was found) and the work dir of its daemon. ca: the
    authority of its certificate, for an address beyond this machine; None: the system's authorities. is_named: the user
    gave its name, so no other daemon will do.
    """

    address: str | None = None
    name: str | None = None
    configured_address: str | None = None
    token: str | None = None
    work_dir: Path | None = None
    config: Path | None = None
    ca: Path | None = None
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A daemon to call. Without a token the daemon refuses, with its reason."""

    address: str
    token: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Target({self.address!r})"  # without the token: a repr ends up in logs


def find_daemon(wish: DaemonQuery, directories: Iterable[Path]) -> Target:
    """Return the daemon that the query means. directories: hold the entries of running daemons. Raise E900, E402.

    An address that is given; else the running daemon of a name that is given; else the one that has the work dir of the
    command's configuration, or was started with that file. Another's is never meant.
    """
    entries = running(directories)
    if wish.address is not None:
        at = wish.address
    elif wish.is_named:
        at = _address_of(wish, entries)
    else:
        own = _own(wish, entries)
        at = own.address if own is not None else _free_address(wish, entries)
    entry = next((e for e in entries if _reached(e.address) == _reached(at)), None)
    host, number = parse_address(at, "--address" if wish.address else "daemon.rpc.address")
    at = address_text(as_reached(host), number)
    has_tls = entry.tls if entry is not None else not is_loopback(host)
    places = [Path(entry.work_dir)] if entry is not None else []
    places += [wish.work_dir] if wish.work_dir is not None else []
    return Target(at, wish.token or _token(places), _tls(wish.ca) if has_tls else None)


class Client:
    """A connection to one daemon. who: the user, for its records; '' is the user of this process."""

    def __init__(self, target: Target, timeout_s: float = 60.0, who: str = "") -> None:
        host, port = parse_address(target.address, "--address")
        self._target, self._timeout_s = target, timeout_s
        self._who = who or f"{_user()}@{socket.gethostname()}"
        self._connection = Connection(host, port, timeout_s, target.tls)

    @property
    def address(self) -> str:
        """Return the daemon's address."""
        return self._target.address

    def beside(self, timeout_s: float) -> Client:
        """Return another connection to the same daemon, for calls while this one waits for its reply."""
        return Client(self._target, timeout_s, self._who)

    @overload
    def get(self, verb: str, fields: Mapping[str, object] = ..., *, reply: type[T]) -> T: ...
    @overload
    def get(self, verb: str, fields: Mapping[str, object] = ..., *, reply: None = ...) -> Any: ...
    def get(self, verb: str, fields: Mapping[str, object] = _NO_FIELDS, *, reply: type[T] | None = None) -> T | Any:
        """Call a verb that changes nothing. Return its reply as JSON, or as a `reply`."""
        status, body = self._send("GET", verb + _query(fields), b"", {})
        return self._reply(status, body, reply)

    @overload
    def post(self, verb: str, fields: object = ..., *, key: str = ..., reply: type[T]) -> T: ...
    @overload
    def post(self, verb: str, fields: object = ..., *, key: str = ..., reply: None = ...) -> Any: ...
    def post(
        self, verb: str, fields: object = _NO_FIELDS, *, key: str = "", reply: type[T] | None = None
    ) -> T | Any:  # fmt: skip
        """Call a verb that changes state. Return its reply as JSON, or as `reply`. fields: a mapping or a dataclass."""
        # One key for all repeats: the daemon does the work once and returns its reply to each of them.
        headers = {"Idempotency-Key": key or os.urandom(16).hex(), "Content-Type": "application/json"}
        for _ in range(_MOST_WAITS):
            status, body = self._send("POST", verb, to_json(fields), headers)
            if status != _TIMED_OUT:
                break
        return self._reply(status, body, reply)

    def events(self, verb: str, fields: Mapping[str, object] = _NO_FIELDS) -> Iterator[Any]:
        """Yield the events of a stream as they come, until the daemon ends it."""
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
        """Close the connection."""
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
                # The daemon may have received it: POST carries a key and is done once, GET changes nothing.
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
        """Raise E900 for errors of the connection."""
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
            message = f"the server at {self._target.address} is not a daemon of this version: {str(broken)[:200]}"
            raise NoDaemonError(Diagnostic("E900", message)) from broken


def _address_of(wish: DaemonQuery, entries: tuple[RunningDaemon, ...]) -> str:
    """Return the address of the running daemon of that name, else a configured one that no other uses. Raise E900."""
    named = next((e for e in entries if e.name == wish.name), None)
    if named is not None:
        return named.address
    at = wish.configured_address
    if at is None or any(_reached(e.address) == _reached(at) for e in entries):
        raise _absent(f"no daemon named '{wish.name}' runs here", "`sigc ps` lists those that run")
    return at


def _own(wish: DaemonQuery, entries: tuple[RunningDaemon, ...]) -> RunningDaemon | None:
    """Return the running daemon of the query's work dir, else of its configuration file. Raise E900 for several."""
    work_dir = None if wish.work_dir is None else str(wish.work_dir.resolve())
    of_dir = next((e for e in entries if e.work_dir == work_dir), None)
    if of_dir is not None:
        return of_dir
    config = "" if wish.config is None else str(wish.config.resolve())
    found = [e for e in entries if e.config == config]
    if len(found) > 1:
        named = ", ".join(f"{e.name} at {e.address}" for e in found)
        message = f"several daemons of {config or 'no configuration'} run: {named}"
        raise NoDaemonError(Diagnostic("E900", message, hint="say which by --name"))
    return found[0] if found else None


def _free_address(wish: DaemonQuery, entries: tuple[RunningDaemon, ...]) -> str:
    """Return where a daemon without an entry may be: the configured address, or the default one. Raise E900 if it is
    another daemon's, or nobody said which daemon is meant.
    """
    at = wish.configured_address or DEFAULT_ADDRESS
    theirs = [e for e in entries if _reached(e.address) == _reached(at)]
    if not theirs and (wish.config is not None or wish.configured_address is not None or not entries):
        return at
    if wish.config is None:
        named = ", ".join(f"{e.name} ({e.work_dir})" for e in entries)
        hint = "say which by --name, or call it from the folder of its configuration, or by --config"
        message = f"no configuration says which daemon is meant; those that run: {named}"
        raise NoDaemonError(Diagnostic("E900", message, hint=hint))
    config, other = wish.config.absolute(), f"at {at} is '{theirs[0].name}' with {theirs[0].work_dir}"
    where = "" if wish.work_dir is None else f" (work dir {wish.work_dir.absolute()})"
    hint = f"start it by `sigc daemon --config {wish.config}`, or mean the other one by --name {theirs[0].name}"
    raise _absent(f"no daemon of {config} runs{where}; {other}", hint)


def _absent(message: str, hint: str) -> NoDaemonError:
    error = NoDaemonError(Diagnostic("E900", message, hint=hint))
    error.is_refused = True
    return error


def _reached(address: str) -> tuple[str, int]:
    host, number = parse_address(address, "--address")
    host = as_reached(host)
    return ("127.0.0.1" if host == "localhost" else host), number


def _tls(ca: Path | None) -> ssl.SSLContext:
    import ssl  # slow to import, and not needed for a daemon on this machine

    return ssl.create_default_context(cafile=ca)


def _token(places: Iterable[Path]) -> str:
    """Return the first token that we may read, '' if there is none."""
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
    """Return the daemon's refusal as an error."""
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
