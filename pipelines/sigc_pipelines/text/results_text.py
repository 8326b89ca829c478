"""Results as text: the results block, tables, and plain data for JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sigc.engine.core.task import Progress, RunReport
from sigc.errors import Diagnostic
from sigc_pipelines.backtest.backtest import BacktestRun
from sigc_pipelines.backtest.performance import equity, monthly
from sigc_pipelines.backtest.trials import Search, score, text_of
from sigc_pipelines.backtest.validation import Validated
from sigc_pipelines.portfolio.rebalance import text_of as text_of_rebalance
from sigc_pipelines.text.table import table as table

if TYPE_CHECKING:
    from sigc_pipelines.backtest.replay import Replay

_WIDTH = 22

_SENSIBLE = 1e9  # figures from here on are no results


def results(result: BacktestRun) -> str:
    """Return the block `=== Backtest Results ===`, and one for the benchmark if there is one."""
    m = result.metrics
    day = result.dates.astype("datetime64[D]")
    rows = [
        ("Strategy", f"{result.strategy} ({result.portfolio})"),
        ("Period", f"{day[0]} to {day[-1]} ({m.bars} bars)"),
        ("Total Return", percent(m.total_return)),
        ("Annualized Return", percent(m.annualized_return)),
        ("Volatility", percent(m.volatility)),
        ("Sharpe Ratio", number(m.sharpe)),
        ("Sortino Ratio", number(m.sortino)),
        ("Max Drawdown", percent(m.max_drawdown)),
        ("Calmar Ratio", number(m.calmar)),
        ("Win Rate", percent(m.win_rate)),
        ("Profit Factor", f"{m.profit_factor:.2f}"),
        ("VaR 95", percent(m.var_95)),
        ("CVaR 95", percent(m.cvar_95)),
        ("Skew / Kurtosis", f"{m.skew:.2f} / {m.kurtosis:.2f}"),
        ("Turnover", f"{number(m.turnover)}x a year" if result.periods.is_known else "-"),
        ("Costs", percent(m.costs)),
        ("Gross / Net Exposure", f"{m.gross_exposure:.2f} / {m.net_exposure:.2f}"),
        ("Probabilistic Sharpe", percent(m.probabilistic_sharpe)),
        ("Rebalance", text_of_rebalance(result.settings.rebalance)),
        ("Periods a Year", result.periods.text),
    ]
    if result.left_out:
        rows.append(("Left Out", f"{result.left_out} first rows, on which no weight is defined"))
    if m.drawdown.trough:
        until = f", recovered {m.drawdown.recovery}" if m.drawdown.recovery else ", not recovered"
        rows.append(("Drawdown", f"{m.drawdown.peak} to {m.drawdown.trough}{until}"))
    if m.ruined:
        rows.append(("Ruined", f"{m.ruined}: nothing was left, and the book stopped"))
    text = "=== Backtest Results ===\n" + _rows(rows)
    if result.settings.drift:
        text += "\nWeights drift with returns between rebalances."
    return text + ("\n\n" + _benchmark(result) if result.against is not None else "")


def _benchmark(result: BacktestRun) -> str:
    a = result.against
    if a is None:
        return ""
    return f"=== Against {result.settings.benchmark} ===\n" + _rows(
        [
            ("Benchmark Return", percent(a.total_return)),
            ("Alpha", percent(a.alpha)),
            ("Beta", f"{a.beta:.2f}"),
            ("Information Ratio", number(a.information_ratio)),
            ("Tracking Error", percent(a.tracking_error)),
            ("Correlation", f"{a.correlation:.2f}"),
            ("Capture Up / Down", f"{percent(a.up_capture)} / {percent(a.down_capture)}"),
        ]
    )


def work(report: RunReport) -> str:
    """Return one line about blocks computed and found in the cache."""
    joined = sum(report.joined.values())
    parts = [f"{report.blocks_computed} blocks computed", f"{report.blocks_cached} cached"]
    if joined:
        parts.insert(1, f"{joined} extended")
    return ", ".join(parts) + f" in {report.seconds:.2f} s"


def replayed(replay: Replay) -> str:
    """Return the steps from the simple accounting to the orders."""
    rows = [("", "Total Return", "")]
    rows += [("simple accounting, before costs", percent(replay.simple), "")]
    rows += [(f"+ {step.name}", percent(step.effect), step.note) for step in replay.steps]
    rows += [("orders", percent(replay.result.metrics.total_return), f"{len(replay.runs)} runs")]
    return f"=== From Weights to Orders ===\n{table(rows)}"


def steps(replay: Replay | None) -> tuple[tuple[str, str], ...]:
    """Return the same as pairs of texts, for the report."""
    if replay is None:
        return ()
    parts = [(f"+ {step.name}: {step.note}", percent(step.effect)) for step in replay.steps]
    total = percent(replay.result.metrics.total_return)
    return (("simple accounting, before costs", percent(replay.simple)), *parts, ("orders", total))


def validated(result: Validated) -> str:
    """Return the windows of a walk-forward or cross-validation, and the share of the score that remained out of
    sample.
    """
    m = result.metrics
    head = f"=== {result.method}: best {result.metric} in train, scored in test ==="
    rows = [("Train", "Test", "Train " + result.metric, "Test " + result.metric, "Test Return", "Parameters")]
    rows += [
        (
            " to ".join(w.train_span),
            " to ".join(w.test_span),
            f"{w.train_score:.2f}",
            f"{w.test_score:.2f}",
            percent(w.test_return),
            text_of(w.params),
        )
        for w in result.windows
    ]
    tail = [
        ("Total Return", percent(m.total_return)),
        ("Annualized Return", percent(m.annualized_return)),
        ("Sharpe Ratio", number(m.sharpe)),
        ("Max Drawdown", percent(m.max_drawdown)),
        ("Degradation", "n/a" if math.isnan(result.degradation) else percent(result.degradation)),
    ]
    return f"{head}\n{table(rows)}\n\n=== Out of Sample ===\n{_rows(tail)}"


def searched(search: Search, metric: str, most: int) -> str:
    """Return the best trials of a search, best first."""
    ranked = sorted(search.scored, key=lambda s: -score(s.metrics, metric))
    rows = [("Parameters", metric, "Sharpe", "Return", "Drawdown", "Turnover")]
    rows += [
        (
            text_of(s.params),
            f"{score(s.metrics, metric):.4f}",
            number(s.metrics.sharpe),
            percent(s.metrics.total_return),
            percent(s.metrics.max_drawdown),
            number(s.metrics.turnover),
        )
        for s in ranked[:most]
    ]
    head = f"=== {len(ranked)} trials, best {metric} first ==="
    return f"{head}\n{table(rows)}\n\n{_rows([('Deflated Sharpe', percent(search.deflated))])}"


def percent(value: float) -> str:
    """Return a fraction as percent, two decimals; `-` if unknown. Absurd values in few digits.

    >>> percent(0.12345), percent(1e65)
    ('12.35%', '1e+67%')
    """
    form = ".2f" if abs(value) < _SENSIBLE else ".3g"
    return "-" if math.isnan(value) else f"{100 * value:{form}}%"


def number(value: float) -> str:
    """Return a number, two decimals; `-` if unknown. Absurd values in few digits."""
    form = ".2f" if abs(value) < _SENSIBLE else ".3g"
    return "-" if math.isnan(value) else f"{value:{form}}"


def findings(found: Sequence[Diagnostic]) -> str:
    """Return the block `=== Findings ===`: findings about text, data and accounting."""
    rows = [f"{one.code}: {one.message}" + (f" ({one.hint})" if one.hint else "") for one in found]
    return "\n".join(["=== Findings ===", *rows])


def as_data(result: BacktestRun, validated: Validated | None = None) -> dict[str, Any]:
    """Return a backtest as plain data, without time stamps: same inputs, same bytes."""
    windows = None if validated is None else _windows(validated)
    m = dataclasses.asdict(result.metrics)
    return {
        "strategy": result.strategy,
        "portfolio": result.portfolio,
        "params": dict(sorted(result.params.items())),
        "settings": {k: v for k, v in dataclasses.asdict(result.settings).items() if k not in ("span", "validation")},
        "metrics": m,
        "benchmark": None if result.against is None else dataclasses.asdict(result.against),
        "monthly": monthly(result.dates, result.returns),
        "periods": {"a_year": result.periods.a_year, "text": result.periods.text},
        "left_out": result.left_out,
        "findings": [{"code": f.code, "message": f.message} for f in result.findings],
        "data": dict(result.digests),
        "validation": windows,
        "series": {k: list(v) for k, v in series(result).items()},
    }


def _windows(validated: Validated) -> dict[str, Any]:
    keys = ("params", "train_score", "test_score", "train_span", "test_span", "test_return")
    return {
        "method": validated.method,
        "metric": validated.metric,
        "degradation": validated.degradation,
        "metrics": dataclasses.asdict(validated.metrics),
        "windows": [{k: getattr(w, k) for k in keys} for w in validated.windows],
    }


def series(result: BacktestRun) -> dict[str, Any]:
    """Return the daily series by name: date, return, gross, cost, turnover, equity, and the benchmark's return."""
    columns = {
        "date": [str(d) for d in result.dates.astype("datetime64[D]")],
        "return": result.returns.tolist(),
        "gross": result.gross.tolist(),
        "cost": result.costs.tolist(),
        "turnover": result.turnover.tolist(),
        "equity": equity(result.returns).tolist(),
    }
    if result.benchmark is not None:
        columns["benchmark"] = result.benchmark.tolist()
    return columns


