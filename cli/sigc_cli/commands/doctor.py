"""`sigc doctor`: checks of this machine, a line each; exit 1 if one fails."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import click

from sigc.errors import SigcError
from sigc_cli.daemon_call import which
from sigc_cli.options import JSON


@click.command(short_help="Check that this machine can run sigc.")
@click.option("--alerts", "with_alerts", is_flag=True, help="Send a test message over each alert channel.")
@JSON
@which
def command(with_alerts: bool, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Check interpreter, packages, kernels, cache and memory; daemon, token, clock, ports, calendar, broker, disk,
    strategies, alert channels.

    `warn` is to be known and fails nothing; exit 1 where a check says FAIL.
    """
    from sigc_cli.doctor_checks import DoubtError, FaultError, Live

    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", lambda: f"{platform.python_version()} on {platform.machine()}"),
        ("packages", _packages),
        ("configuration", lambda: _configuration(config)),
        ("cache", lambda: _cache(config)),
        ("kernels", lambda: _kernels(config)),
        ("resources", _resources),
        *Live((config, address, name), with_alerts=with_alerts).checks(),
    ]
    rows = []
    for what, check in checks:
        try:
            rows.append((what, "ok", check()))
        except DoubtError as doubt:
            rows.append((what, "warn", str(doubt)))
        except FaultError as fault:
            rows.append((what, "FAIL", str(fault)))
        except SigcError as error:
            rows.append((what, "FAIL", error.diagnostics[0].message))
        except Exception as failure:  # a doctor reports what it meets
            rows.append((what, "FAIL", f"{type(failure).__name__}: {failure}"))
    if as_json:
        told = [{"check": n, "ok": state != "FAIL", "state": state, "text": t} for n, state, t in rows]
        click.echo(json.dumps(told, indent=2))
    else:
        for what, state, text in rows:
            click.echo(f"{state:<4}  {what:<14} {text}")
    raise click.exceptions.Exit(1 if any(state == "FAIL" for _, state, _ in rows) else 0)


def _packages() -> str:
    from importlib.metadata import version

    return ", ".join(f"{n} {version(n)}" for n in ("numpy", "numba", "pyarrow", "dask", "pandas"))


def _configuration(config: Path | None) -> str:
    from sigc_pipelines.assembly.parts import Choices, configuration

    return str(configuration(Choices(config=config)).path or "defaults")


def _cache(config: Path | None) -> str:
    from sigc.cache.parquet import ParquetStore
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.text.results_text import bytes_text

    settings = configuration(Choices(config=config)).config.daemon.cache
    directory = Path(settings.directory).expanduser()
    ParquetStore(directory, settings.max_size_gb, is_trusted=settings.trusted)
    if not os.access(directory, os.W_OK):
        raise PermissionError(f"{directory} can't be written")
    return f"{directory}, {bytes_text(shutil.disk_usage(directory).free)} free"


def _kernels(config: Path | None) -> str:
    import numpy as np

    from sigc.ops import jit
    from sigc.ops.table import operators, resolve
    from sigc_pipelines.assembly.parts import Choices, configuration

    jit.prepare(Path(configuration(Choices(config=config)).config.daemon.cache.directory).expanduser())
    kernel = resolve("rolling_std")
    if kernel is None or not np.isfinite(kernel.kernel(np.arange(8.0)[:, None], 4)[-1, 0]):
        raise ArithmeticError("rolling_std of 8 rows is not finite")
    return f"{len(operators())} operators, {jit.cpu_class()}"


def _resources() -> str:
    import psutil

    from sigc_pipelines.text.results_text import bytes_text

    memory = psutil.virtual_memory()
    return f"{len(os.sched_getaffinity(0))} CPUs, {bytes_text(memory.available)} of {bytes_text(memory.total)} free"
