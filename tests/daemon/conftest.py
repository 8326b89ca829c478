"""A daemon that many tests may look at: those that change it undo what they did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.daemons import Daemon, Gate, Site
from tests.world import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data that strategies read, made once."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture
def site(tmp_path: Path, world: Path, jit_directory: Path) -> Site:
    """A site without a daemon yet."""
    return Site(tmp_path, world, jit_directory)


@pytest.fixture
def gated(site: Site) -> tuple[Site, Gate]:
    """A site with a job that begins and ends as the test says."""
    gate = Gate.make(site.folder)
    site.settings["schedule"]["jobs"] = [site.script("gate", *gate.command)]
    site.write()
    return site, gate


@pytest.fixture
def daemon(site: Site) -> Iterator[Daemon]:
    """A daemon that is ready."""
    with Daemon(site) as running:
        yield running
