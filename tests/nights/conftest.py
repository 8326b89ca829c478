"""A browser and a site, as the page's tests and the daemon's have them."""

from tests.daemon.conftest import site, world
from tests.dashboard.conftest import browser

__all__ = ["browser", "site", "world"]
