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
    """Return the user's default cache folder: $XDG_CACHE_HOME/sigc or ~/.cache/sigc."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(base) / "sigc")


class CacheSettings(Section):
    """The parquet cache of blocks."""

    enabled: bool = Field(True, description="Keep computed blocks on disk.")
    directory: str = Field(default_factory=cache_home, description="Folder of the cache; several daemons may share it.")
    trusted: bool = Field(
        False,
        description="Trust the cache although others may write to its folder: for a volume that no one else reaches.",
    )
    max_size_gb: float = Field(10.0, gt=0, description="Size beyond which the least recently used blocks are removed.")
    ttl_hours: float = Field(
        24.0, gt=0, description="Age after which a data source behind a URL is checked again for changes."
    )


class PageTls(Section):
    """The page's certificate."""

    cert: str = Field(description="Certificate chain (PEM).")
    key: str = Field(description="Its key (PEM).")


class RpcTls(Section):
    """The server's certificate and the authority that checks it: a client elsewhere has `ca` alone."""

    cert: str = Field("", description="Certificate chain (PEM); the daemon needs it.")
    key: str = Field("", description="Its key (PEM); the daemon needs it.")
    ca: str = Field("", description="Authority with which our own command line checks it; empty: the system's.")


class RpcToken(Section):
    """An additional token with its own role."""

    name: str = Field(pattern=NAME, description="Name in the audit.")
    role: Literal["read", "operate", "trade"] = Field("read", description="Rights of the token.")
    token: SecretStr = Field(description="At least 16 characters; secret.")


class RpcSettings(Section):
    """The settings of the daemon's control."""

    address: str = Field("", description="HOST:PORT; empty: 127.0.0.1:5555, or the next port that is free.")
    auth: Literal["token"] = Field("token", description="Every call carries a token.")
    token: SecretStr | None = Field(
        None,
        description="Token of the role trade; secret. Unset: $SIGC_RPC_TOKEN, else one is made in work_dir/rpc.token.",
    )
    tokens: tuple[RpcToken, ...] = Field((), description="More tokens: {name, role, token} each.")
    tls: RpcTls | None = Field(None, description="{cert, key, ca}; needed beyond this machine.")
    hosts: tuple[str, ...] = Field((), description="More host names that callers may use for this daemon.")


class LimitSettings(Section):
    """The limits of the daemon and its workers."""

    max_memory_mb: int | None = Field(
        None, gt=0, description="Of controller and workers together; unset: the machine's."
    )
    gc_threshold_mb: int | None = Field(None, gt=0, description="Memory above which caches in memory are dropped.")
    max_cpu_pct: float | None = Field(
        None, gt=0, le=100, description="Largest share of all usable processors, in percent."
    )
    worker_threads: int = Field(
        0, ge=0, description="Threads that compute in the daemon itself; 0: one for each processor."
    )


class ConnectionSettings(Section):
    """Connections to data and brokers."""

    data_pool_size: int = Field(
        10,
        ge=1,
        description="Most sources behind URLs read at a time; local files: one for each processor.",
    )
    broker_pool_size: int = Field(5, ge=1, description="Most requests to a broker at a time, of all strategies.")
    timeout_seconds: float = Field(
        30.0, gt=0, description="Longest wait for one answer, of a source behind a URL or of a broker."
    )


class HealthSettings(Section):
    """The pages /health, /live and /ready, without a token."""

    enabled: bool = Field(True, description="Serve them.")
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for probes from outside a container.")
    port: int | None = Field(None, ge=0, le=65535, description="Unset: 8080, or the next that is free; 0: any.")
    interval_seconds: float = Field(30.0, gt=0, description="Seconds between two rounds of checks.")
    min_free_mb: int = Field(
        512, ge=0, description="Less free space on the disk of work_dir or the cache is a failed check."
    )


