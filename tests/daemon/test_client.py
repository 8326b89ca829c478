"""The thin client: finding a daemon, calling it, and what it says when nobody answers or the daemon says no."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sigc.errors import SigcError, exit_code
from sigc.host.instances import register, this_process
from sigc.host.ports import Port, listen
from sigc.rpc.access import make_token
from sigc.rpc.client import Client, DaemonQuery, NoDaemonError, Target, find_daemon
from sigc.rpc.verb import Role
from tests.daemon.processes import Script
from tests.daemon.serving import PATIENCE_S, TOKENS, Pause, Paused, Served, Show, served

_TOKEN = TOKENS[Role.TRADE]


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@contextlib.contextmanager
def calling(server: Served, token: str = _TOKEN) -> Iterator[Client]:
    with Client(Target(server.address, token), PATIENCE_S) as client:
        yield client


def test_calls_and_their_replies(server: Served) -> None:
    with calling(server) as client:
        assert client.get("status")["changes"] == 0
        asked = {"last": 3, "strategies": ("a", "b"), "full": True}
        assert client.get("runs/list", asked, reply=Show) == Show(3, ("a", "b"), True)
        assert client.post("pause", Pause("momentum"), reply=Paused) == Paused("momentum", 1)
        assert client.post("pause", {"strategy": "value"})["times"] == 2
        assert client.post("pause", key="key-12345") == client.post("pause", key="key-12345")
    assert "@" in server.book.audit[0].who


def test_what_takes_long_is_waited_for_and_done_once(server: Served) -> None:
    found = []

    def ask() -> None:
        with calling(server) as client:
            found.append(client.post("slow", reply=Paused))

    asking = threading.Thread(target=ask)
    asking.start()
    while sum(name == "slow" for name, _ in server.book.seen) < 3:  # it was told three times that it takes longer
        server.call("GET", "status")
    server.set(server.book.go)
    asking.join(PATIENCE_S)
    assert found == [Paused("slow", 1)]
    assert server.book.changes == ["slow"]


@pytest.mark.parametrize(
    ("name", "fields", "code", "text"),
    [
        ("fail", {"reason": "refused"}, 11, "it is paused"),
        ("fail", {"reason": "source"}, 2, "unknown name 'x'"),
        ("fail", {}, 5, "see its log"),
        ("pause", {"stratgy": "a"}, 11, "did you mean"),
        ("none", {}, 11, "no such verb"),
    ],
)
def test_what_the_daemon_says_no_with_is_the_error(
    server: Served, name: str, fields: dict[str, str], code: int, text: str
) -> None:
    with calling(server) as client, pytest.raises(SigcError, match=text) as refused:
        client.post(name, fields)
    assert exit_code(refused.value.diagnostics) == code


@pytest.mark.parametrize("token", ["", "wrong" * 8])
def test_without_the_token_it_says_where_one_is(server: Served, token: str) -> None:
    with calling(server, token) as client, pytest.raises(SigcError) as refused:
        client.get("status")
    assert exit_code(refused.value.diagnostics) == 11
    assert "SIGC_RPC_TOKEN" in refused.value.diagnostics[0].hint


def test_events_come_one_by_one(server: Served) -> None:
    with calling(server) as client:
        events = client.events("watch", {"last": 3})
        assert [next(events)["times"] for _ in range(2)] == [0, 1]
        server.set(server.book.next_event)
        assert next(events)["times"] == 2
        with pytest.raises(SigcError, match="that is all"):
            next(events)
    with calling(server) as client, pytest.raises(SigcError, match="is not within"):
        next(client.events("watch", {"last": 0}))


def test_nobody_there_is_exit_10_and_says_what_to_do() -> None:
    with listen(Port("s", "127.0.0.1", 0, True)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    with Client(Target(address)) as client, pytest.raises(NoDaemonError, match=address) as found:
        client.get("status")
    assert exit_code(found.value.diagnostics) == 10
    assert found.value.is_refused
    assert "sigc daemon" in found.value.diagnostics[0].hint


def test_a_daemon_that_hangs_is_exit_10_but_is_there() -> None:
    with listen(Port("s", "127.0.0.1", 0, True)) as listening:
        target = Target(f"127.0.0.1:{listening.getsockname()[1]}")
        with Client(target, timeout_s=0.05) as client, pytest.raises(NoDaemonError, match=r"within 0\.05 s") as found:
            client.post("pause")
    assert exit_code(found.value.diagnostics) == 10
    assert not found.value.is_refused


_DAEMON = """
import asyncio, os, sys
from tests.daemon.serving import served
with served() as server:
    print(server.port)
    server.book.begun.wait()
    os.kill(os.getpid(), 9)
