"""Checks of loaded data, and what follows for each asset: trade it, keep it, or want none of it.

What a check finds is weighed by the policy of its kind:

    halt       an error: the run is refused
    hold       a warning: positions are kept (of all assets; of those without a price, for on_missing_symbol)
    use_cache  a warning: trade to the target of the book's last run instead of what these data say
    exclude    a warning: nothing of these assets is wanted
    alert      a warning: go on as if nothing were

    on_stale_data      fresh
    on_data_error      rows, complete, anomalies above max_anomalies_pct
    on_missing_symbol  wanted and held assets without a price

Rows later than the as-of session are an error under every policy: the future is not traded on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sigc.config import SafetySettings
from sigc.panel import Floats
from sigc.store.records import Finding, Weight
from sigc_pipelines.checks.declare import Breach, Check, UnevaluableError, check, findings, listed
from sigc_pipelines.checks.view import DataView

Where = NDArray[np.bool_]


class Treatment(StrEnum):
    """What becomes of an asset: traded to its target, kept at what is held, or wanted at nothing."""

    TRADE = "trade"
    HOLD = "hold"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True)
class DataVerdict:
    """What the data are good for. use_cache: trade to the last run's target; treatments: of wanted and held assets.

    A finding of weight ERROR refuses the run whatever the treatments say.
    """

    findings: tuple[Finding, ...]
    treatments: dict[str, Treatment]
    use_cache: bool

    @property
    def is_refused(self) -> bool:
        """Whether nothing may be traded on these data."""
        return any(f.weight is Weight.ERROR for f in self.findings)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The data beside the assets that matter: those wanted or held, by name."""

    view: DataView
    needed: tuple[str, ...]


def judge_data(view: DataView, wanted: Collection[str], held: Collection[str], limits: SafetySettings) -> DataVerdict:
    """Judge the data that `wanted` assets were computed from, and what `held` ones are valued by."""
    seen = Loaded(view, tuple(sorted({*wanted, *held})))
    future = findings((causal,), seen, limits, Weight.ERROR)
    stale = _weighed((fresh,), seen, limits, limits.on_stale_data)
    damaged = _weighed((rows, complete, anomalies), seen, limits, limits.on_data_error)
    unpriced = _weighed((missing,), seen, limits, limits.on_missing_symbol)
    rare = findings((unusual,), seen, limits, Weight.WARNING)
    policies = {limits.on_stale_data} if stale else set()
    policies |= {limits.on_data_error} if damaged else set()
    keeps_all = "hold" in policies
    treatments = dict.fromkeys(seen.needed, Treatment.HOLD if keeps_all else Treatment.TRADE)
    if unpriced and not keeps_all and limits.on_missing_symbol in ("hold", "exclude"):
        treatments |= dict.fromkeys(unpriced[0].assets, Treatment(limits.on_missing_symbol))
    return DataVerdict((*future, *stale, *damaged, *unpriced, *rare), treatments, "use_cache" in policies)


