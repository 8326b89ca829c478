"""Checks of loaded data, and the treatment of each asset that follows: trade it, keep it, or hold none of it.

The policy of its kind weighs each finding:

    halt       an error: the run is refused
    hold       a warning: positions are kept (of all assets; of those without a price, for on_missing_symbol)
    use_cache  a warning: trade to the target of the book's last run instead of the target from these data
    exclude    a warning: the target of these assets is zero
    alert      a warning: go on

    on_stale_data      fresh, repeats (most assets only repeat their last row), late, covered (a source that is read)
    on_data_error      rows, complete, anomalies above max_anomalies_pct, universe
    on_missing_symbol  wanted and held assets without a price
    on_anomaly         wanted and held assets whose price is not accepted or only repeats, whatever share they are

Rows later than the as-of session are an error under every policy: the future is not traded on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sigc.config.settings import SafetySettings
from sigc.data.anomalies import split_like
from sigc.errors import Severity
from sigc.panel import Floats
from sigc.store.ledger.records import Finding
from sigc_pipelines.checks.declare import Breach, UnevaluableError, check, collected, findings, listed
from sigc_pipelines.checks.view import FEW_ASSETS, DataView, SourceView

Where = NDArray[np.bool_]
# Groups of checks; each group has the policy that weighs its findings.
FUTURE, STALE, DAMAGED, UNPRICED, ODD, RARE = "future", "stale", "damaged", "unpriced", "odd", "rare"
_NEAR_SPLIT = 0.005  # relative distance to the ratio of a split


class Treatment(StrEnum):
    """Treatment of an asset: traded to its target, kept at its held position, or brought to zero."""

    TRADE = "trade"
    HOLD = "hold"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True)
class DataVerdict:
    """The verdict on the data. use_cache: trade to the last run's target; treatments: of wanted and held assets.

    odd: assets that are not traded because of an anomaly; their change is pending. A finding of weight ERROR refuses
    the run whatever the treatments are.
    """

    findings: tuple[Finding, ...]
    treatments: dict[str, Treatment]
    use_cache: bool
    odd: frozenset[str] = frozenset()

    @property
    def is_refused(self) -> bool:
        """True if nothing may be traded on these data."""
        return any(f.severity is Severity.ERROR for f in self.findings)


@dataclass(frozen=True, slots=True, eq=False)
class RelevantData:
    """The data together with the relevant assets: those wanted or held, by name."""

    view: DataView
    needed: tuple[str, ...]


def judge_data(view: DataView, wanted: Collection[str], held: Collection[str], limits: SafetySettings) -> DataVerdict:
    """Check the data that `wanted` assets were computed from and `held` ones are valued by."""
    seen = RelevantData(view, tuple(sorted({*wanted, *held})))
    future = _weighed(FUTURE, seen, limits, "halt")
    stale = _weighed(STALE, seen, limits, limits.on_stale_data)
    damaged = _weighed(DAMAGED, seen, limits, limits.on_data_error)
    unpriced = _weighed(UNPRICED, seen, limits, limits.on_missing_symbol)
    odd = _weighed(ODD, seen, limits, limits.on_anomaly)
    rare = _weighed(RARE, seen, limits, "alert")
    policies = {limits.on_stale_data} if stale else set()
    policies |= {limits.on_data_error} if damaged else set()
    # `hold` for stale or damaged data keeps every position, so the policies of single assets do not matter then.
    keeps_all = "hold" in policies
    treatments = dict.fromkeys(seen.needed, Treatment.HOLD if keeps_all else Treatment.TRADE)
    kinds = ((unpriced, limits.on_missing_symbol), (odd, limits.on_anomaly))
    for found, policy in kinds if not keeps_all else ():
        if found and policy in ("hold", "exclude"):
            treatments |= dict.fromkeys(found[0].assets, Treatment(policy))
    waits = odd[0].assets if odd and limits.on_anomaly == "hold" else ()
    every = (*future, *stale, *damaged, *unpriced, *odd, *rare, *_off(view, limits))
    return DataVerdict(every, treatments, "use_cache" in policies, frozenset(waits))


@check(group=FUTURE)
def causal(seen: RelevantData, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """No row is later than the as-of session."""
    expected, newest = _day(seen.view.as_of), _day(seen.view.newest)
    return Breach(f"the newest row, of {newest}, is later than the session {expected}") if newest > expected else None


@check("on_stale_data", group=STALE)
def fresh(seen: RelevantData, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """The newest row is of the as-of session."""
    expected, newest = _day(seen.view.as_of), _day(seen.view.newest)
    if newest >= expected:
        return None
    days = (expected - newest).days
    behind = [s.name for s in seen.view.sources if s.is_read and s.newest and _day(s.newest) < expected]
    of = f" of {listed(behind)}" if behind else ""
    text = f"the newest row{of} is of {newest}; the run is as of the session {expected}"
    return Breach(text, value=float(days), limit=0.0)


@check("max_repeated_pct", group=STALE)
def repeats(seen: RelevantData, limits: SafetySettings) -> Breach | None:
    """The share of assets whose row only repeats the one before, or whose volume is gone."""
    view = seen.view
    still = _still(view)
    number = int(_known(view).sum())
    share = len(still) / number if number else 0.0
    if share <= limits.max_repeated_pct:
        return None
    text = f"{len(still)} of {number} assets repeat their row of the session before"
    return Breach(f"{text}; the limit is {limits.max_repeated_pct:g}", (), share, limits.max_repeated_pct)


@check("on_stale_data", group=STALE)
def late(seen: RelevantData, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """Each source that is read has its newest values when it should have them."""
    found = [s for s in seen.view.sources if s.is_read and s.is_late]
    return Breach(_late(found, seen.view), value=float(len(found)), limit=0.0) if found else None


@check("max_coverage_drop", group=STALE)
def covered(seen: RelevantData, limits: SafetySettings) -> Breach | None:
    """Each source that is read has a value of about as many assets as before."""
    found = [s for s in seen.view.sources if s.is_read and not s.is_late and _has_dropped(s, limits)]
    if not found:
        return None
    worst, most = max(1.0 - s.values / s.mean for s in found), limits.max_coverage_drop
    return Breach(f"{_dropped(found, seen.view)}; the limit is {most:g}", (), worst, most)


@check(group=RARE)
def unread(seen: RelevantData, limits: SafetySettings) -> Breach | None:
    """Sources that the weights do not use and that are late or lack values."""
    others = [s for s in seen.view.sources if not s.is_read]
    behind = [s for s in others if s.is_late]
    less = [s for s in others if not s.is_late and _has_dropped(s, limits)]
    texts = ([_late(behind, seen.view)] if behind else []) + ([_dropped(less, seen.view)] if less else [])
    return Breach("; ".join(texts)) if texts else None


@check(group=RARE)
def splits(seen: RelevantData, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """Returns that a split 2:1 or 3:2 would give, too small to be held."""
    moved = _moved(seen.view)
    found = np.flatnonzero(_is_small_split(moved))
    if not len(found):
        return None
    names = tuple(seen.view.names[i] for i in found)
    told = listed(f"{n} ({100 * m:+.4g} %)" for n, m in zip(names, moved[found].tolist(), strict=True))
    return Breach(f"returns as of splits 2:1 or 3:2, without an action: {told}", names)


@check("max_universe_change", group=DAMAGED)
def universe(seen: RelevantData, limits: SafetySettings) -> Breach | None:
    """The share of the assets with a price that have none any more, without those with a declared end."""
    view = seen.view
    before = _priced(view.previous) & ~np.isin(view.names, list(view.ended))
    gone = before & ~_known(view)
    number = int(before.sum())
    if number < FEW_ASSETS or gone.sum() <= limits.max_universe_change * number:
        return None
    lost = tuple(view.names[i] for i in np.flatnonzero(gone))
    text = f"{len(lost)} of {number} assets that had a price the session before have none ({listed(lost)})"
    share = len(lost) / number
    return Breach(f"{text}; the limit is {limits.max_universe_change:g}", lost, share, limits.max_universe_change)


@check("on_anomaly", group=ODD)
def unaccepted(seen: RelevantData, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """The price of each wanted or held asset is accepted, and no copy of an older one."""
    odd = _jumps(seen.view) | _still(seen.view)
    mine = {n: odd[n] for n in seen.needed if n in odd}
    return Breach(_told(mine), tuple(sorted(mine)), float(len(mine)), 0.0) if mine else None


@check("min_rows", group=DAMAGED)
def rows(seen: RelevantData, limits: SafetySettings) -> Breach | None:
    """The data have rows enough."""
    number = seen.view.rows
    if number >= limits.min_rows:
        return None
    return Breach(f"{number} rows of data; at least {limits.min_rows} are needed", value=number, limit=limits.min_rows)


@check("max_missing_pct", group=DAMAGED)
def complete(seen: RelevantData, limits: SafetySettings) -> Breach | None:
    """The share of wanted and held assets that have no price."""
    lacking = _unpriced(seen)
    share = len(lacking) / len(seen.needed) if seen.needed else 0.0
    if share <= limits.max_missing_pct or _is_single(len(lacking), "max_missing_pct", limits):
        return None
    text = f"{len(lacking)} of {len(seen.needed)} assets have no price ({listed(lacking)})"
    return Breach(f"{text}; the limit is {limits.max_missing_pct:.6g}", lacking, share, limits.max_missing_pct)


@check("max_anomalies_pct", group=DAMAGED)
def anomalies(seen: RelevantData, limits: SafetySettings) -> Breach | None:
    """The share of assets whose last row is unlike their past: a return, a volume, a gap."""
    odd, share = _odd(seen.view, limits)
    if share <= limits.max_anomalies_pct or _is_single(len(odd), "max_anomalies_pct", limits):
        return None
    text = f"{_told(odd)}: {share:.4g} of the assets; the limit is {limits.max_anomalies_pct:g}"
    return Breach(text, tuple(sorted(odd)), share, limits.max_anomalies_pct)


@check("max_anomalies_pct", group=RARE)
def unusual(seen: RelevantData, limits: SafetySettings) -> Breach | None:
    """Anomalies of too few assets for the data to be called wrong."""
    odd, share = _odd(seen.view, limits)
    is_rare = share <= limits.max_anomalies_pct or _is_single(len(odd), "max_anomalies_pct", limits)
    if not odd or not is_rare:
        return None
    return Breach(_told(odd), tuple(sorted(odd)), share, limits.max_anomalies_pct)


@check("on_missing_symbol", group=UNPRICED)
def missing(seen: RelevantData, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """Each wanted or held asset has a price."""
    lacking = _unpriced(seen)
    return Breach(f"no price of {listed(lacking)}", lacking, float(len(lacking)), 0.0) if lacking else None


def _weighed(group: str, seen: RelevantData, limits: SafetySettings, policy: str) -> tuple[Finding, ...]:
    severity = Severity.ERROR if policy == "halt" else Severity.WARNING
    return findings(collected(__name__, group), seen, limits, severity)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise UnevaluableError(f"invalid date '{text}'") from None


def _priced(prices: Floats) -> Where:
    found: Where = np.isfinite(prices) & (prices > 0)
    return found


def _known(view: DataView) -> Where:
    """Return True for assets that have a price on the last row, accepted or not."""
    return _priced(view.prices) | (_priced(view.raw) if view.raw is not None else np.zeros(len(view.names), np.bool_))


def _unpriced(seen: RelevantData) -> tuple[str, ...]:
    view = seen.view
    priced = {n for n, ok in zip(view.names, _known(view), strict=True) if ok}
    return tuple(n for n in seen.needed if n not in priced)


def _jumps(view: DataView) -> dict[str, str]:
    """Return the assets whose price exists and is not accepted, each with its description."""
    if view.raw is None:
        return {}
    odd = {}
    for i in np.flatnonzero(_priced(view.raw) & ~_priced(view.prices)):
        before = np.nan if view.before is None else view.before[i]
        change = float(view.raw[i] / before - 1.0) if before > 0.0 else np.nan
        if change != change:
            odd[view.names[i]] = "a price that is not accepted"
            continue
        like = split_like(change)
        how = f"as of a split {like} that no action declares" if like else "that is not confirmed yet"
        odd[view.names[i]] = f"a return of {100 * change:.4g} %, {how}"
    return odd


def _still(view: DataView) -> dict[str, str]:
    """Return the assets whose row repeats the one before, or whose volume is gone, each with its description."""
    if view.repeated is None:
        return {}
    priced = _priced(view.prices)
    odd = {view.names[i]: "the row of the session before once more" for i in np.flatnonzero(view.repeated & priced)}
    if view.volumes is not None and view.mean_volumes is not None:
        gone = priced & (view.volumes == 0) & (view.mean_volumes > 0)
        odd |= {view.names[i]: "no volume" for i in np.flatnonzero(gone)}
    return odd


def _odd(view: DataView, limits: SafetySettings) -> tuple[dict[str, str], float]:
    """Return the anomalies by asset, and their share of the assets that have a price in either row."""
    now, before = _known(view), _priced(view.previous)
    moved = _moved(view)
    odd: dict[str, str] = {}
    for i in np.flatnonzero(now != before):
        odd[view.names[i]] = "a gap"
    for i in np.flatnonzero(np.abs(moved) > limits.max_return):
        odd[view.names[i]] = f"a return of {100 * moved[i]:.4g} %"
    odd |= _jumps(view)
    for place, ratio in _volumes(view, now, limits.max_volume_ratio):
        odd.setdefault(view.names[place], f"{ratio:.4g} times its average volume")
    number = int((now | before).sum())
    return odd, len(odd) / number if number else 0.0


def _moved(view: DataView) -> Floats:
    """Return the returns of accepted prices since the last accepted ones before; 0 without one."""
    base = view.previous
    # Over a gap the return is that since the last accepted price, however many rows ago.
    if view.before is not None:
        base = np.where(_priced(view.before), view.before, view.previous)
    both = _priced(view.prices) & _priced(base)
    moved = np.zeros(len(view.names))
    moved[both] = view.prices[both] / base[both] - 1.0
    return moved


def _is_small_split(moved: Floats) -> Where:
    """Return True where a return is that of a split 2:1 or 3:2, in either direction."""
    ratio = 1.0 + moved
    found: Where = np.zeros(len(moved), np.bool_)
    for split in (2.0, 1.5):
        found |= (np.abs(ratio * split - 1.0) <= _NEAR_SPLIT) | (np.abs(ratio / split - 1.0) <= _NEAR_SPLIT)
    return found


def _is_single(number: int, setting: str, limits: SafetySettings) -> bool:
    """Return True for a single asset, which is no share, unless the limit is configured."""
    return number <= 1 and setting not in limits.model_fields_set


def _has_dropped(source: SourceView, limits: SafetySettings) -> bool:
    number = max(float(source.assets), source.mean)
    return number >= FEW_ASSETS and source.values < (1.0 - limits.max_coverage_drop) * source.mean - 1e-9


def _late(found: list[SourceView], view: DataView) -> str:
    told = [f"'{s.name}', the newest values of {s.newest}" if s.newest else f"'{s.name}', no values" for s in found]
    return f"as of {view.newest[:10]} sources are late: {'; '.join(told)}"


def _dropped(found: list[SourceView], view: DataView) -> str:
    told = [
        f"{s.values} assets of '{s.name}' have a value on {view.newest[:10]}, where {s.mean:.4g} had one in the mean"
        for s in found
    ]
    return f"{'; '.join(told)} of the rows before (at most 20)"


def _off(view: DataView, limits: SafetySettings) -> tuple[Finding, ...]:
    """Return a finding about limits that can't be measured on so few assets."""
    few = len(view.names)
    if few >= FEW_ASSETS:
        return ()
    names = [n for n in ("max_universe_change", "max_coverage_drop") if n not in limits.model_fields_set]
    if not names:
        return ()
    text = f"{' and '.join(names)} are off: there are {few} assets, and {FEW_ASSETS} are needed"
    return (Finding("off", Severity.INFO, text),)


def _volumes(view: DataView, priced: Where, most: float) -> list[tuple[int, float]]:
    """Return the assets with too much or invalid volume, with the ratio to their mean volume."""
    if view.volumes is None or view.mean_volumes is None:
        return []
    known = priced & np.isfinite(view.mean_volumes) & (view.mean_volumes >= 0)
    # A mean of 0 gives infinity, a NaN or negative volume fails the comparison: `~(... <= most)` catches all of them.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(view.volumes == 0, 0.0, view.volumes / view.mean_volumes)
    return [(int(i), float(ratios[i])) for i in np.flatnonzero(known & ~((ratios >= 0) & (ratios <= most)))]


def _told(odd: dict[str, str]) -> str:
    return listed((f"{name} has {what}" for name, what in sorted(odd.items())), 5)


CHECKS = collected(__name__)  # keep at the end of the module: `collected` sees only checks declared above