"""


def test_a_daemon_killed_while_it_works_is_exit_10() -> None:
    with Script(_DAEMON) as daemon:
        target = Target(f"127.0.0.1:{daemon.line()}", _TOKEN)
        with Client(target, PATIENCE_S) as client, pytest.raises(NoDaemonError) as found:
            client.post("slow")
    assert exit_code(found.value.diagnostics) == 10
    assert not found.value.is_refused  # it was there: whoever asks must not believe that nothing was begun


def _cutting(server: Served, listening: socket.socket) -> None:
    """Pass connections on; of the first, swallow the reply and hang up."""
    listening.setblocking(True)
    for number in range(2):
        near, _ = listening.accept()
        with near, socket.create_connection((server.host, server.port), PATIENCE_S) as far:
            near.settimeout(PATIENCE_S)
            request = b""
            while not request.endswith(b"{}"):
                request += near.recv(65_536)
            far.sendall(request)
            reply = far.recv(65_536)
            if number:
                near.sendall(reply)


def test_a_broken_connection_is_asked_again_and_done_once(server: Served) -> None:
    with listen(Port("s", "127.0.0.1", 0, True)) as listening:
        passing = threading.Thread(target=_cutting, args=(server, listening))
        passing.start()
        address = f"localhost:{listening.getsockname()[1]}"
        with Client(Target(address, _TOKEN), PATIENCE_S) as client:
            assert client.post("pause", reply=Paused) == Paused(None, 1)
        passing.join(PATIENCE_S)
    assert server.book.changes == ["pause"]


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"])  # fmt: skip
def test_what_is_no_daemon_is_told(said: bytes) -> None:
    with listen(Port("s", "127.0.0.1", 0, True)) as listening:
        listening.setblocking(True)

        def answer() -> None:
            for _ in range(2):
                with contextlib.suppress(OSError):
                    near, _ = listening.accept()
                    with near:
                        near.recv(65_536)
                        near.sendall(said)

        answering = threading.Thread(target=answer)
        answering.start()
        with (
            Client(Target(f"127.0.0.1:{listening.getsockname()[1]}"), PATIENCE_S) as client,
            pytest.raises(SigcError) as found,
        ):
            client.get("status")
        listening.shutdown(socket.SHUT_RDWR)
        answering.join(PATIENCE_S)
    assert exit_code(found.value.diagnostics) in (10, 11)


def test_a_daemon_is_found_by_its_entry_and_its_token_by_its_work_dir(tmp_path: Path) -> None:
    run, work = tmp_path / "run", tmp_path / "work"
    work.mkdir()
    token = make_token(work)
    prod = this_process("prod", "127.0.0.1:5601", work, {})
    assert find_daemon(DaemonQuery(), [run]).address == "127.0.0.1:5555"
    register(run, prod)
    assert find_daemon(DaemonQuery(work_dir=work), [run]) == Target("127.0.0.1:5601", token)
    assert find_daemon(DaemonQuery(work_dir=work, token="given" * 8), [run]).token == "given" * 8
    register(run, replace(prod, name="paper", address="127.0.0.1:5602", work_dir=str(tmp_path)))
    named = DaemonQuery(name="paper", is_named=True)
    assert find_daemon(named, [run]) == Target("127.0.0.1:5602", "")
    assert find_daemon(replace(named, configured_address="127.0.0.1:5601"), [run]).address.endswith("2")
    for configured in (None, "127.0.0.1:5601"):  # somebody else's
        with pytest.raises(NoDaemonError, match="no daemon named 'none' runs here"):
            find_daemon(DaemonQuery(name="none", is_named=True, configured_address=configured), [run])
    elsewhere = DaemonQuery(name="none", is_named=True, configured_address="127.0.0.1:5609")
    assert find_daemon(elsewhere, [run]).address == "127.0.0.1:5609"
    assert find_daemon(DaemonQuery(address="127.0.0.1:5601", name="paper"), [run]).token == token
    assert find_daemon(DaemonQuery(configured_address="127.0.0.1:5609", work_dir=work), [run]).token == token
    assert token not in repr(find_daemon(DaemonQuery(work_dir=work), [run]))
    with pytest.raises(SigcError, match="invalid --address"):
        find_daemon(DaemonQuery(address="nonsense"), [run])
    (work / "rpc.token").chmod(0o644)
    with pytest.raises(SigcError, match="read by others"):
        find_daemon(DaemonQuery(work_dir=work), [run])


def test_a_command_reaches_the_daemon_of_its_configuration_or_none(tmp_path: Path) -> None:
    """Two projects, each with a sigc.yaml, as `sigc init` writes it; the daemon of one runs."""
    run, prod, play = (tmp_path / name for name in ("run", "prod", "play"))
    for folder in (prod, play):
        (folder / "work").mkdir(parents=True)
        (folder / "sigc.yaml").touch()
    entry = this_process("sigc", "127.0.0.1:5601", prod / "work", {}, config=prod / "sigc.yaml")
    register(run, entry)

    def asked(folder: Path, **other: Any) -> DaemonQuery:
        own = DaemonQuery(name="sigc", config=folder / "sigc.yaml", work_dir=folder / "work")
        return replace(own, **other)

    assert find_daemon(asked(prod), [run]).address == "127.0.0.1:5601"
    assert find_daemon(asked(play), [run]).address == "127.0.0.1:5555"  # where nobody listens
    for taken in ("127.0.0.1:5601", "localhost:5601", "0.0.0.0:5601"):
        with pytest.raises(
            NoDaemonError, match=r"no daemon of .*/play/sigc.yaml runs .*'sigc' with .*/prod/work"
        ) as no:
            find_daemon(asked(play, configured_address=taken), [run])
        assert no.value.is_refused
    # Its port was given by hand, or its work dir: the file tells.
    assert find_daemon(asked(prod, configured_address="127.0.0.1:5555"), [run]).address == "127.0.0.1:5601"
    assert find_daemon(asked(prod, work_dir=tmp_path / "other"), [run]).address == "127.0.0.1:5601"
    # A link to the file is the file; one that was copied is not, but its work dir is.
    (play / "linked.yaml").symlink_to(prod / "sigc.yaml")
    linked = asked(play, config=play / "linked.yaml", configured_address="127.0.0.1:5601")
    assert find_daemon(linked, [run]).address == "127.0.0.1:5601"
    assert find_daemon(asked(play, work_dir=prod / "work"), [run]).address == "127.0.0.1:5601"
    # Nobody said which: the only one that runs is a guess.
    with pytest.raises(NoDaemonError, match="no configuration says which daemon is meant; .*sigc .*/prod/work") as no:
        find_daemon(DaemonQuery(name="sigc", work_dir=tmp_path / "default"), [run])
    assert not no.value.is_refused
    assert find_daemon(DaemonQuery(name="sigc", is_named=True), [run]).address == "127.0.0.1:5601"
    register(run, replace(entry, name="second", address="127.0.0.1:5602", work_dir=str(tmp_path)))
    with pytest.raises(NoDaemonError, match=r"several daemons of .* run: second at 127\.0\.0\.1:5602, sigc at"):
        find_daemon(asked(prod, work_dir=tmp_path / "other"), [run])


def _certificate(folder: Path) -> Path:
    """A certificate for localhost and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *plain)
    )
    return path


