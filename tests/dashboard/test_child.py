"""The page as a child of the daemon: there when it is ready, again when it dies, gone with it; never in its way."""

from __future__ import annotations

import http.client
import json
import os
import socket

import psutil
import pytest

from sigc.rpc.messages.requests import StatusReply
from tests.daemon.daemons import Daemon, Site, free_port
from tests.daemon.processes import PATIENCE_S

EVERYWHERE = "0.0.0.0"  # noqa: S104 -- is refused


def first_page(status: StatusReply) -> str:
    """Where the root of the page leads."""
    return lead(int(status.page.rstrip("/").rpartition(":")[2]))


def lead(port: int) -> str:
    """The same by its port; waits for a page that is yet to start, as its socket listens already."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().headers["Location"]
    finally:
        connection.close()


@pytest.fixture
def paged(site: Site) -> Site:
    """A site whose daemon has a page."""
    site.settings["daemon"]["dashboard"] = {"port": 0}
    site.write()
    return site


def page_of(daemon: Daemon) -> psutil.Process:
    """The page's process."""
    (found,) = (child for child in daemon.descendants() if "dashboard" in child.cmdline())
    return found


def test_it_is_there_and_told_of(paged: Site) -> None:
    with Daemon(paged):
        status = paged.status()
        assert first_page(status) == "/overview?daemon=sigc"
        assert f"Status page: {status.page}\n" in paged.sigc("status", "--detailed").stdout
        with paged.client() as client:
            listed = client.get("status", {"is_detailed": True}, reply=StatusReply)
        assert listed.detailed is not None
        assert str(listed.detailed.ports["daemon.dashboard.port"]) in status.page


def test_one_that_dies_is_started_again_on_the_same_port(paged: Site) -> None:
    with Daemon(paged) as daemon:
        before = paged.status()
        first_page(before)
        old = page_of(daemon)
        old.kill()
        assert first_page(before) == "/overview?daemon=sigc"
        assert page_of(daemon).pid != old.pid
        assert paged.status().page == before.page
        assert paged.status().is_ready


@pytest.mark.parametrize("how", ["kill -9", "stop"])
def test_it_ends_with_the_daemon(paged: Site, how: str) -> None:
    with Daemon(paged) as daemon:
        first_page(paged.status())
        page = page_of(daemon)
        if how == "stop":
            paged.sigc("stop", "--config", str(paged.config))
            assert daemon.end()[0] == 0
        else:
            daemon.kill()
        gone, alive = psutil.wait_procs([page], timeout=PATIENCE_S)
        assert (len(gone), alive) == (1, [])
    assert paged.left_behind() == ([] if how == "stop" else ["sigc.pid", "sigc.json", "scratch"])


def test_it_has_none_of_the_daemons_tokens(paged: Site) -> None:
    given = "of-the-environment-0123456789"
    with Daemon(paged, SIGC_RPC_TOKEN=given) as daemon:
        (entry,) = (paged.folder / "run").glob("*.json")
        lead(json.loads(entry.read_text())["ports"]["daemon.dashboard.port"])
        page = page_of(daemon)
        assert not {"SIGC_RPC_TOKEN", "NOTIFY_SOCKET"} & set(page.environ())
        assert given not in " ".join([*page.cmdline(), *page.environ().values()])


def test_an_explicit_port_that_is_taken_is_refused_and_a_default_one_moves(site: Site) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        site.settings["daemon"]["dashboard"] = {"port": port}
        site.write()
        refused = site.sigc("daemon", "--config", str(site.config))
        assert refused.returncode != 0
        assert f"port {port} (daemon.dashboard.port) is in use" in refused.stderr
    site.settings["daemon"]["dashboard"] = {}
    site.write()
    with Daemon(site):
        number = int(site.status().page.rstrip("/").rpartition(":")[2])
        assert 5006 <= number < 5106


def test_beyond_this_machine_it_needs_a_certificate(site: Site) -> None:
    site.settings["daemon"]["dashboard"] = {"host": EVERYWHERE, "port": 0}
    site.write()
    refused = site.sigc("daemon", "--config", str(site.config))
    assert refused.returncode == 6
    assert "daemon.dashboard.port" in refused.stderr
    assert "needs TLS" in refused.stderr
    refused = site.sigc("dashboard", "--host", EVERYWHERE, "--port", "0")
    assert refused.returncode == 6


def test_without_one_nothing_listens(site: Site) -> None:
    with Daemon(site) as daemon:
        assert site.status().page == ""
        assert daemon.descendants() == []


def test_a_page_whose_parent_is_gone_already_does_not_begin(site: Site) -> None:
    ended = site.sigc("dashboard", "--port", "0", "--parent", str(os.getpid() + 1_000_000))
    assert ended.returncode != 0
    assert "the status page is at" not in ended.stdout
