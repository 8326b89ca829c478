"""What the daemon runs: strategies are loaded and computed over one cache, in threads or on the daemon's cluster.

Until orders are sent from here, a trade is refused; dry runs, computations, refreshes of data and scripts are done.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sigc.blocks import BlockStore, MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.config import Config
from sigc.daemon.runner import Checked, RunEnd, RunOrder, Services, StrategyEntry, Watch
from sigc.engine.drive import Executor
from sigc.engine.local import LocalExecutor
from sigc.engine.task import Progress
from sigc.errors import Diagnostic, SigcError
from sigc.lang.check import check_file
from sigc.ops import jit
from sigc.store.records import Outcome
from sigc_cli.build import Compiled, compile_file, is_large
from sigc_pipelines.compute import Loaded, Workspace, load
from sigc_pipelines.dry_run import dry_run, staleness

KINDS = frozenset({"trade", "dry", "compute", "data_refresh", "script"})
_STOP_PATIENCE_S = 5.0  # of a script, before it is killed
_LOOK_EVERY_S = 0.2
_MOST_SAID = 8_000
log = logging.getLogger("sigc.run")


class CancelledError(Exception):
    """The run was ended from outside."""


class DaemonRunner:
    """Runs the strategies of one configuration. Safe to use from several threads."""

    kinds = KINDS

    def __init__(self, config: Config, strategies: tuple[StrategyEntry, ...], services: Services) -> None:
        self._config, self._strategies, self._services = config, strategies, services
        settings = config.daemon.cache
        self._directory = Path(settings.directory).expanduser() if settings.enabled else services.scratch / "cache"
        jit.prepare(self._directory)
        on_disk = settings.enabled or config.cluster.type in ("address", "class")
        self._store = ParquetStore(self._directory, settings.max_size_gb) if on_disk else None

    def check(self) -> tuple[Checked, ...]:
        """Every strategy file: its errors and warnings."""
        return tuple(self._checked(entry) for entry in self._strategies)

    def run(self, order: RunOrder, watch: Watch) -> RunEnd:
        """One run of any kind this version knows."""
        try:
            match order.kind:
                case "script":
                    return run_script(order, watch)
                case "data_refresh":
                    return self._refresh(order, watch)
                case "dry" | "compute":
                    return self._compute(order, watch)
                case "trade":
                    message = "this version computes and does not trade yet: run it with --dry-run"
                    return RunEnd(Outcome.REFUSED, message, is_before_trading=True)
                case other:
                    return RunEnd(Outcome.REFUSED, f"runs of kind '{other}' are not known", is_before_trading=True)
        except CancelledError:
            return RunEnd(Outcome.CANCELLED, "cancelled", is_before_trading=True)

    def recover(self, watch: Watch) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing is left open where nothing is traded."""
        return ()

    def is_fresh(self, strategy: str) -> bool:
        """Whether the strategy's data are not stale."""
        entry = next((s for s in self._strategies if s.name == strategy), None)
        if entry is None:
            return False
        loaded = load(compile_file(entry.file, entry.params).strategy, self._workspace(None))
        return not staleness(loaded, self._now(), self._config.data.validation.max_stale_hours)

    def free(self) -> None:
        """Drop the blocks that are kept in memory."""
        if self._store is not None:
            self._store.free()

    def checks(self) -> Mapping[str, str]:
        """The folder of data, and the broker."""
        directory = Path(self._config.data.directory).expanduser()
        is_needed = directory.exists() or self._config.data.directory != type(self._config.data)().directory
        readable = not is_needed or os.access(directory, os.R_OK | os.X_OK)
        data = "ok" if readable else f"{directory} (data.directory) can't be read"
        return {"data_connection": data, "broker_connection": "ok"}

    def close(self) -> None:
        """Nothing is held beyond runs."""

    def _checked(self, entry: StrategyEntry) -> Checked:
        try:
            found = check_file(entry.file, entry.params)
        except SigcError as error:
            return Checked(entry.name, problems=error.diagnostics)
        except OSError as failure:
            message = f"strategy '{entry.name}': {entry.file} can't be read: {failure.strerror}"
            return Checked(entry.name, problems=(Diagnostic("E200", message),))
        problems, portfolio = found.diagnostics, entry.portfolio
        if found.ok:
            compiled = compile_file(entry.file, entry.params)
            names = [p.name for p in compiled.strategy.portfolios]
            portfolio = entry.portfolio or next(iter(names), "")
            if portfolio not in names:
                message = f"strategy '{entry.name}': {entry.file.name} has no portfolio '{portfolio}'"
                problems = (*problems, Diagnostic("E402", message, hint=f"it has {', '.join(names) or 'none'}"))
        return Checked(entry.name, digest_of(entry.file), portfolio, tuple(problems))

    def _compute(self, order: RunOrder, watch: Watch) -> RunEnd:
        watch.stage("load")
        compiled = compile_file(order.file, order.params)
        space = self._workspace(watch)
        loaded = load(compiled.strategy, space, until=order.date)
        alive(watch)
        watch.stage("compute")
        done = dry_run(loaded, space, order.portfolio)
        held = {n: w for n, w in zip(done.names, done.weights.tolist(), strict=True) if w != 0.0 and w == w}
        result: dict[str, Any] = {"strategy": compiled.strategy.name, "portfolio": done.portfolio, "as_of": done.as_of}
        result |= {"weights": held, "digest": done.digest, "data": dict(done.digests), "assets": len(done.names)}
        result |= {"work": {"computed": done.report.blocks_computed, "cached": done.report.blocks_cached}}
        return RunEnd(
            Outcome.DONE,
            f"{len(held)} of {len(done.names)} assets",
            session=done.as_of,
            as_of=done.as_of,
            is_before_trading=True,
            findings=self._findings(order, compiled, loaded),
            result=result,
        )

    def _findings(self, order: RunOrder, compiled: Compiled, loaded: Loaded) -> tuple[Diagnostic, ...]:
        limit = self._config.data.validation.max_stale_hours
        stale = () if order.date else staleness(loaded, self._now(), limit)
        return (*compiled.warnings, *loaded.findings, *stale)

    def _refresh(self, order: RunOrder, watch: Watch) -> RunEnd:
        """Look at every source again, behind URLs too, and keep what has changed."""
        watch.stage("load")
        wanted = [s for s in self._strategies if order.strategy in ("", s.name)]
        space = replace(self._workspace(watch), ttl_hours=0.0)
        newest = ""
        for number, entry in enumerate(wanted, 1):
            alive(watch)
            loaded = load(compile_file(entry.file, entry.params).strategy, space)
            if len(loaded.grid.dates):
                newest = max(newest, str(loaded.grid.dates[-1].astype("datetime64[D]")))
            watch.progress(number, len(wanted), entry.name)
        return RunEnd(Outcome.DONE, f"data of {len(wanted)} strategies", as_of=newest, is_before_trading=True)

    def _workspace(self, watch: Watch | None) -> Workspace:
        def progress(found: Progress) -> None:
            if watch is not None:
                alive(watch)
                watch.progress(found.done + found.cached, found.total)

        store: BlockStore = self._store or MemoryStore()  # without a cache: kept as long as the run
        ttl_hours = self._config.daemon.cache.ttl_hours
        engine = partial(self._engine, store)
        return Workspace(store, engine, self._config.data, ttl_hours=ttl_hours, progress=progress)

    @contextmanager
    def _engine(self, store: BlockStore, weight: int) -> Iterator[Executor]:
        """Threads of this process for small work, the daemon's cluster for the rest."""
        cluster = self._services.cluster
        large = self._config.cluster.type in ("address", "class") or is_large(weight)
        if cluster is not None and self._store is not None and large:
            with cluster.executor(self._directory) as executor:
                yield executor
            return
        local = LocalExecutor(store, self._config.daemon.limits.worker_threads)
        try:
            yield local
        finally:
            local.close()

    def _now(self) -> np.datetime64:
        return np.datetime64(self._services.clock.now().replace(tzinfo=None))


