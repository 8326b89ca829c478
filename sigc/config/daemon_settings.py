"""The settings of the daemon, its strategies and its schedule: one field each, as in `sigc.config.settings`.

Texts marked secret may be the value, `file:/path` of a file that only its owner reads, or `credential:NAME` of a
systemd credential; `sigc.config.secret` reveals them where they are used, and no dump shows them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from sigc.config.section import Section

NAME = r"^[a-z][a-z0-9_-]{0,62}$"


def cache_home() -> str:
    """Where a user's cache is by default: $XDG_CACHE_HOME/sigc or ~/.cache/sigc."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(base) / "sigc")


class CacheSettings(Section):
    """The parquet cache of blocks."""

    enabled: bool = Field(True, description="Keep computed blocks on disk.")
    directory: str = Field(default_factory=cache_home, description="Folder of the cache; several daemons may share it.")
    trusted: bool = Field(
        False,
        description="Believe the cache though others may write its folder: a volume that no one else reaches.",
    )
    max_size_gb: float = Field(10.0, gt=0, description="Beyond it the least recently used blocks go.")
    ttl_hours: float = Field(
        24.0, gt=0, description="After that age a data source behind a URL is looked at again for changes."
    )


class PageTls(Section):
    """The page's certificate."""

    cert: str = Field(description="Certificate chain (PEM).")
    key: str = Field(description="Its key (PEM).")


class RpcTls(Section):
    """The server's certificate, and how clients check it: a client elsewhere has `ca` alone."""

    cert: str = Field("", description="Certificate chain (PEM); the daemon needs it.")
    key: str = Field("", description="Its key (PEM); the daemon needs it.")
    ca: str = Field("", description="Authority by which our own command line checks it; empty: the system's.")


class RpcToken(Section):
    """One more token, with a role of its own."""

    name: str = Field(pattern=NAME, description="What the audit calls it.")
    role: Literal["read", "operate", "trade"] = Field("read", description="What it may do.")
    token: SecretStr = Field(description="At least 16 characters; secret.")


class RpcSettings(Section):
    """How the daemon is controlled."""

    address: str = Field("", description="HOST:PORT; empty: 127.0.0.1:5555, or the next port that is free.")
    auth: Literal["token"] = Field("token", description="Every call carries a token.")
    token: SecretStr | None = Field(
        None,
        description="Token of the role trade; secret. Unset: $SIGC_RPC_TOKEN, else one is made in work_dir/rpc.token.",
    )
    tokens: tuple[RpcToken, ...] = Field((), description="More tokens: {name, role, token} each.")
    tls: RpcTls | None = Field(None, description="{cert, key, ca}; needed beyond this machine.")
    hosts: tuple[str, ...] = Field((), description="More host names that callers may know this daemon by.")


class LimitSettings(Section):
    """What the daemon and its workers may take."""

    max_memory_mb: int | None = Field(
        None, gt=0, description="Of controller and workers together; unset: the machine's."
    )
    gc_threshold_mb: int | None = Field(None, gt=0, description="Above it caches in memory are dropped.")
    max_cpu_pct: float | None = Field(None, gt=0, le=100, description="Of all processors it may use.")
    worker_threads: int = Field(0, ge=0, description="Threads that compute in the daemon itself; 0: one a processor.")


class ConnectionSettings(Section):
    """Connections to data and brokers."""

    data_pool_size: int = Field(
        10,
        ge=1,
        description="Most sources behind URLs that are read at a time; files of this machine: one a processor.",
    )
    broker_pool_size: int = Field(5, ge=1, description="Most requests to a broker at a time, of all strategies.")
    timeout_seconds: float = Field(
        30.0, gt=0, description="Longest wait for one answer, of a source behind a URL or of a broker."
    )


class HealthSettings(Section):
    """/health, /live and /ready, without a token."""

    enabled: bool = Field(True, description="Whether they are served.")
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for probes from outside a container.")
    port: int | None = Field(None, ge=0, le=65535, description="Unset: 8080, or the next that is free; 0: any.")
    interval_seconds: float = Field(30.0, gt=0, description="How often the checks are made.")
    min_free_mb: int = Field(
        512, ge=0, description="Less free space on the disk of work_dir or the cache is a failed check."
    )


