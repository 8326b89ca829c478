"""Every setting declared once: its key, type, default and text; YAML and environment to a `Config`.

A new setting is one field here. From the declarations come validation, `sigc config show`, the JSON schema and
conf/sigc.yaml. The daemon's own sections are in `sigc.config.daemon_settings`. Reading files and environment:
`sigc.config.check`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sigc.config.alert_settings import AlertSettings
from sigc.config.daemon_settings import CacheSettings, DaemonSettings, ScheduleSettings, StrategySettings
from sigc.config.section import Section

__all__ = ["CacheSettings", "Config", "DaemonSettings", "ScheduleSettings", "Section", "StrategySettings"]


class ValidationSettings(Section):
    """When loaded data are found wanting."""

    max_missing_pct: float = Field(
        0.05, ge=0, le=1, description="Share of missing cells above which to warn (0.05 is 5 %)."
    )


class DataSettings(Section):
    """Where data come from."""

    directory: str = Field("./data", description="Third place a relative path of a data source is looked for.")
    roots: tuple[str, ...] = Field((), description="More folders that data sources may be read from.")
    url_prefixes: tuple[str, ...] = Field((), description="URLs that data sources may start with; empty allows all.")
    max_cells: int = Field(1 << 31, gt=0, description="Rows x columns above which a file is refused unread.")
    validation: ValidationSettings = Field(ValidationSettings(), description="When loaded data are found wanting.")


class TlsFiles(Section):
    """Certificates of a remote scheduler."""

    ca: str = Field(description="Certificate of the authority.")
    cert: str = Field(description="Our certificate.")
    key: str = Field(description="Our key.")


class ScaleRange(Section):
    """Bounds of an adaptive cluster."""

    minimum: int = Field(0, ge=0, description="Fewest workers.")
    maximum: int = Field(4, ge=1, description="Most workers.")


class ClusterSettings(Section):
    """The Dask cluster that large work runs on."""

    type: Literal["local", "address", "class", "none"] = Field(
        "local", description="local workers, a running scheduler's address, a cluster class, or none (threads only)."
    )
    workers: int = Field(2, ge=1, description="Local worker processes.")
    threads: int = Field(1, ge=1, description="Threads a local worker.")
    memory_limit: str = Field("auto", description="Memory a local worker may use, such as 2GiB.")
    address: str = Field("", description="Of a running scheduler, such as tls://host:8786.")
    class_: str = Field(
        "", alias="class", description="Dotted name of a cluster class, such as dask_jobqueue.SLURMCluster."
    )
    options: dict[str, Any] = Field({}, description="Arguments of the cluster class.")
    scale: int | ScaleRange | None = Field(
        None, description="Workers of a cluster class: a number, or minimum and maximum."
    )
    security: Literal["temporary", "none"] | TlsFiles = Field(
        "temporary", description="temporary certificates (local), none, or files ca, cert, key."
    )
    dashboard_address: str = Field(
        "", description="Where Dask's dashboard of a local cluster listens; empty: a free port of 127.0.0.1."
    )
    connect_timeout_s: float = Field(30.0, gt=0, description="Seconds to wait for a scheduler to answer.")
    idle_minutes: float = Field(
        15.0, ge=0, description="The daemon closes local workers that had no work for so long; 0: never."
    )
    deadline_s: float = Field(
        0.0, ge=0, description="Seconds without a finished block after which workers are restarted; 0: never."
    )


class PaperSettings(Section):
    """The paper broker: a simulation with a book of its own, filled at the data's next prices."""

    slippage_bps: float = Field(0.0, ge=0, description="By how much fills are worse than the price.")
    commission_bps: float = Field(0.0, ge=0, description="Commission on the value of a fill.")
    commission_per_share: float = Field(0.0, ge=0, description="Commission a share.")
    min_commission: float = Field(0.0, ge=0, description="Least commission of a fill.")
    max_volume_pct: float = Field(
        1.0, gt=0, le=1, description="Largest share of a session's volume that is filled (0.1 is 10 %)."
    )
    leverage: float = Field(4.0, gt=0, description="Gross value of positions and open orders over equity, at most.")
    shorting: bool = Field(True, description="Whether more may be sold than is held.")
    borrow_bps: float = Field(0.0, ge=0, description="Yearly fee on the value of short positions.")
    quantity_step: str = Field(
        "1", pattern=r"^\d+(\.\d+)?$", description="Quantities are multiples of it; 1 is whole shares."
    )


