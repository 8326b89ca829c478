"""Assembly of a computation: config, compiled strategy, cache, engine. The only place that chooses among them."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigc.errors import Diagnostic, Severity, SigcError, Span

if TYPE_CHECKING:
    from sigc.blocks.block import BlockStore, MemoryStore
    from sigc.config.check import LoadedConfig
    from sigc.config.find import Location
    from sigc.config.settings import Config
    from sigc.data.sources.frame_source import MemoryFrame
    from sigc.engine.core.drive import Executor
    from sigc.engine.core.task import Progress
    from sigc.lang.check import CheckedFile
    from sigc.plan.strategy import Strategy
    from sigc_pipelines.compute import Workspace

_WORTH_A_CLUSTER_NS = 2_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A strategy file: its check, and how to lower it for given parameters."""

    checked: CheckedFile
    strategy: Strategy
    lower: Callable[[Mapping[str, float]], Strategy]
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """Options of a command about the computation. engine: `auto` (the cluster for work that pays for it), `local`
    (threads of this process) or `dask` (the cluster); alone: nothing else runs here.
    """

    config: Path | None = None
    engine: str = "auto"
    threads: int = 0
    cache: bool = True
    alone: bool = False
    overrides: Mapping[str, object] = field(default_factory=dict)


def configuration(choices: Choices) -> LoadedConfig:
    """Return the configuration found for these choices. Raises every error of it at once."""
    from sigc.config.check import load_config

    return load_config(choices.config, os.environ, choices.overrides, _examine)


def _examine(data: Mapping[str, Any], spans: Mapping[Location, Span]) -> list[Diagnostic]:
    """Return the daemon's findings about its sections, if there are any."""
    if not data.keys() & {"strategies", "schedule", "alerts"}:
        return []
    from sigc.daemon.configured.configured import examine

    return examine(data, spans)


def compile_file(path: Path, params: Mapping[str, float] | None = None) -> Compiled:
    """Check and lower a strategy file. Raises all its errors at once."""
    from sigc.lang.check import check_file

    return compile_checked(check_file(path, params or {}), params or {})


def compile_text(text: str, path: str = "strategy.sig", params: Mapping[str, float] | None = None) -> Compiled:
    """Check and lower a strategy given as text; `path` is where relative paths start."""
    from sigc.lang.check import check_text

    return compile_checked(check_text(text, path, params or {}), params or {})


def compile_checked(checked: CheckedFile, params: Mapping[str, float]) -> Compiled:
    """Lower a strategy that was checked with these parameters. Raises all its errors at once."""
    from sigc.plan.lower import Lowering

    errors = [d for d in checked.diagnostics if d.severity is Severity.ERROR]
    if errors:
        error = SigcError(*errors)
        error.sources = checked.sources
        raise error

    lowering = Lowering(checked)

    def lowered(chosen: Mapping[str, float]) -> Strategy:
        return lowering.strategy({**params, **chosen})

    warnings = tuple(d for d in checked.diagnostics if d.severity is Severity.WARNING)
    return Compiled(checked, lowered({}), lowered, warnings)


@contextmanager
def workspace(
    config: Config,
    choices: Choices,
    progress: Callable[[Progress], None] | None = None,
    held: Mapping[str, MemoryFrame] | None = None,
    kept: MemoryStore | None = None,
) -> Iterator[Workspace]:
    """Open the store and engine that the config and the choices name; the block's end stops what it started.

    held: sources given from memory, by name. kept: where results stay that the disk does not keep.
    """
    from sigc.blocks.block import MemoryStore
    from sigc.cache.parquet import ParquetStore
    from sigc.data.dates.exchange import exchanges_of
    from sigc.data.sources.connections import Connections
    from sigc.ops import jit
    from sigc_pipelines.compute import Workspace

    settings = config.daemon.cache
    directory = Path(settings.directory).expanduser()
    fresh = jit.is_fresh(jit.prepare(directory, alone=choices.alone))
    enabled = settings.enabled and choices.cache
    on_disk = enabled or _may_be_elsewhere(config, choices)
    with ExitStack() as stack:
        where = directory
        if on_disk and not enabled:
            where = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sigc-")))
        trusted = settings.trusted and enabled
        store: BlockStore = (
            ParquetStore(where, settings.max_size_gb, is_trusted=trusted) if on_disk else kept or MemoryStore()
        )

        def engine(cost_ns: int) -> object:
            if fresh and cost_ns:
                _tell_of_compiling()
            return _engine(config, choices, store, where if on_disk else None, cost_ns)

        reach, scratch = config.daemon.connections, str(where) if on_disk else ""
        ways = Connections(reach.data_pool_size, reach.timeout_seconds, scratch=scratch)
        yield Workspace(
            store,
            engine,  # type: ignore[arg-type]
            config.data,
            ttl_hours=settings.ttl_hours,
            progress=progress,
            connections=ways,
            held=held or {},
            passing=0 if on_disk or kept else choices.threads or len(os.sched_getaffinity(0)),
            exchanges=exchanges_of(config.schedule),
            max_return=config.safety.max_return,
            max_coverage_drop=config.safety.max_coverage_drop,
        )


@functools.cache
def _tell_of_compiling() -> None:
    sys.stderr.write("compiling the kernels in use, once on this machine...\n")


def is_large(cost_ns: int) -> bool:
    """Return True if work of so many nanoseconds is worth the start of a local cluster."""
    return cost_ns > _WORTH_A_CLUSTER_NS


def _may_be_elsewhere(config: Config, choices: Choices) -> bool:
    """Return True if workers of a cluster must find the blocks, even if none are kept."""
    return choices.engine == "dask" or (choices.engine == "auto" and config.cluster.type in ("address", "class"))


@contextmanager
def _engine(
    config: Config, choices: Choices, store: BlockStore, directory: Path | None, cost_ns: int
) -> Iterator[Executor]:
    """Yield an engine: threads of this process for small work, workers of the configured cluster for the rest."""
    from sigc.engine.executors.local import LocalExecutor

    pays = choices.engine == "auto" and is_large(cost_ns) and config.cluster.type != "none"
    if directory is not None and (choices.engine == "dask" or pays):
        with _dask(config, directory) as executor:
            yield executor
        return
    local = LocalExecutor(store, choices.threads)
    try:
        yield local
    finally:
        local.close()


@contextmanager
def _dask(config: Config, directory: Path) -> Iterator[Executor]:
    from sigc.engine.executors.batch import StoreAddress
    from sigc.engine.executors.cluster import open_client, patience_s, slice_bytes
    from sigc.engine.executors.dask import DaskExecutor

    roots = [Path(config.data.directory)] if Path(config.data.directory).is_dir() else []
    cache = config.daemon.cache
    address = StoreAddress(str(directory.resolve()), cache.max_size_gb, cache.trusted)
    with open_client(config.cluster, directory.resolve(), roots) as client:
        limits = config.cluster.deadline_s, patience_s(config.cluster)
        executor = DaskExecutor(client, address, slice_bytes(client), *limits)
        try:
            yield executor
        finally:
            executor.close()


def parameters(pairs: tuple[str, ...]) -> dict[str, float]:
    """`("lookback=60", ...)` as numbers. Raises E101 for what is not NAME=NUMBER."""
    found: dict[str, float] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise SigcError(Diagnostic("E002", f"'-p {pair}' is not NAME=NUMBER", hint="for example -p lookback=60"))
    return found
