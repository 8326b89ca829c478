"""Result files: json, csv, parquet by suffix, without time stamps; and the HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sigc.errors import Diagnostic, SigcError

if TYPE_CHECKING:
    from sigc_pipelines.backtest.backtest import BacktestRun
    from sigc_pipelines.backtest.replay import Replay
    from sigc_pipelines.compute import Loaded, Workspace

_SUFFIXES = (".json", ".csv", ".parquet")


def check_output(path: Path | None) -> None:
    """Refuse an output that could not be written, before hours of work. Raises E201."""
    if path is None:
        return
    if path.suffix.lower() not in _SUFFIXES:
        message = f"unknown format of '{path}'"
        raise SigcError(Diagnostic("E201", message, hint=f"end it in {', '.join(_SUFFIXES)}"))
    if not path.parent.is_dir():
        raise SigcError(Diagnostic("E200", f"there is no folder '{path.parent}' to write '{path.name}' to"))


def write(result: BacktestRun, path: Path) -> None:
    """Write a backtest: all of it as JSON, its daily series as CSV or parquet."""
    from sigc_pipelines.text import results_text as show

    match path.suffix.lower():
        case ".json":
            path.write_text(show.dump(show.as_data(result)) + "\n", encoding="utf-8")
        case ".csv":
            columns = show.series(result)
            rows = zip(*columns.values(), strict=True)
            lines = [",".join(columns), *(",".join(_cell(c) for c in row) for row in rows)]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        case _:
            import pyarrow as pa
            import pyarrow.parquet as pq

            columns = show.series(result)
            columns["date"] = pa.array(result.dates.astype("datetime64[D]"))
            pq.write_table(pa.table(columns), path, compression="zstd")


def _cell(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def write_report(
    result: BacktestRun, loaded: Loaded, workspace: Workspace, path: Path, replay: Replay | None = None
) -> Path:
    """Write the self-contained HTML report; returns where it is. replay: of a backtest with orders."""
    from sigc_cli.text.report_view import view
    from sigc_dashboard.reports.report import render
    from sigc_pipelines.backtest.factor_analysis import study
    from sigc_pipelines.text import results_text as show

    path.write_text(render(view(result, study(result, loaded, workspace), show.steps(replay))), encoding="utf-8")
    return path
