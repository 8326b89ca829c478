"""What a check is: one function that measures against one limit; its name, limit and text follow from it.

A check is in force where it is declared: `collected` finds all of a module, so none can be left out of a list.

@check("max_gross")
def gross(view: WeightsView, limits: SafetySettings) -> Breach | None:
    '''The sum of absolute weights.'''
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sigc.config.settings import SafetySettings
from sigc.store.ledger.records import Finding, Weight

Seen = TypeVar("Seen")


class UnevaluableError(Exception):
    """What a check needs is not there, so that it has failed; the text says what."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that was exceeded: what, by which assets, the value measured, the limit."""

    message: str
    assets: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Check(Generic[Seen]):
    """A check. setting: the field of `SafetySettings` that is its limit, '' without one.

    group: those of a module that are weighed together, see there.
    """

    name: str
    setting: str
    text: str
    measure: Callable[[Seen, SafetySettings], Breach | None]
    group: str = ""

    @property
    def default(self) -> Any:
        """The limit where none is configured."""
        return SafetySettings.model_fields[self.setting].default if self.setting else None


_declared: dict[str, list[Check[Any]]] = {}  # by module, in their order


def check(
    setting: str = "", group: str = ""
) -> Callable[[Callable[[Seen, SafetySettings], Breach | None]], Check[Seen]]:
    """Declare the function below as a check against `setting`, and put it in force."""

    def declare(measure: Callable[[Seen, SafetySettings], Breach | None]) -> Check[Seen]:
        text = (measure.__doc__ or "").splitlines()[0]
        made = Check(measure.__name__, setting, text, measure, group)
        _declared.setdefault(measure.__module__, []).append(made)
        return made

    return declare


def collected(module: str, *groups: str) -> tuple[Check[Any], ...]:
    """All checks that a module declares, in their order; those of some groups where these are named."""
    return tuple(c for c in _declared.get(module, ()) if not groups or c.group in groups)


def findings(
    checks: Iterable[Check[Seen]],
    seen: Seen,
    limits: SafetySettings,
    weight: Weight,
    assets: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    """What the checks find, in their order, each of `weight`. assets: what a finding is about that names none."""
    found = []
    for each in checks:
        breach = _measured(each, seen, limits)
        if breach is not None:
            about = breach.assets or assets
            value, limit = _finite(breach.value), _finite(breach.limit)
            found.append(Finding(each.name, weight, breach.message, about, value, limit))
    return tuple(found)


def _measured(each: Check[Seen], seen: Seen, limits: SafetySettings) -> Breach | None:
    try:
        return each.measure(seen, limits)
    except UnevaluableError as why:
        return Breach(f"{each.name} can't be evaluated: {why}")
    except Exception as broken:  # whatever it was: the limit is not known to be kept
        return Breach(f"{each.name} can't be evaluated: {type(broken).__name__}: {broken}")


def _finite(value: float | None) -> float | None:
    """What a record can hold."""
    return value if value is not None and math.isfinite(value) else None


def listed(assets: Iterable[str], most: int = 10) -> str:
    """Assets for a message: all of few, the first of many.

    >>> listed(["A", "B"]), listed("ABCD", 2)
    ('A, B', 'A, B and 2 more')
    """
    names = list(assets)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
