"""Record of a run's signals: their distribution and, once the next session is known, their rank correlation with its
returns.

    signals.json          by signal: assets with a value, quantiles, mean, deviation; `realised`: rank IC, fifths
    signal-values.json    the values themselves, by asset

Written when a run has computed. The book's next run on newer data adds `realised` from its own prices: both ends of the
return are of one version of the data, with the same adjustments. The return is that of the next row of the data after
the as-of date. `weights`, the wanted weights, is listed beside the signals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sigc.panel import Floats
from sigc_pipelines.backtest.factor_analysis import QUANTILES, quantile_returns, rank_ic
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.records.artifacts import folder_of, write_json

SUMMARY, VALUES = "signals.json", "signal-values.json"
QUANTILE_SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
WEIGHTS = "weights"


def write_signals(
    work_dir: Path, run: str, as_of: str, names: tuple[str, ...], prices: Floats, values: Mapping[str, Floats]
) -> None:
    """Record the signals of a run: (assets,) each, NaN without a value. prices: of the same row.

    Values of assets without a price do not count, and a weight of 0 is not a wanted one.
    """
    folder, priced = folder_of(work_dir, run), np.isfinite(prices)
    seen = {name: np.where(priced, own, np.nan) for name, own in values.items()}
    summary = {name: spread(own[own != 0.0] if name == WEIGHTS else own) for name, own in seen.items()}
    told = {name: [None if v != v else v for v in own.tolist()] for name, own in seen.items()}
    write_json(folder / VALUES, {"names": list(names), "values": told})
    write_json(folder / SUMMARY, {"as_of": as_of, "universe": int(priced.sum()), "signals": summary, "realised": None})


def spread(values: Floats) -> dict[str, Any]:
    """Return the number of values, their quantiles (`QUANTILE_SHARES`), mean and standard deviation.

    >>> spread(np.array([1.0, np.nan, 3.0]))["quantiles"]
    [1.0, 1.1, 1.5, 2.0, 2.5, 2.9, 3.0]
    """
    valid = values[np.isfinite(values)]
    if not len(valid):
        return {"count": 0, "quantiles": [], "mean": None, "deviation": None}
    quantiles = [round(float(q), 12) for q in np.quantile(valid, QUANTILE_SHARES)]
    return {
        "count": len(valid),
        "quantiles": quantiles,
        "mean": float(valid.mean()),
        "deviation": float(valid.std(ddof=1)) if len(valid) > 1 else 0.0,
    }


def read_signals(work_dir: Path, run: str) -> dict[str, Any] | None:
    """Return the summary of a run's signals; None without one."""
    return _read(folder_of(work_dir, run) / SUMMARY)


def write_realised(work_dir: Path, run: str, closes: Closes) -> bool:
    """Add the returns that followed to a run's summary: rank IC and fifths. closes: from its as-of date on.

    Return False and write nothing if it is known already or can't be: no later row, or no row of that date any more.
    """
    summary, values = read_signals(work_dir, run), _read(folder_of(work_dir, run) / VALUES)
    if summary is None or values is None or summary["realised"] is not None or len(closes.dates) < 2:
        return False
    first, following = (str(d) for d in closes.dates[:2].astype("datetime64[D]"))
    if first != summary["as_of"]:
        return False
    at = {name: number for number, name in enumerate(closes.names)}
    columns = [at.get(name, -1) for name in values["names"]]
    prices = np.hstack([closes.prices[:2], np.full((2, 1), np.nan)])[:, columns]  # -1, an unknown name: the NaN column
    found = {name: _ranked(np.array(own, dtype=np.float64), prices) for name, own in values["values"].items()}
    realised = {"session": following, "signals": found}
    write_json(folder_of(work_dir, run) / SUMMARY, summary | {"realised": realised})
    return True


def _ranked(values: Floats, prices: Floats) -> dict[str, Any]:
    wanted = np.vstack([values, np.full(len(values), np.nan)])
    ic = float(rank_ic(wanted, prices, 1)[0])
    fifths = [float(v) for v in quantile_returns(wanted, prices)]
    return {
        "ic": None if ic != ic else round(ic, 9),
        "fifths": [None if v != v else round(v, 9) for v in fifths] if len(fifths) == QUANTILES else [],
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing, or cut off by a crash of the machine (written without fsync)
        return None
    return found if isinstance(found, dict) else None
