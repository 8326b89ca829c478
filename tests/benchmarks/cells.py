"""A workload of a few cells with sides of every kind: equal, nearly equal, other shapes, lacking their library."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable

import numpy as np

from benchmarks.sides import ONE_THREAD, Result


def ours(cells: int) -> Callable[[], Result]:
    """0, 1, 2, ... and a missing value."""
    return lambda: np.append(np.arange(float(cells)), np.nan)


def equal(cells: int) -> Callable[[], Result]:
    """The same, from a process told to keep to one thread."""
    assert {name: os.environ[name] for name in ONE_THREAD} == ONE_THREAD
    return ours(cells)


def first_differs(cells: int) -> Callable[[], Result]:
    """The first cell is another."""
    return lambda: np.append(0.5, ours(cells)()[1:])


def shorter(cells: int) -> Callable[[], Result]:
    """A cell less."""
    return lambda: ours(cells)()[1:]


def lacking(cells: int) -> Callable[[], Result]:
    """Needs what no one has."""
    importlib.import_module("a_library_that_does_not_exist")
    return ours(cells)


def broken(cells: int) -> Callable[[], Result]:
    """Fails for a reason of its own."""
    raise LookupError(cells)
