"""The search for modules that declare something: a new file of a folder takes effect without an entry in a list."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def modules_of(package: str) -> tuple[ModuleType, ...]:
    """Import the modules directly in a package and return them, sorted by name.

    >>> [module.__name__ for module in modules_of("sigc.alerts.channels")][:2]
    ['sigc.alerts.channels.apprise', 'sigc.alerts.channels.declare']
    """
    folder = importlib.import_module(package).__path__
    names = sorted(found.name for found in pkgutil.iter_modules(folder, f"{package}.") if not found.ispkg)
    return tuple(importlib.import_module(name) for name in names)