@check()
def causal(seen: Loaded, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """No row is later than the as-of session."""
    expected, newest = _day(seen.view.as_of), _day(seen.view.newest)
    return Breach(f"the newest row, of {newest}, is later than the session {expected}") if newest > expected else None


@check("on_stale_data")
def fresh(seen: Loaded, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """The newest row is of the as-of session."""
    expected, newest = _day(seen.view.as_of), _day(seen.view.newest)
    if newest >= expected:
        return None
    days = (expected - newest).days
    text = f"the newest row is of {newest}, the session is {expected}"
    return Breach(text, value=float(days), limit=0.0)


@check("min_rows")
def rows(seen: Loaded, limits: SafetySettings) -> Breach | None:
    """The data have rows enough."""
    number = seen.view.rows
    if number >= limits.min_rows:
        return None
    return Breach(f"{number} rows of data; at least {limits.min_rows} are needed", value=number, limit=limits.min_rows)


@check("max_missing_pct")
def complete(seen: Loaded, limits: SafetySettings) -> Breach | None:
    """The share of wanted and held assets that have no price."""
    lacking = _unpriced(seen)
    share = len(lacking) / len(seen.needed) if seen.needed else 0.0
    if share <= limits.max_missing_pct:
        return None
    text = f"{len(lacking)} of {len(seen.needed)} assets have no price ({listed(lacking)})"
    return Breach(f"{text}; the limit is {limits.max_missing_pct:.6g}", lacking, share, limits.max_missing_pct)


@check("max_anomalies_pct")
def anomalies(seen: Loaded, limits: SafetySettings) -> Breach | None:
    """The share of assets whose last row is unlike their past: a return, a volume, a gap."""
    odd, share = _odd(seen.view, limits)
    if share <= limits.max_anomalies_pct:
        return None
    text = f"{_told(odd)}: {share:.4g} of the assets; the limit is {limits.max_anomalies_pct:g}"
    return Breach(text, tuple(sorted(odd)), share, limits.max_anomalies_pct)


@check("max_anomalies_pct")
def unusual(seen: Loaded, limits: SafetySettings) -> Breach | None:
    """Anomalies of too few assets for the data to be called wrong."""
    odd, share = _odd(seen.view, limits)
    if not odd or share > limits.max_anomalies_pct:
        return None
    return Breach(_told(odd), tuple(sorted(odd)), share, limits.max_anomalies_pct)


@check("on_missing_symbol")
def missing(seen: Loaded, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """Each wanted or held asset has a price."""
    lacking = _unpriced(seen)
    return Breach(f"no price of {listed(lacking)}", lacking, float(len(lacking)), 0.0) if lacking else None


CHECKS = (causal, fresh, rows, complete, anomalies, missing, unusual)


def _weighed(
    checks: tuple[Check[Loaded], ...], seen: Loaded, limits: SafetySettings, policy: str
) -> tuple[Finding, ...]:
    return findings(checks, seen, limits, Weight.ERROR if policy == "halt" else Weight.WARNING)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise UnevaluableError(f"'{text}' is no date") from None


def _priced(prices: Floats) -> Where:
    found: Where = np.isfinite(prices) & (prices > 0)
    return found


def _unpriced(seen: Loaded) -> tuple[str, ...]:
    view = seen.view
    priced = {n for n, ok in zip(view.names, _priced(view.prices), strict=True) if ok}
    return tuple(n for n in seen.needed if n not in priced)


def _odd(view: DataView, limits: SafetySettings) -> tuple[dict[str, str], float]:
    """What is odd, by asset, and its share of the assets that have a price in either row."""
    now, before = _priced(view.prices), _priced(view.previous)
    both = now & before
    moved = np.zeros(len(view.names))
    moved[both] = view.prices[both] / view.previous[both] - 1.0
    odd: dict[str, str] = {}
    for i in np.flatnonzero(now != before):
        odd[view.names[i]] = "a gap"
    for i in np.flatnonzero(np.abs(moved) > limits.max_return):
        odd[view.names[i]] = f"a return of {100 * moved[i]:.4g} %"
    for place, ratio in _volumes(view, now, limits.max_volume_ratio):
        odd.setdefault(view.names[place], f"{ratio:.4g} times its average volume")
    number = int((now | before).sum())
    return odd, len(odd) / number if number else 0.0


def _volumes(view: DataView, priced: Where, most: float) -> list[tuple[int, float]]:
    """Assets with too much volume, or with one that is none, of those whose average is known."""
    if view.volumes is None or view.mean_volumes is None:
        return []
    known = priced & np.isfinite(view.mean_volumes) & (view.mean_volumes >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(view.volumes == 0, 0.0, view.volumes / view.mean_volumes)
    return [(int(i), float(ratios[i])) for i in np.flatnonzero(known & ~((ratios >= 0) & (ratios <= most)))]


def _told(odd: dict[str, str]) -> str:
    return listed((f"{name} has {what}" for name, what in sorted(odd.items())), 5)