def alive(watch: Watch) -> None:
    """Raises CancelledError when the run is to end."""
    if watch.cancelled.is_set():
        raise CancelledError


def digest_of(path: Path) -> str:
    """The digest of a file's bytes."""
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_script(order: RunOrder, watch: Watch) -> RunEnd:
    """A program of the configuration, without a shell, in a process group of its own that ends with the run."""
    watch.stage("script")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SIGC_RPC", "SIGC_SUPERVISOR", "NOTIFY_SOCKET"))}
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603 -- what the operator has configured
                order.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**kept, "SIGC_RUN": order.id, "SIGC_JOB": order.job, "SIGC_STRATEGY": order.strategy},
                start_new_session=True,
            )
        except OSError as failure:
            message = f"{order.command[0]} can't be run: {failure.strerror}"
            return RunEnd(Outcome.FAILED, message, is_before_trading=True)
        try:
            code = _wait(process, watch)
        finally:
            _end_group(process)
        output.seek(0)
        said = output.read(_MOST_SAID).decode("utf-8", "replace")
    if watch.cancelled.is_set():
        raise CancelledError
    outcome = Outcome.DONE if code == 0 else Outcome.FAILED
    return RunEnd(outcome, f"exit code {code}", is_before_trading=True, result={"output": said, "exit_code": code})


def _wait(process: subprocess.Popen[bytes], watch: Watch) -> int:
    while True:
        try:
            return process.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            if watch.cancelled.is_set():
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    return process.wait(_STOP_PATIENCE_S)
                except subprocess.TimeoutExpired:
                    return -signal.SIGKILL


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Nothing that the script started outlives it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
