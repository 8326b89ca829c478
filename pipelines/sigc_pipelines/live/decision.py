"""The decision of a run: target weights, checked against what the book holds, and the bounds its orders are checked by.

    basis     the money that weights are shares of
    decide    the target, every finding about data and weights, and the assets that keep their position
    bounds    of each order: the wanted change, one lot, the highest price, the mean volume

A book of zero or negative worth has no weights. It only reduces: positions that the strategy does not want, or wants on
the other side, are closed, all others are kept; weights are then shares of its gross value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from sigc.actions import Action, ActionKind
from sigc.config.settings import Config, SafetySettings
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Floats
from sigc.store.ledger.records import ZERO, Finding
from sigc_pipelines.checks.data import DataVerdict, Treatment, judge_data
from sigc_pipelines.checks.exposure import Bound
from sigc_pipelines.checks.view import DataView, SourceView, WeightsView
from sigc_pipelines.checks.weights import judge_weights
from sigc_pipelines.live import waiting
from sigc_pipelines.live.sizing import Order, cut, decimal
from sigc_pipelines.live.valuing import BookValue
from sigc_pipelines.prices.restated_prices import RestatedAsset, told_of
from sigc_pipelines.targets import TargetSnapshot

_ENDS = (ActionKind.DELIST, ActionKind.MERGE, ActionKind.RENAME)
INPUTS = {"max_adv_pct": "volume"}  # limits that are on by default, and the source they are measured by


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """The money that weights are shares of (> 0). held: weights (assets,) of it. is_ruined: the book is worth <= 0."""

    money: Decimal
    held: Floats
    is_ruined: bool


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Facts from the ledger about the book: turnovers of its runs; by source, the number of assets that last had a
    value.

    ready: pending changes that have a price now; the run trades only these. restated: assets whose old prices changed.
    """

    turnovers: tuple[float, ...] = ()
    coverage: Mapping[str, int] | None = None
    ready: Mapping[str, float] | None = None
    restated: tuple[RestatedAsset, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """A decision. target: weights to trade to, (assets,). kept: assets that are not traded; odd: of them those with an
    anomaly, whose change is pending.

    off: limits without data to measure by.
    """

    basis: Basis
    target: Floats
    kept: frozenset[str]
    odd: frozenset[str]
    off: tuple[str, ...]
    findings: tuple[Finding, ...]


def finite(sight: TargetSnapshot) -> None:
    """Raise E801 for infinite weights, before anything is computed from them."""
    bad = [n for n, w in zip(sight.names, sight.wanted.tolist(), strict=True) if w in (float("inf"), float("-inf"))]
    if bad:
        named = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        message = f"on the row of {sight.as_of} weights are infinite: {named}"
        raise SigcError(Diagnostic("E801", message, hint="a division by zero or an overflow in a signal"))


def basis(sight: TargetSnapshot, now: BookValue, sizing: str) -> Basis:
    """Return the money that weights are shares of, with the held weights. Raises E801 for a book without worth or
    positions.
    """
    is_ruined = now.worth <= 0
    values = {n: q * now.prices.get(n, ZERO) for n, q in now.positions.items()}
    gross = sum((abs(v) for v in values.values()), ZERO)
    money = gross if is_ruined else now.capital if sizing == "capital" else now.worth
    if money <= 0:
        raise SigcError(Diagnostic("E801", f"the book is worth {now.worth}: there is nothing to trade with"))
    return Basis(money, np.array([float(values.get(n, ZERO) / money) for n in sight.names]), is_ruined)


def decide(
    sight: TargetSnapshot,
    now: BookValue,
    as_of: str,
    config: Config,
    known: Known,
    actions: Sequence[Action],
    last_target: Callable[[], tuple[Floats, Finding]],
) -> Decision:
    """Return the target and every finding about it. last_target: gives the target of the book's last run, and a finding
    about it.
    """
    limits, names = config.safety, sight.names
    base = basis(sight, now, config.execution.sizing)
    wanted = {n for n, w in zip(names, sight.wanted.tolist(), strict=True) if w == w and w != 0.0}  # w == w: not NaN
    verdict = judge_data(_view(sight, as_of, actions, known), wanted, set(now.positions), limits)
    found = [*verdict.findings, *waiting.undecided(sight)]
    kept: set[str] = set()
    # The order matters: a ruined book reduces whatever the data say; pending changes are traded alone.
    if base.is_ruined:
        target = _reduced(sight, base.held)
        found.append(Finding("worth", Severity.WARNING, f"the book is worth {now.worth}: it only reduces"))
    elif known.ready:
        target = waiting.made_up(known.ready, sight, base.held)
        kept |= set(names) - known.ready.keys()
    elif verdict.use_cache:
        target, told = last_target()
        found.append(told)
    else:
        target = sight.within(base.held)
    # After every source of the target: no policy lets a cached target trade an asset that is held or excluded.
    target = _treated(names, target, base.held, verdict, kept)
    target = _untouched(names, target, base.held, {r.asset for r in known.restated}, kept)
    found += told_of(known.restated)
    off = off_limits(limits, {s.name for s in sight.sources})
    found += [Finding("off", Severity.INFO, why_off(name)) for name in off]
    found += judge_weights(WeightsView(names, target, base.held, sight.sectors, known.turnovers), limits)
    return Decision(base, target, frozenset(kept), verdict.odd, off, tuple(found))


def _view(sight: TargetSnapshot, as_of: str, actions: Sequence[Action], known: Known) -> DataView:
    return DataView(
        as_of=as_of,
        newest=sight.as_of,
        rows=sight.rows,
        names=sight.names,
        prices=sight.prices,
        previous=sight.previous,
        volumes=sight.volumes,
        mean_volumes=sight.mean_volumes,
        sectors=sight.sectors,
        raw=sight.raw,
        before=sight.before,
        repeated=sight.repeated,
        ended=frozenset(a.asset for a in actions if a.kind in _ENDS and str(a.ex_date) <= as_of),
        sources=tuple(_against(one, known.coverage or {}) for one in sight.sources),
    )


def _against(one: SourceView, before: Mapping[str, int]) -> SourceView:
    """Return a source with the coverage of the book's last run as its mean, where that is higher. A constant source has
    no rows before; in a file that was rewritten without half of its columns, the rows before show no drop.
    """
    is_off = one.values == 0 and one.mean == 0.0 and not one.is_static
    return one if is_off or one.name not in before else replace(one, mean=max(one.mean, float(before[one.name])))


def _reduced(sight: TargetSnapshot, held: Floats) -> Floats:
    """Return the held weights, with zero for assets that are not wanted or wanted on the other side. An unknown (NaN)
    weight keeps its position.
    """
    wanted = np.where(np.isnan(sight.wanted), held, sight.wanted)
    target: Floats = np.where(wanted * held > 0.0, held, 0.0)
    return np.where(np.isfinite(sight.prices), target, held)  # without a price: not tradable


def _treated(names: Sequence[str], target: Floats, held: Floats, verdict: DataVerdict, kept: set[str]) -> Floats:
    made = target.copy()
    for i, name in enumerate(names):
        match verdict.treatments.get(name, Treatment.TRADE):
            case Treatment.HOLD:
                made[i] = held[i]
                kept.add(name)
            case Treatment.EXCLUDE:
                made[i] = 0.0
            case Treatment.TRADE:
                pass
    return made


def _untouched(names: Sequence[str], target: Floats, held: Floats, those: set[str], kept: set[str]) -> Floats:
    """Return the target with some assets at their held weights, and add these to `kept`."""
    kept |= those & set(names)
    return np.where(np.isin(names, sorted(those)), held, target) if those else target


def off_limits(limits: SafetySettings, sources: set[str]) -> tuple[str, ...]:
    """Return the limits that are on by default and have no source to measure by. A limit that is configured is never
    off.
    """
    return tuple(
        name
        for name, source in INPUTS.items()
        if source not in sources and name not in limits.model_fields_set and getattr(limits, name) > 0
    )


def why_off(name: str) -> str:
    """Return the text about a limit that is off.

    >>> why_off("max_adv_pct")
    "max_adv_pct is off: the strategy loads no source 'volume'"
    """
    return f"{name} is off: the strategy loads no source '{INPUTS[name]}'"


def bounds(
    sight: TargetSnapshot,
    made: Decision,
    now: BookValue,
    in_flight: Mapping[str, Decimal],
    orders: Sequence[Order],
    lot: Decimal,
) -> dict[str, Bound]:
    """Return the `Bound` of each order, by asset."""
    place = {name: at for at, name in enumerate(sight.names)}
    found = {}
    for order in orders:
        at = place[order.asset]
        price, quantity = order.reference, now.positions.get(order.asset, ZERO) + in_flight.get(order.asset, ZERO)
        # From quantities, not from held weights: the order was sized from quantities, with what is in flight.
        change = abs(decimal(float(made.target[at])) * made.basis.money - quantity * price)
        before = np.nan if sight.before is None else float(sight.before[at])
        volume = np.nan if sight.adv is None else float(sight.adv[at])
        high = max(price, decimal(before)) if before > 0.0 else price  # NaN > 0.0 is False
        found[order.asset] = Bound(change, lot * price, high, decimal(volume) if volume >= 0.0 else None)
    return found


def within_size(
    orders: Sequence[Order],
    of: Mapping[str, Bound],
    positions: Mapping[str, Decimal],
    limits: SafetySettings,
    lot: Decimal,
) -> tuple[tuple[Order, ...], tuple[Finding, ...]]:
    """Return the orders, with pure reductions cut to the limits of an order's size, and a finding about the cuts."""
    made = tuple(cut(o, positions.get(o.asset, ZERO), _most(o, of[o.asset], limits), lot) for o in orders)
    small = [o.asset for o, whole in zip(made, orders, strict=True) if o is not whole]
    if not small:
        return made, ()
    text = f"{len(small)} reductions are larger than an order may be, and are cut: the rest is left for later runs"
    return made, (Finding("cut", Severity.WARNING, text, tuple(small)),)


def _most(order: Order, bound: Bound, limits: SafetySettings) -> Decimal | None:
    """Return the largest quantity within the size limits, None for no limit."""
    dearest = max(order.reference, bound.high or ZERO)
    found = []
    if limits.max_order_value > 0:
        found.append(decimal(limits.max_order_value) / dearest)
    if limits.max_order_shares > 0:
        found.append(decimal(limits.max_order_shares))
    if limits.max_adv_pct > 0 and bound.volume is not None:
        found.append(decimal(limits.max_adv_pct) * bound.volume / dearest)
    return min(found, default=None)