class BrokerSettings(Section):
    """Where orders go."""

    type: str = Field("paper", description="paper, or the name of a broker that is installed.")
    timeout_s: float | None = Field(
        None, gt=0, description="Seconds to wait for an answer; unset: daemon.connections.timeout_seconds."
    )
    options: dict[str, Any] = Field({}, description="Settings of an installed broker; its own text says which.")
    paper: PaperSettings = Field(PaperSettings(), description="The paper broker.")


class ExecutionSettings(Section):
    """How target weights become orders."""

    sizing: Literal["capital", "nav"] = Field(
        "capital", description="What weights are a share of: the book's capital, or its worth."
    )
    capital: float = Field(1_000_000.0, gt=0, description="Money of a book when it is opened.")
    style: Literal["immediate", "twap"] = Field(
        "immediate", description="All orders at once, or in slices over a window."
    )
    window_minutes: float = Field(60.0, gt=0, description="Length of a twap.")
    slices: int = Field(6, ge=1, le=500, description="Slices of a twap.")
    order_type: Literal["market", "limit"] = Field("market", description="At any price, or at a limit.")
    limit_offset_bps: float = Field(10.0, ge=0, description="How far a limit lies beyond the reference price.")
    time_in_force: Literal["day", "ioc"] = Field(
        "day", description="day: to the session's end; ioc: at once or not at all."
    )
    lot: str = Field(
        "", pattern=r"^(\d+(\.\d+)?)?$", description="Quantities are multiples of it; empty: what the broker allows."
    )
    min_order_value: float = Field(0.0, ge=0, description="Smaller orders are not sent.")
    cut_off: str = Field(
        "close-5m",
        pattern=r"^(open|close)([+-]\d+[mh])?$",
        description="When nothing is sent any more, against the session.",
    )
    lookup_grace_s: float = Field(
        10.0, ge=0, description="How long an order without an answer may stay unseen before it is sent again."
    )
    lookup_backoff_s: float = Field(
        0.5, gt=0, description="First wait between two looks for it; it doubles, up to 30 s."
    )
    fill_wait_s: float = Field(
        60.0, ge=0, description="How long a run waits for fills of what it sent; later ones are taken in all the same."
    )
    load_deadline_s: float = Field(600.0, gt=0, description="Longest time of the stage load.")
    compute_deadline_s: float = Field(3600.0, gt=0, description="Longest time of the stage compute.")
    validate_deadline_s: float = Field(120.0, gt=0, description="Longest time of the stage validate.")
    execute_deadline_s: float = Field(28800.0, gt=0, description="Longest time of the stage execute.")