def test_over_tls_the_certificate_counts(server: Served, tmp_path: Path) -> None:
    both = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    wide = listen(Port("s", "0.0.0.0", 0, True))  # noqa: S104
    address = f"localhost:{wide.getsockname()[1]}"

    async def start() -> None:
        server.server.start([wide], context)

    server.in_loop(start())
    register(tmp_path / "run", this_process("prod", address, tmp_path, {}, tls=True))
    wish = DaemonQuery(address=address, token=_TOKEN, ca=both)
    with Client(find_daemon(wish, [tmp_path / "run"]), PATIENCE_S) as client:
        assert client.get("status")["role"] == "trade"
    unknown = find_daemon(replace(wish, ca=None), [tmp_path / "run"])
    with Client(unknown, PATIENCE_S) as client, pytest.raises(NoDaemonError, match="certificate"):
        client.get("status")


def test_the_client_imports_little() -> None:
    heavy = [
        "numpy",
        "pydantic",
        "tornado",
        "psutil",
        "prometheus_client",
        "asyncio",
        "yaml",
        "click",
        "pandas",
        "dask",
        "email",
        "hashlib",
        "http.client",
        "ssl",
    ]
    script = f"import sys, json, sigc.rpc.client; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    with Script(script) as thin:
        assert json.loads(thin.line()) == []
