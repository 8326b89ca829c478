"""What tests need of a machine beside Python. Without it they skip and say why; under SIGC_FULL=1 they fail.

    @pytest.mark.needs("promtool")                      a program, or `root`
    program("openssl")                                  in a fixture or a helper: its path
    module("polars"), lack("sp500", "the folder ...")   a package, or what only the test can look for

SIGC_LACKS names what a machine is known to be without all the same: `.ci/run` sets both.
"""

from __future__ import annotations

import importlib
import os
import shutil
from typing import Any, NoReturn

import pytest

IS_FULL = os.environ.get("SIGC_FULL", "") not in ("", "0")
ROOT = "root"
_PACKAGES = {"promtool": "prometheus", "cc": "gcc", "systemd-analyze": "systemd"}  # where they are not called the same
# What `.ci/run` installs; with the words after it, all that the tests may need.
INSTALLED = ("openssl", "chromium", "prometheus")
OTHERS = ("promtool", "cc", "systemd-analyze", ROOT, "mount", "polars", "aiohttp", "sp500")


def lack(what: str, why: str) -> NoReturn:
    """Skip the test for what this machine lacks; fail it where all was promised. Raises ValueError for other words."""
    if what not in (*INSTALLED, *OTHERS):
        raise ValueError(f"'{what}' is not listed in tests/needs.py")
    if IS_FULL and what not in os.environ.get("SIGC_LACKS", "").split():
        pytest.fail(f"SIGC_FULL=1, and {why} ({what} is not in SIGC_LACKS)", pytrace=False)
    pytest.skip(f"{what}: {why}")


def program(name: str, *others: str) -> str:
    """Return the path of a program, or of one that does for it."""
    found = next((path for one in (name, *others) if (path := shutil.which(one))), None)
    return found or lack(name, f"{name} is not installed: `apt-get install {_PACKAGES.get(name, name)}`")


def module(name: str) -> Any:
    """Return a package that not everybody installs."""
    try:
        return importlib.import_module(name)
    except ImportError:
        lack(name, f"the package {name} is not installed: `pip install {name}`")


def need(what: str) -> None:
    """Go on only where it is there: root, or a program."""
    if what != ROOT:
        program(what)
    elif os.geteuid() != 0:
        lack(ROOT, "the test acts as a second user, which only root can")
