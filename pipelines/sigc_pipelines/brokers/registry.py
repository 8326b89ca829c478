"""Lookup of the broker that a configuration names: a built-in one, or an installed one.

An installed broker is an entry point of the group `sigc.brokers`: a callable that takes `broker.options` and the inputs
of every broker, and returns a `Broker`.

    [project.entry-points."sigc.brokers"]
    mine = "my_package.broker:open_mine"        # open_mine(settings, directory, clock) -> Broker
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from sigc.clock import Clock
from sigc.config.daemon_settings import ConnectionSettings
from sigc.config.settings import BrokerSettings, ExecutionSettings
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc_pipelines.brokers.files.opening import open_files
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.pooled import PooledBroker
from sigc_pipelines.brokers.protocol import Broker, Capabilities

GROUP = "sigc.brokers"
PAPER, ALPACA, FILES = "paper", "alpaca", "files"
BUILT_IN = (PAPER, ALPACA, FILES)
BOOK = "paper.sqlite"
# settings: the section `broker`, timeout_s filled in, its own settings in settings.options. directory: for its files.
OpenBroker = Callable[[BrokerSettings, Path, Clock], Broker]


def open_broker(
    settings: BrokerSettings,
    directory: Path,
    clock: Clock,
    *,
    durable: bool = True,
    connections: ConnectionSettings | None = None,
    execution: ExecutionSettings | None = None,
) -> Broker:
    """Open the broker of that type. durable: see `PaperBroker`; an installed broker keeps its own promises.

    connections: the number of concurrent requests, and the timeout where the broker's own settings have none.
    execution: the settings of its orders. Raises SigcError: E402 for a broker that is not installed, does not load, or
    does not take such orders; and the broker's own errors.
    """
    ways = connections or ConnectionSettings()
    timeout_s = settings.timeout_s or ways.timeout_seconds
    if settings.type == PAPER:
        broker: Broker = PaperBroker(directory / BOOK, settings.paper, clock, durable=durable, timeout_s=timeout_s)
    elif settings.type == ALPACA:
        from sigc_pipelines.brokers.alpaca.opening import open_alpaca

        broker = open_alpaca(settings.alpaca, clock, timeout_s=timeout_s, connections=ways.broker_pool_size)
    elif settings.type == FILES:
        broker = open_files(settings.files, clock)
    else:
        broker = _load(settings.type)(settings.model_copy(update={"timeout_s": timeout_s}), directory, clock)
    if execution is not None:
        untaken = _untaken(broker.capabilities(), execution)
        if untaken is not None:
            close_broker(broker)
            raise SigcError(untaken)
    return PooledBroker(broker, ways.broker_pool_size, timeout_s)


def _untaken(can: Capabilities, execution: ExecutionSettings) -> Diagnostic | None:
    """Return the setting by which every order would be rejected, None where the broker takes such orders."""
    wanted = {"order_type": can.order_types, "time_in_force": can.times_in_force}
    for name, taken in wanted.items():
        value = str(getattr(execution, name))
        if value not in taken:
            message = f"execution.{name}: the broker '{can.name}' takes no orders of '{value}'"
            return Diagnostic("E402", message, expected=" or ".join(sorted(map(str, taken))))
    return None


def close_broker(broker: Broker) -> None:
    """Close a broker's files and connections. A broker without `close` has none."""
    close = getattr(broker, "close", None)
    if close is not None:
        close()


def installed() -> dict[str, EntryPoint]:
    """Return the installed brokers by name, without those that are built in."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP)) if entry.name not in BUILT_IN}


def _load(name: str) -> OpenBroker:
    found = installed()
    if name not in found:
        names = [*BUILT_IN, *found]
        hint = did_you_mean(name, names) or f"install one that has an entry point of the group {GROUP}"
        raise SigcError(
            Diagnostic("E402", f"broker.type: no broker '{name}' is installed", expected=" or ".join(names), hint=hint)
        )
    try:
        loaded: OpenBroker = found[name].load()
    except Exception as error:
        message = f"broker.type: the broker '{name}' ({found[name].value}) does not load: {error}"
        raise SigcError(Diagnostic("E402", message, hint="reinstall it, or choose another broker")) from error
    return loaded
