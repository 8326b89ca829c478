"""Assembly of trading: the ledger of a work dir, the configured broker, clock and calendar; and recovery."""

from __future__ import annotations

import getpass
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.errors import Diagnostic, SigcError, did_you_mean

if TYPE_CHECKING:
    from sigc.calendar.sessions import Calendar
    from sigc.clock import Clock
    from sigc.config.check import LoadedConfig
    from sigc.config.settings import Config
    from sigc.daemon.runner import StrategyEntry
    from sigc.plan.strategy import Strategy
    from sigc.store.audit.chain import Sign
    from sigc_pipelines.live.recover import RecoveryVerdict
    from sigc_pipelines.live.run_watch import RunWatch
    from sigc_pipelines.live.trading import Request, Trading
    from sigc_pipelines.records.artifacts import Render


@dataclass(frozen=True, slots=True)
class TradeOptions:
    """Options of a run, as given on a command line."""

    date: str = ""
    portfolio: str = ""
    is_dry: bool = False
    is_forced: bool = False
    accepts_differences: bool = False
    reason: str = ""
    slot: str = ""


def user() -> str:
    """Return the name of the person at the keyboard."""
    return f"{getpass.getuser()}@cli"


def calendar_of(config: Config, work_dir: Path, now: datetime) -> Calendar:
    """Return the configured trading calendar; its table is kept in the work dir."""
    from sigc.calendar.calendar import open_calendar

    schedule = config.schedule
    return open_calendar(
        schedule.calendar, work_dir / "calendars", schedule.overrides, today=now.date(), zone=schedule.timezone
    )


def sign_of(config: Config) -> Sign | None:
    """Return the function that signs the audit, None without a key. Raises E402 for a key that can't be used."""
    from sigc.store.audit.sign import signer

    return signer(Path(config.audit.sign_key).expanduser()) if config.audit.sign_key else None


def clock_of(calendar: Calendar, date: str) -> Clock:
    """Return the machine's clock, or one set to just after the close of an as-of date other than the current one."""
    from sigc.clock import HandClock, SystemClock
    from sigc_pipelines.live.session import instant_of

    now = SystemClock()
    if not date:
        return now
    at = instant_of(calendar, date)
    return now if calendar.last_complete(now.now()) == calendar.last_complete(at) else HandClock(at)


@contextmanager
def trading(
    config: Config,
    work_dir: Path,
    wish: TradeOptions,
    render: Render | None = None,
    *,
    is_recovering: bool = True,
    watch: RunWatch | None = None,
) -> Iterator[tuple[Trading, tuple[RecoveryVerdict, ...]]]:
    """Yield everything that runs are carried out with, and the verdicts on what an earlier process left.

    render: draws the page of a run; None draws none. is_recovering: False leaves what is open to the caller.
    watch: told what recovered orders wait for; without it those that wait for the open are left to a later process.
    What the kill file halts, and all if the ledger can't prove its books, is halted in the ledger before anything else.

    Raises SigcError: E311 while another process has the work dir, E310 when its ledger can't be used, E402 for the
    calendar or broker, E802 for an earlier date on a live broker.
    """
    from sigc.clock import HandClock, SystemClock
    from sigc.config.check import secrets_in
    from sigc.daemon.kill_file_halts import take_in
    from sigc.host.redact import Secrets
    from sigc.store.ledger.ledger import Ledger
    from sigc.store.ledger.proof import prove
    from sigc_pipelines.brokers.registry import close_broker, open_broker
    from sigc_pipelines.live.recover import recover
    from sigc_pipelines.live.trading import Trading

    calendar = calendar_of(config, work_dir, SystemClock().now())
    clock = clock_of(calendar, wish.date)
    secrets = Secrets()
    secrets.add_all(secrets_in(config))
    with Ledger.open(work_dir, SystemClock(), sign=sign_of(config)) as ledger:
        ledger.hide, ledger.zone = secrets.hide, config.schedule.timezone
        ways = config.daemon.connections
        broker = open_broker(config.broker, work_dir, clock, connections=ways, execution=config.execution)
        try:
            if isinstance(clock, HandClock) and broker.capabilities().is_live and not wish.is_dry:
                message = f"a live broker can't trade as of {wish.date}"
                raise SigcError(Diagnostic("E802", message, hint="--dry-run shows what would have been ordered"))
            made = Trading(ledger, broker, clock, calendar, config, render)
            if not wish.is_dry:
                with ledger.transaction("control") as tx:
                    take_in(tx, work_dir)
                    prove(tx)
            if not is_recovering or wish.is_dry:
                yield made, ()
            else:
                yield made, recover(made, watch=watch, leaves_waiting=watch is None)
        finally:
            close_broker(broker)


def entry_of(loaded: LoadedConfig, what: str) -> StrategyEntry:
    """Return the configured strategy of that name or file, else the file under its own name. Raises E901, E200."""
    from sigc.daemon.configured.configured import configured, instead_of, name_of
    from sigc.daemon.runner import StrategyEntry

    conf = configured(loaded)
    known = conf.strategies
    path = Path(what)
    found = next((s for s in known if s.name == what or s.file.resolve() == path.resolve()), None)
    if found is not None or path.suffix == ".sig" or path.is_file():
        return found or StrategyEntry(name_of(path), path)
    names = [s.name for s in known]
    is_job = any(job.name == what for job in conf.jobs)
    hint = instead_of(what, names, conf.jobs) if is_job else did_you_mean(what, names) or "give the path of a .sig file"
    raise SigcError(Diagnostic("E901", f"there is no strategy '{what}'", hint=hint))


def with_capital(config: Config, capital: float | None) -> Config:
    """Return the settings of one strategy: with its own capital, where it has one."""
    if capital is None:
        return config
    execution = config.execution.model_copy(update={"capital": capital})
    return config.model_copy(update={"execution": execution})


def request(strategy: Strategy, name: str, portfolio: str, config: Config, wish: TradeOptions, who: str) -> Request:
    """Return the request of a run, with an id and the digests of its inputs."""
    from sigc.store.ledger.records import RunKind
    from sigc_pipelines.live.trading import Request

    if (wish.is_forced or wish.accepts_differences) and not wish.reason:
        raise SigcError(Diagnostic("E002", "--force and --accept-differences need --reason '...'"))
    return Request(
        id=f"{name}-{secrets.token_hex(4)}",
        strategy=name,
        portfolio=portfolio,
        kind=RunKind.DRY if wish.is_dry else RunKind.TRADE,
        who=who,
        reason=wish.reason,
        slot=wish.slot,
        is_forced=wish.is_forced,
        accepts_differences=wish.accepts_differences,
        digests=digests(strategy, config),
    )


def digests(strategy: Strategy, config: Config) -> Mapping[str, str]:
    """Return the digests of the strategy (texts and parameters), of the settings that a run depends on, and of the
    code.
    """
    from sigc import __version__
    from sigc.ops import jit
    from sigc.store.audit.chain import canonical

    settings = config.model_dump(mode="json", include={"data", "schedule", "broker", "execution", "safety"})
    params = "\n".join(f"{name}={value!r}" for name, value in strategy.params)
    texts = "\0".join((strategy.text, *strategy.imports))
    return {
        "strategy": _sha(f"{texts}\n{params}"),
        "config": _sha(canonical(settings)),
        "code": f"{__version__}-{jit.kernel_sources_digest()[:16]}",
    }


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
