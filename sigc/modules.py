"""Modules that declare something, found in their folder: a new file is in force without a line in a list."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def modules_of(package: str) -> tuple[ModuleType, ...]:
    """Import every module that lies directly in a package, in the order of their names, and return them.

    >>> [module.__name__ for module in modules_of("sigc.alerts.channels")][:2]
    ['sigc.alerts.channels.apprise', 'sigc.alerts.channels.declare']
    """
    folder = importlib.import_module(package).__path__
    names = sorted(found.name for found in pkgutil.iter_modules(folder, f"{package}.") if not found.ispkg)
    return tuple(importlib.import_module(name) for name in names)