class SafetySettings(Section):
    """What no run and no order may exceed. Money is in the account's currency, shares of the book are fractions (0.1 is 10 %)."""

    on_data_error: Literal["halt", "hold", "use_cache", "alert"] = Field(
        "halt",
        description="Data that can't be judged or are anomalous: refuse the run, keep the positions, trade to the last run's target, go on with a warning.",
    )
    on_stale_data: Literal["halt", "hold", "use_cache", "alert"] = Field(
        "halt",
        description="The newest row is not of the as-of session, of the prices or of a source that is read, or lacks too many values.",
    )
    on_missing_symbol: Literal["halt", "hold", "exclude", "alert"] = Field(
        "hold",
        description="A wanted or held asset without a price: refuse, keep its position, want none of it, go on with a warning.",
    )
    max_missing_pct: float = Field(
        0.05, ge=0, le=1, description="Share of the wanted and held assets that may lack a price."
    )
    min_rows: int = Field(2, ge=1, description="Fewest rows of data.")
    on_anomaly: Literal["halt", "hold", "exclude", "alert"] = Field(
        "hold",
        description="An asset whose price jumps beyond max_return and is not confirmed, or whose row repeats the one before: refuse, keep its position, want none of it, go on with a warning.",
    )
    max_return: float = Field(0.5, gt=0, description="A larger return of a session is an anomaly.")
    max_volume_ratio: float = Field(10.0, gt=0, description="More volume than so many times its average is an anomaly.")
    max_anomalies_pct: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of assets with anomalies above which on_data_error applies; below, and for a single asset unless it is written, a warning.",
    )
    max_repeated_pct: float = Field(
        0.5, ge=0, le=1, description="Share of assets whose row repeats the one before, above which data are stale."
    )
    max_universe_change: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of the assets with a price that may be without one a session later; off under 5 assets.",
    )
    max_coverage_drop: float = Field(
        0.2,
        ge=0,
        le=1,
        description="By how much the assets with a value may fall below the mean of the last 20 rows, of each source that is read; off under 5 assets.",
    )
    max_deviation: float = Field(
        0.0,
        ge=0,
        description="How far a turnover may lie above the mean of the strategy's own, in standard deviations; 0: off.",
    )
    min_history: int = Field(20, ge=2, description="Fewest runs that max_deviation judges by; before, it is off.")
    neutral: bool = Field(False, description="Whether the weights of the book must sum to 0.")
    neutral_tolerance: float = Field(
        0.01, ge=0, le=1, description="How far from 0 that sum may be, over the sum of absolute weights."
    )
    max_position: float = Field(1.0, gt=0, description="Largest weight of an asset.")
    max_sector: float = Field(0.0, ge=0, description="Largest net weight of a sector; 0: off.")
    max_sector_in_flight: float = Field(
        0.0, ge=0, description="The same if only the purchases in flight were filled, or only the sales; 0: off."
    )
    max_gross: float = Field(4.0, gt=0, description="Largest sum of absolute weights.")
    max_gross_in_flight: float = Field(
        8.0, gt=0, description="The same if every order that adds were filled and none that reduces."
    )
    max_net: float = Field(4.0, gt=0, description="Largest absolute sum of weights.")
    max_net_in_flight: float = Field(
        8.0, gt=0, description="The same if only the purchases in flight were filled, or only the sales."
    )
    max_turnover: float = Field(4.0, gt=0, description="Largest value of a session's orders over the book's worth.")
    max_change: float = Field(2.0, gt=0, description="Largest change of one asset's weight in a session.")
    max_order_value: float = Field(
        0.0, ge=0, description="Largest value of an order, at the higher of the last two accepted prices; 0: off."
    )
    max_order_pct: float = Field(
        0.1,
        ge=0,
        description="By how much an order may exceed the change of weight that was wanted, as a share of it; one lot always may; 0: off.",
    )
    max_adv_pct: float = Field(
        0.1,
        ge=0,
        description="Largest value of an order over the mean value traded in a session (20 rows of volume x price); 0: off.",
    )
    max_order_shares: float = Field(0.0, ge=0, description="Largest quantity of an order; 0: off.")
    max_orders_per_run: int = Field(10_000, ge=0, description="Most orders of a run.")
    max_orders_per_session: int = Field(50_000, ge=0, description="Most orders of a book in a session.")
    min_cash: float = Field(
        -4.0, description="Least cash over the book's worth once all is filled; negative is borrowed."
    )
    min_cash_in_flight: float = Field(
        -8.0, description="The same if all purchases in flight were filled and no sale; 0: nothing is ever borrowed."
    )
    allow_short: bool = Field(True, description="Whether positions may be negative.")
    restricted: tuple[str, ...] = Field((), description="Assets that are not traded.")


class AuditSettings(Section):
    """The account of everything that happened."""

    mirror: bool = Field(True, description="Write the records as JSON lines to work_dir/audit too, a file a day.")
    compress_days: int = Field(7, ge=0, description="Mirror files older than this are compressed.")
    retention_days: int = Field(
        0, ge=0, description="Mirror files older than this are deleted; 0: never. The ledger keeps all."
    )
    sign_key: str = Field("", description="File of an ed25519 private key (PEM, mode 0600) that signs every record.")
    anchor: str = Field(
        "",
        description="File that the chain's head is appended to each day, best on another machine's disk; empty: work_dir/audit/anchors.jsonl.",
    )


class BacktestSettings(Section):
    """What a backtest assumes."""

    capital: float = Field(
        1_000_000.0, gt=0, description="Money of the book, for costs a share, a trade or of market impact."
    )


class Config(Section):
    """All settings."""

    daemon: DaemonSettings = Field(default_factory=DaemonSettings, description="The daemon.")
    data: DataSettings = Field(DataSettings(), description="Where data come from.")
    cluster: ClusterSettings = Field(ClusterSettings(), description="The Dask cluster that large work runs on.")
    backtest: BacktestSettings = Field(BacktestSettings(), description="What a backtest assumes.")
    strategies: tuple[StrategySettings, ...] = Field(
        (), description="What the daemon runs: {name, file, portfolio, enabled, schedule, capital, params} each."
    )
    schedule: ScheduleSettings = Field(ScheduleSettings(), description="When things run.")
    broker: BrokerSettings = Field(BrokerSettings(), description="Where orders go.")
    execution: ExecutionSettings = Field(ExecutionSettings(), description="How target weights become orders.")
    safety: SafetySettings = Field(SafetySettings(), description="What no run and no order may exceed.")
    audit: AuditSettings = Field(AuditSettings(), description="The account of everything that happened.")
    alerts: AlertSettings = Field(AlertSettings(), description="What an operator is told, and how.")
