"""Record of a run's data and decision, asset by asset, for `sigc why`; of live, paper and dry runs.

    data.json        by source: its newest value, how old that is in sessions, rows, assets
    weights.json     wanted, target and held weights, also of a refused or dry run (`artifacts.write_weights`)
    decision.json    money, lot, and by asset: price, quantities held, in flight, aimed at and ordered

Optional: a failed write stops no run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from sigc.store.ledger.records import ZERO
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live.decision import Decision
from sigc_pipelines.live.sizing import Order, quantity_of
from sigc_pipelines.live.valuing import BookValue
from sigc_pipelines.records.artifacts import folder_of, write_json, write_weights
from sigc_pipelines.targets import Targets, TargetSnapshot

DATA, DECISION = "data.json", "decision.json"


@dataclass(frozen=True, slots=True, eq=False)
class Sized:
    """Orders before and after the cut to the size limits, with the inputs of sizing."""

    whole: Sequence[Order]
    cut: Sequence[Order]
    changes: Mapping[str, Decimal]
    in_flight: Mapping[str, Decimal]
    lot: Decimal


def write_data(work_dir: Path, run: str, loaded: Loaded, outlook: Targets, sight: TargetSnapshot, as_of: str) -> None:
    """Write the state of the sources on the as-of row. Raises OSError."""
    place, day = outlook.row_days.exchange.place, np.datetime64(as_of, "D")
    told: dict[str, Any] = {}
    for one in sight.sources:
        source = loaded.catalog.sources.get(one.name)
        line: dict[str, Any] = {"newest": one.newest, "values": one.values, "assets": one.assets}
        if source is not None:
            line["rows"] = int((source.dates.astype("datetime64[D]") <= day).sum())
        if one.newest:
            ends = place(np.array([np.datetime64(one.newest, "D"), day]))
            line["age"] = int(max(0, ends[1] - ends[0]))
        told[one.name] = line
    write_json(folder_of(work_dir, run) / DATA, {"as_of": as_of, "sources": told})


def write_target(work_dir: Path, run: str, sight: TargetSnapshot, made: Decision) -> None:
    """Write the weights of a run that ends before its orders. Raises SigcError E300."""
    write_weights(work_dir, run, sight.names, sight.wanted, made.target, made.basis.held)


def write_decision(
    work_dir: Path, run: str, sight: TargetSnapshot, made: Decision, now: BookValue, sized: Sized
) -> None:
    """Write the sizing of each asset that is wanted or held. Raises OSError."""
    whole = {o.asset: o.side.sign * o.quantity for o in sized.whole}
    cut = {o.asset: o.side.sign * o.quantity for o in sized.cut}
    cells = zip(sight.names, sight.wanted.tolist(), made.target.tolist(), made.basis.held.tolist(), strict=True)
    names = {n for n, w, t, h in cells if t or h or (w == w and w)} | now.positions.keys() | whole.keys()
    assets: dict[str, dict[str, Any]] = {}
    for name in sorted(names):
        price, weight = now.prices.get(name), sized.changes.get(name)
        aimed = None
        if price is not None and price > 0 and weight is not None:
            aimed = quantity_of(weight, made.basis.money, price, sized.lot)
        assets[name] = {
            "price": _text(price),
            "held": _text(now.positions.get(name, ZERO)),
            "in_flight": _text(sized.in_flight.get(name, ZERO)),
            "quantity": _text(aimed),
            "whole": _text(whole.get(name, ZERO)),
            "order": _text(cut.get(name, ZERO)),
            "kept": name in made.kept,
        }
    told = {"money": _text(made.basis.money), "lot": _text(sized.lot), "assets": assets}
    write_json(folder_of(work_dir, run) / DECISION, told)


def _text(value: Decimal | None) -> str | None:
    """Return a decimal in plain notation; None for None."""
    return None if value is None else f"{value:f}"