class MetricsSettings(Section):
    """Prometheus metrics, without a token."""

    enabled: bool = Field(True, description="Serve them.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int | None = Field(None, ge=0, le=65535, description="Unset: 9090, or the next that is free; 0: any.")
    path: str = Field("/metrics", pattern=r"^/[A-Za-z0-9/_.-]*$", description="Path of the page.")


class DashboardSettings(Section):
    """The status page."""

    enabled: bool = Field(True, description="Serve the page, in a process of its own.")
    host: str = Field("127.0.0.1", description="Address to listen on; beyond this machine it needs tls.")
    port: int | None = Field(None, ge=0, le=65535, description="Unset: 5006, or the next that is free; 0: any.")
    origins: tuple[str, ...] = Field(
        (), description="Other addresses of the page, through a proxy or a tunnel: such as https://sigc.example.com."
    )
    tls: PageTls | None = Field(None, description="{cert, key} of the page; needed beyond this machine.")
    login_hours: float = Field(12.0, gt=0, description="Duration of a login.")
    max_memory_mb: int = Field(512, ge=128, description="Memory beyond which the page is restarted.")


class ShutdownSettings(Section):
    """The end of the daemon."""

    timeout_seconds: float = Field(60.0, ge=0, description="Longest time for runs under way to finish.")
    save_state: bool = Field(True, description="Write the readable mirror of the state at the end.")


class RecoverySettings(Section):
    """Restarts after a crash; under systemd the unit restarts the daemon."""

    enabled: bool = Field(True, description="Restart a crashed daemon from a small parent process.")
    max_restarts: int = Field(
        3, ge=0, description="Most restarts; the count begins again after an hour of steady running."
    )
    restart_delay_seconds: float = Field(10.0, ge=0, description="Delay of a restart after the crash.")


class StateSettings(Section):
    """A readable mirror of the state; the durable store is work_dir/ledger.sqlite."""

    persist: bool = Field(True, description="Write the mirror.")
    file: str = Field("", description="Empty: work_dir/state.json.")


class DaemonSettings(Section):
    """The settings of the daemon."""

    rpc: RpcSettings = Field(RpcSettings(), description="Control of the daemon.")
    pid_file: str = Field("", description="Empty: by the daemon's name and user.")
    work_dir: str = Field("", description="Folder of the ledger and all state; empty: by the daemon's name and user.")
    strategy_roots: tuple[str, ...] = Field(
        (),
        description="More folders from which strategy files may run, beside the configuration's and those of its strategies.",
    )
    max_runs: int = Field(4, ge=1, le=64, description="Most runs at a time; others wait.")
    max_memory_mb: int | None = Field(None, gt=0, description="As limits.max_memory_mb.")
    max_cpu_pct: float | None = Field(None, gt=0, le=100, description="As limits.max_cpu_pct.")
    limits: LimitSettings = Field(LimitSettings(), description="Limits of the daemon and its workers.")
    log_file: str = Field("", description="Empty: stderr, or work_dir/daemon.log in the background.")
    log_level: Literal["debug", "info", "warn", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object per line, or text for people.")
    log_max_mb: int = Field(50, ge=1, description="Size at which a new log file begins.")
    log_files: int = Field(5, ge=0, description="Number of older log files kept.")
    cache: CacheSettings = Field(default_factory=CacheSettings, description="The parquet cache of blocks.")
    connections: ConnectionSettings = Field(ConnectionSettings(), description="Connections to data and brokers.")
    health: HealthSettings = Field(HealthSettings(), description="/health, /live and /ready, without a token.")
    metrics: MetricsSettings = Field(MetricsSettings(), description="Prometheus metrics, without a token.")
    dashboard: DashboardSettings = Field(DashboardSettings(), description="The status page.")
    shutdown: ShutdownSettings = Field(ShutdownSettings(), description="The end of the daemon.")
    recovery: RecoverySettings = Field(
        RecoverySettings(), description="Restarts after a crash; under systemd the unit restarts the daemon."
    )
    state: StateSettings = Field(
        StateSettings(), description="A readable mirror of the state; the durable store is work_dir/ledger.sqlite."
    )

    @property
    def memory_limit_mb(self) -> int | None:
        """Return the memory limit, from either setting."""
        return self.max_memory_mb or self.limits.max_memory_mb

    @property
    def cpu_limit_pct(self) -> float | None:
        """Return the processor limit, from either setting."""
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

    name: str = Field(pattern=NAME, description="Name in commands, the ledger and metrics.")
    file: str = Field(min_length=1, description="The .sig file; relative to the configuration file.")
    portfolio: str = Field("", description="Portfolio that trades; empty: the first.")
    enabled: bool = Field(True, description="Allow it to run.")
    schedule: str = Field(
        "", description="Trigger of its rebalance: cron, or such as close-15m; empty: by jobs or by hand."
    )
    capital: float | None = Field(
        None, gt=0, description="Money of its book when it is opened; unset: execution.capital."
    )
    params: dict[str, float] = Field({}, description="Parameters by name.")


class ScheduleSettings(Section):
    """The schedule of jobs."""

    timezone: str = Field("America/New_York", description="Zone of clock times.")
    calendar: str = Field("nyse", description="Calendar of sessions: nyse, weekdays, always, or a code such as XLON.")
    skip_holidays: bool = Field(True, description="Leave out days without a session.")
    overrides: dict[str, Any] = Field(
        {},
        description="Changes of the calendar: holidays: [date], half_days: {date: close}, sessions: {date: [open, close]}.",
    )
    jobs: tuple[dict[str, Any], ...] = Field(
        (),
        description="Jobs: name, kind, trigger, strategy, depends_on, retries, deadline_s, and more; see docs/daemon.md.",
    )