class MetricsSettings(Section):
    """Prometheus metrics, without a token."""

    enabled: bool = Field(True, description="Whether they are served.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int | None = Field(None, ge=0, le=65535, description="Unset: 9090, or the next that is free; 0: any.")
    path: str = Field("/metrics", pattern=r"^/[A-Za-z0-9/_.-]*$", description="Where they are.")


class DashboardSettings(Section):
    """The status page."""

    enabled: bool = Field(True, description="Whether the page is served, by a process of its own.")
    host: str = Field("127.0.0.1", description="Address to listen on; beyond this machine it needs tls.")
    port: int | None = Field(None, ge=0, le=65535, description="Unset: 5006, or the next that is free; 0: any.")
    origins: tuple[str, ...] = Field(
        (), description="How else browsers reach the page, by a proxy or a tunnel: such as https://sigc.example.com."
    )
    tls: PageTls | None = Field(None, description="{cert, key} of the page; needed beyond this machine.")
    login_hours: float = Field(12.0, gt=0, description="How long a login lasts.")
    max_memory_mb: int = Field(512, ge=128, description="A page that grows beyond it is started anew.")


class ShutdownSettings(Section):
    """How the daemon ends."""

    timeout_seconds: float = Field(60.0, ge=0, description="How long runs under way may take to finish.")
    save_state: bool = Field(True, description="Write the readable mirror of the state a last time.")


class RecoverySettings(Section):
    """Starting again after a crash; under systemd that is the unit's business."""

    enabled: bool = Field(True, description="Whether a small parent process starts a crashed daemon again.")
    max_restarts: int = Field(3, ge=0, description="How often, until it ran steadily for an hour.")
    restart_delay_seconds: float = Field(10.0, ge=0, description="How long after the crash.")


class StateSettings(Section):
    """A readable mirror of the state; the durable store is work_dir/ledger.sqlite."""

    persist: bool = Field(True, description="Whether it is written.")
    file: str = Field("", description="Empty: work_dir/state.json.")


class DaemonSettings(Section):
    """The daemon."""

    rpc: RpcSettings = Field(RpcSettings(), description="How the daemon is controlled.")
    pid_file: str = Field("", description="Empty: by the daemon's name and user.")
    work_dir: str = Field("", description="Where the ledger and all state are; empty: by the daemon's name and user.")
    strategy_roots: tuple[str, ...] = Field(
        (),
        description="More folders that strategy files may be run from, beside the configuration's and those of its strategies.",
    )
    max_runs: int = Field(4, ge=1, le=64, description="Runs at a time; others wait their turn.")
    max_memory_mb: int | None = Field(None, gt=0, description="As limits.max_memory_mb.")
    max_cpu_pct: float | None = Field(None, gt=0, le=100, description="As limits.max_cpu_pct.")
    limits: LimitSettings = Field(LimitSettings(), description="What the daemon and its workers may take.")
    log_file: str = Field("", description="Empty: stderr, or work_dir/daemon.log in the background.")
    log_level: Literal["debug", "info", "warn", "error"] = Field("info", description="The least that is logged.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object a line, or text for people.")
    log_max_mb: int = Field(50, ge=1, description="Size at which a new log file begins.")
    log_files: int = Field(5, ge=0, description="Older log files that are kept.")
    cache: CacheSettings = Field(default_factory=CacheSettings, description="The parquet cache of blocks.")
    connections: ConnectionSettings = Field(ConnectionSettings(), description="Connections to data and brokers.")
    health: HealthSettings = Field(HealthSettings(), description="/health, /live and /ready, without a token.")
    metrics: MetricsSettings = Field(MetricsSettings(), description="Prometheus metrics, without a token.")
    dashboard: DashboardSettings = Field(DashboardSettings(), description="The status page.")
    shutdown: ShutdownSettings = Field(ShutdownSettings(), description="How the daemon ends.")
    recovery: RecoverySettings = Field(
        RecoverySettings(), description="Starting again after a crash; under systemd that is the unit's business."
    )
    state: StateSettings = Field(
        StateSettings(), description="A readable mirror of the state; the durable store is work_dir/ledger.sqlite."
    )

    @property
    def memory_limit_mb(self) -> int | None:
        """The limit on memory, wherever it is written."""
        return self.max_memory_mb or self.limits.max_memory_mb

    @property
    def cpu_limit_pct(self) -> float | None:
        """The limit on processor time, wherever it is written."""
        return self.max_cpu_pct or self.limits.max_cpu_pct

    @model_validator(mode="after")
    def _one_limit(self) -> DaemonSettings:
        for key in ("max_memory_mb", "max_cpu_pct"):
            one, other = getattr(self, key), getattr(self.limits, key)
            if None not in (one, other) and one != other:
                raise ValueError(f"{key} is {one:g}, and {other:g} under limits: give it once")
        return self


class StrategySettings(Section):
    """A strategy that the daemon runs."""

    name: str = Field(pattern=NAME, description="What commands, the ledger and metrics call it.")
    file: str = Field(min_length=1, description="Its .sig file; relative to the configuration file.")
    portfolio: str = Field("", description="Which portfolio trades; empty: the first.")
    enabled: bool = Field(True, description="Whether it may run.")
    schedule: str = Field(
        "", description="When it is rebalanced: cron, or such as close-15m; empty: by jobs or by hand."
    )
    capital: float | None = Field(
        None, gt=0, description="Money of its book when it is opened; unset: execution.capital."
    )
    params: dict[str, float] = Field({}, description="Parameters by name.")


class ScheduleSettings(Section):
    """When things run."""

    timezone: str = Field("America/New_York", description="Zone of clock times.")
    calendar: str = Field("nyse", description="Whose sessions: nyse, weekdays, always, or a code such as XLON.")
    skip_holidays: bool = Field(True, description="Whether days without a session are left out.")
    overrides: dict[str, Any] = Field(
        {},
        description="Changes of the calendar: holidays: [date], half_days: {date: close}, sessions: {date: [open, close]}.",
    )
    jobs: tuple[dict[str, Any], ...] = Field(
        (),
        description="Jobs: name, kind, trigger, strategy, depends_on, retries, deadline_s, and more; see docs/daemon.md.",
    )
