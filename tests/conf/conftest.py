"""A daemon for what is shipped, as the tests of the daemon have it."""

from __future__ import annotations

from tests.daemon.conftest import daemon, site, world

__all__ = ["daemon", "site", "world"]