def bytes_text(count: int) -> str:
    """`1.2 GB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def moment(seconds: float) -> str:
    """Return a moment in the reader's time zone, with the zone."""
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def dump(data: Any) -> str:
    """JSON with NaN and infinities as null, as every parser reads it."""
    return json.dumps(_finite(data), indent=2, ensure_ascii=False)


def _finite(data: Any) -> Any:
    match data:
        case float():
            return data if math.isfinite(data) else None
        case Mapping():
            return {k: _finite(v) for k, v in data.items()}
        case list() | tuple():
            return [_finite(v) for v in data]
        case _:
            return data


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{label + ':':<{_WIDTH}} {value}" for label, value in rows)


class ProgressBar:
    """A progress bar on a terminal, nothing elsewhere. Call it with each `Progress`."""

    def __init__(self) -> None:
        self._live: Any = None
        self._task: Any = None

    def __call__(self, at: Progress) -> None:
        if self._live is None:
            if not sys.stderr.isatty() or at.seconds < 0.5:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("blocks"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
            self._live = Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            self._task = self._live.add_task("", total=at.total, note="")
            self._live.start()
        note = f"{at.cached} cached, {at.rows_per_s:,.0f} rows/s"
        self._live.update(self._task, completed=at.done + at.cached, total=at.total, note=note)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
