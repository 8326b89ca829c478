"""A URL is read again whenever its content may have changed, as a real HTTP server tells it, or does not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from sigc.blocks.block import BlockStore, MemoryStore, digest
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import Source, load
from sigc.data.sources.spec import SourceSpec
from sigc.data.sources.version import told_version
from sigc.errors import SigcError
from sigc.host.redact import Secrets
from tests.needs import module

WIDE = b"date,B,A\n2020-01-01,1,10\n2020-01-02,,20\n"
RESTATED = WIDE.replace(b"10", b"11")
OLD = "Wed, 21 Oct 2015 07:28:00 GMT"


class Server(ThreadingHTTPServer):
    """One file, with the headers that the test gives it. asked: methods, in their order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = WIDE
        self.headers: dict[str, str] = {}
        self.knows_head = True
        self.asked: list[str] = []

    def spec(self, path: str = "p.csv", format: str = "csv") -> SourceSpec:
        return SourceSpec("prices", f"http://127.0.0.1:{self.server_port}/{path}", format=format, base="/nowhere")


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        if self.server.knows_head:
            self._head()
        else:
            self.send_error(405)

    def do_GET(self) -> None:
        content = self._head()
        self.wfile.write(content)

    def _head(self) -> bytes:
        self.server.asked.append(self.command)
        content = self.server.content
        self.send_response(200 if self.path.startswith("/p.") else 404)
        for name, value in {"Content-Length": str(len(content)), **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        return content

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    module("aiohttp")  # by which http is read, the extra `http`
    fsspec.filesystem("http").clear_instance_cache()
    with serving() as one:
        yield one


def look(server: Server, store: BlockStore, ttl_hours: float = 0.0) -> Source:
    return load([server.spec()], store, DataSettings(), ttl_hours).sources["prices"]


HEADERS = {
    "a strong ETag": ({"ETag": '"one"'}, {"ETag": '"two"'}),
    "Last-Modified": ({"Last-Modified": OLD}, {"Last-Modified": OLD.replace("28", "29")}),
    "neither": ({}, {}),
    "a weak ETag alone": ({"ETag": 'W/"one"'}, {"ETag": 'W/"one"'}),
    "Last-Modified of now": ({"Last-Modified": "Tue, 01 Jan 2199 00:00:00 GMT"},) * 2,
}


@pytest.mark.parametrize("knows_head", [True, False], ids=["HEAD", "no HEAD"])
@pytest.mark.parametrize("told", HEADERS)
def test_a_restated_file_is_seen(server: Server, told: str, knows_head: bool) -> None:
    server.knows_head = knows_head
    before, after = HEADERS[told]
    store = MemoryStore()
    server.headers = before
    first = look(server, store)
    server.content, server.headers = RESTATED, after
    second = look(server, store)
    assert (store.read(first.blocks[0].key), store.read(second.blocks[0].key)) != (None, None)
    assert first.digests != second.digests
    server.content, server.headers = WIDE, before
    assert look(server, store).digests == first.digests


def test_another_size_within_the_second_of_last_modified_is_seen(server: Server) -> None:
    store = MemoryStore()
    server.headers = {"Last-Modified": OLD}
    first = look(server, store)
    server.content = WIDE + b"2020-01-03,4,5\n"
    assert len(look(server, store).dates) == len(first.dates) + 1


@pytest.mark.parametrize("told", ["a strong ETag", "Last-Modified"])
def test_what_did_not_change_is_not_read(server: Server, told: str) -> None:
    store = MemoryStore()
    server.headers = HEADERS[told][0]
    first = look(server, store)
    assert "GET" in server.asked
    server.asked.clear()
    assert look(server, store).digests == first.digests
    assert server.asked == ["HEAD"]


def test_the_same_content_is_the_same_blocks(server: Server, tmp_path: Path) -> None:
    """Of a server that tells nothing: the file is read again, and nothing is stored or converted again."""
    store = ParquetStore(tmp_path)
    first = look(server, store)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "notes").glob("source-*")}
    server.asked.clear()
    second = look(server, store)
    assert "GET" in server.asked
    assert [b.key for b in first.blocks] == [b.key for b in second.blocks]
    assert files == {p: p.stat().st_mtime_ns for p in (tmp_path / "notes").glob("source-*")}
    assert len(files) == 1


def test_what_was_kept_under_a_constant_version_is_not_believed(server: Server) -> None:
    """An older sigc noted the digest of the URL as its version, and that it had looked just now."""
    store = MemoryStore()
    url = server.spec().path
    store.note("seen-" + digest(url), f"{2**40} {fsspec.filesystem('http').ukey(url)}")
    first = look(server, store, ttl_hours=1.0)
    server.content = RESTATED
    assert look(server, store, ttl_hours=1.0).digests == first.digests  # looked at within the hour
    assert look(server, store).digests != first.digests
    assert store.noted("looked-" + digest(url)) != store.noted("seen-" + digest(url))


@pytest.mark.parametrize(("path", "format"), [("q.csv?sig=hunter22", "csv"), ("p.csv?sig=hunter22", "")])
def test_the_query_of_a_url_is_told_to_nobody(
    server: Server, path: str, format: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SigcError) as caught:
        load([server.spec(path, format)], MemoryStore(), DataSettings())
    assert "prices" in str(caught.value)
    assert "hunter22" not in str(caught.value)
    assert "hunter22" not in Secrets().hide(caplog.text)
    found = load([server.spec("p.csv?sig=hunter22")], MemoryStore(), DataSettings()).sources["prices"]
    assert "hunter22" not in found.path


def test_versions_of_other_stores() -> None:
    """As s3fs, gcsfs and adlfs give them."""
    from datetime import UTC, datetime

    at = datetime(2015, 10, 21, tzinfo=UTC)
    now_s = at.timestamp() + 100.0
    assert told_version({"ETag": '"a"', "LastModified": at, "size": 1}, now_s) == 'etag "a"'
    assert told_version({"etag": "CJ=", "updated": "2015-10-21T00:00:00.000Z", "size": 1}, now_s) == "etag CJ="
    plain: list[dict[str, object]] = [
        {"LastModified": at},
        {"last_modified": at.replace(tzinfo=None)},
        {"mtime": at.timestamp()},
    ]
    plain.append({"updated": "2015-10-21T00:00:00.000Z"})
    assert {told_version({**told, "size": 1}, now_s) for told in plain} == {"modified 2015-10-21T00:00:00+00:00 1"}
    for told in ({"mtime": "soon"}, {"mtime": 1e30}, {"mtime": None}, {"created": at}, {"LastModified": at}):
        assert told_version({"size": None if "LastModified" in told else 1, **told}, now_s) == ""
    assert told_version({"LastModified": at, "size": 1}, now_s - 90.0) == ""
