"""Declaration of checks: a check is one function that measures against one limit; its name, limit and text follow from
it.

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
from sigc.errors import Severity
from sigc.store.ledger.records import Finding

Seen = TypeVar("Seen")


class UnevaluableError(Exception):
    """An input of a check is missing, so the check fails; the text names the input."""


@dataclass(frozen=True, slots=True)
class Breach:
    """An exceeded limit: the message, the assets, the measured value, the limit."""

    message: str
    assets: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Check(Generic[Seen]):
    """A check. setting: the field of `SafetySettings` that is its limit (dotted in a section), '' without one.

    group: name of the checks of a module that are weighed together.
    """

    name: str
    setting: str
    text: str
    measure: Callable[[Seen, SafetySettings], Breach | None]
    group: str = ""

    @property
    def default(self) -> Any:
        """The limit's default."""
        found: Any = SafetySettings()
        for name in self.setting.split(".") if self.setting else ():
            found = getattr(found, name)
        return found if self.setting else None


_declared: dict[str, list[Check[Any]]] = {}  # by module, in the order of declaration


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
    """Return all checks of a module in their order; only those of some groups when named."""
    return tuple(c for c in _declared.get(module, ()) if not groups or c.group in groups)


def findings(
    checks: Iterable[Check[Seen]],
    seen: Seen,
    limits: SafetySettings,
    severity: Severity,
    assets: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    """Run the checks in order and return their findings, each of `severity`. assets: of a finding that names none."""
    found = []
    for each in checks:
        breach = _measured(each, seen, limits)
        if breach is not None:
            about = breach.assets or assets
            value, limit = _finite(breach.value), _finite(breach.limit)
            found.append(Finding(each.name, severity, breach.message, about, value, limit))
    return tuple(found)


def _measured(each: Check[Seen], seen: Seen, limits: SafetySettings) -> Breach | None:
    try:
        return each.measure(seen, limits)
    except UnevaluableError as why:
        return Breach(f"{each.name} can't be evaluated: {why}")
    except Exception as broken:  # any error fails the check: the limit is not known to be kept
        return Breach(f"{each.name} can't be evaluated: {type(broken).__name__}: {broken}")


def _finite(value: float | None) -> float | None:
    """Return the value, None for one that a record can't hold (NaN, infinite)."""
    return value if value is not None and math.isfinite(value) else None


def listed(assets: Iterable[str], most: int = 10) -> str:
    """Return assets as text for a message: all when few, else the first ones and a count.

    >>> listed(["A", "B"]), listed("ABCD", 2)
    ('A, B', 'A, B and 2 more')
    """
    names = list(assets)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
