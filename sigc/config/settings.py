"""The declaration of every setting: its key, type, default and description; all together are a `Config`.

A new setting is one field here. Validation, `sigc config show`, the JSON schema and conf/sigc.yaml follow from the
declarations. The daemon's own sections are in `sigc.config.daemon_settings`. Files and environment are read by
`sigc.config.check`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from sigc.config.alert_settings import AlertSettings
from sigc.config.breaker_settings import BreakerAction, BreakerSettings
from sigc.config.broker_settings import AlpacaSettings, FilesSettings
from sigc.config.daemon_settings import CacheSettings, DaemonSettings, ScheduleSettings, StrategySettings
from sigc.config.section import Section

__all__ = ["CacheSettings", "Config", "DaemonSettings", "ScheduleSettings", "Section", "StrategySettings"]


class ValidationSettings(Section):
    """The limits beyond which loaded data cause a warning."""

    max_missing_pct: float = Field(
        0.05, ge=0, le=1, description="Share of missing cells above which to warn (0.05 is 5 %)."
    )


class DataSettings(Section):
    """The places of data."""

    directory: str = Field("./data", description="Third folder in which a relative path of a data source is searched.")
    roots: tuple[str, ...] = Field((), description="More folders from which data sources may be read.")
    url_prefixes: tuple[str, ...] = Field((), description="Allowed beginnings of the URLs of data sources; empty: all.")
    max_cells: int = Field(
        1 << 31, gt=0, description="Rows x columns above which a file is refused without reading it."
    )
    validation: ValidationSettings = Field(
        ValidationSettings(), description="Limits beyond which loaded data cause a warning."
    )


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
    address: str = Field("", description="Address of a running scheduler, such as tls://host:8786.")
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
        "", description="Address of a local cluster's Dask dashboard; empty: a free port of 127.0.0.1."
    )
    connect_timeout_s: float = Field(30.0, gt=0, description="Seconds to wait for a scheduler to answer.")
    idle_minutes: float = Field(
        15.0, ge=0, description="Idle time after which the daemon closes local workers; 0: never."
    )
    deadline_s: float = Field(
        0.0, ge=0, description="Seconds without a finished block after which workers are restarted; 0: never."
    )


class PaperSettings(Section):
    """The paper broker: a simulation with a book of its own, filled at the data's next prices."""

    slippage_bps: float = Field(0.0, ge=0, description="Slippage: fills are this much worse than the price.")
    commission_bps: float = Field(0.0, ge=0, description="Commission as a share of a fill's value.")
    commission_per_share: float = Field(0.0, ge=0, description="Commission per share.")
    min_commission: float = Field(0.0, ge=0, description="Minimum commission of a fill.")
    max_volume_pct: float = Field(
        1.0, gt=0, le=1, description="Largest fill as a share of a session's volume (0.1 is 10 %)."
    )
    leverage: float = Field(4.0, gt=0, description="Largest gross value of positions and open orders, over equity.")
    shorting: bool = Field(True, description="Allow selling more than is held.")
    borrow_bps: float = Field(0.0, ge=0, description="Yearly fee on the value of short positions.")
    quantity_step: str = Field(
        "1", pattern=r"^\d+(\.\d+)?$", description="Smallest step of quantities; 1 is whole shares."
    )


class BrokerSettings(Section):
    """The broker that orders go to."""

    type: str = Field("paper", description="paper, alpaca, files, or the name of an installed broker.")
    timeout_s: float | None = Field(
        None, gt=0, description="Seconds to wait for an answer; unset: daemon.connections.timeout_seconds."
    )
    options: dict[str, Any] = Field({}, description="Settings of an installed broker; see its own documentation.")
    paper: PaperSettings = Field(PaperSettings(), description="The paper broker.")
    alpaca: AlpacaSettings = Field(AlpacaSettings(), description="The broker Alpaca.")
    files: FilesSettings = Field(FilesSettings(), description="The broker of folders.")

    @property
    def label(self) -> str:
        """Return the broker as it is shown: its type, and which kind of account where it has both."""
        kinds = {"alpaca": self.alpaca.account, "files": "live" if self.files.is_live else "paper"}
        return f"{self.type} {kinds[self.type]}" if self.type in kinds else self.type


class ExecutionSettings(Section):
    """The way from target weights to orders."""

    sizing: Literal["capital", "nav"] = Field(
        "capital", description="Base of the weights: the book's capital, or its net asset value."
    )
    capital: float = Field(1_000_000.0, gt=0, description="Money of a book when it is opened.")
    style: Literal["immediate", "twap"] = Field(
        "immediate", description="All orders at once, or in slices over a window."
    )
    window_minutes: float = Field(60.0, gt=0, description="Duration of a twap.")
    slices: int = Field(6, ge=1, le=500, description="Number of slices of a twap.")
    order_type: Literal["market", "limit"] = Field("market", description="Orders at any price, or at a limit price.")
    limit_offset_bps: float = Field(10.0, ge=0, description="Distance of the limit price beyond the reference price.")
    time_in_force: Literal["day", "ioc"] = Field(
        "day", description="day: valid to the session's end; ioc: filled at once or cancelled."
    )
    lot: str = Field(
        "", pattern=r"^(\d+(\.\d+)?)?$", description="Smallest step of quantities; empty: what the broker allows."
    )
    min_order_value: float = Field(0.0, ge=0, description="Value below which an order is not sent.")
    cut_off: str = Field(
        "close-5m",
        pattern=r"^(open|close)([+-]\d+[mh])?$",
        description="Time after which no order is sent, relative to the session.",
    )
    lookup_grace_s: float = Field(
        10.0,
        ge=0,
        description="Seconds an order without an answer may stay unknown to the broker before it is sent again.",
    )
    lookup_backoff_s: float = Field(
        0.5, gt=0, description="First wait between two lookups of such an order; it doubles, up to 30 s."
    )
    fill_wait_s: float = Field(
        60.0, ge=0, description="Seconds a run waits for fills of its orders; later fills are still booked."
    )
    load_deadline_s: float = Field(600.0, gt=0, description="Longest duration of the stage load.")
    compute_deadline_s: float = Field(3600.0, gt=0, description="Longest duration of the stage compute.")
    validate_deadline_s: float = Field(120.0, gt=0, description="Longest duration of the stage validate.")
    execute_deadline_s: float = Field(28800.0, gt=0, description="Longest duration of the stage execute.")


class AccountSettings(Section):
    """The limits of the whole account, over the sum of all books. Shares are of the worth of all books; 0: off."""

    max_gross: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Largest sum of absolute weights if every open order that adds were filled; 0: off.",
    )
    max_net: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Largest absolute sum of weights if only the open purchases were filled, or only the open sales; 0: off.",
    )
    max_position: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Largest weight of an asset in all books together; 0: off."
    )
    max_orders_a_minute: int = Field(
        0, ge=0, description="Most orders sent within a minute, by all books; those beyond wait; 0: off."
    )
    max_buying_power: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Largest share of the broker's buying power, as it tells it when a run begins to send, that orders which add may take; 0: off.",
    )


class SafetySettings(Section):
    """The limits of runs and orders. Money is in the account's currency, shares are fractions (0.1 is 10 %)."""

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
    on_mismatch: Literal["alert", "halt", "adopt"] = Field(
        "alert",
        description="A job of kind reconcile finds that ledger and broker differ: tell it, halt everything too, or adopt dividends and fees first.",
    )
    max_missing_pct: float = Field(
        0.05, ge=0, le=1, description="Share of the wanted and held assets that may lack a price."
    )
    min_rows: int = Field(2, ge=1, description="Minimum number of rows of data.")
    on_anomaly: Literal["halt", "hold", "exclude", "alert"] = Field(
        "hold",
        description="An asset whose price jumps beyond max_return and is not confirmed, or whose row repeats the one before: refuse, keep its position, want none of it, go on with a warning.",
    )
    max_return: float = Field(0.5, gt=0, description="Return of a session above which it is an anomaly.")
    max_volume_ratio: float = Field(
        10.0, gt=0, description="Multiple of the average volume above which volume is an anomaly."
    )
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
        description="Largest fall of the number of assets with a value below the mean of the last 20 rows, for each source that is read; off under 5 assets.",
    )
    max_deviation: float = Field(
        0.0,
        ge=0,
        description="Largest distance of a turnover above the mean of the strategy's own, in standard deviations; 0: off.",
    )
    min_history: int = Field(20, ge=2, description="Number of runs below which max_deviation is off.")
    neutral: bool = Field(False, description="Require the weights of the book to sum to 0.")
    neutral_tolerance: float = Field(
        0.01, ge=0, le=1, description="Largest absolute sum of weights over the sum of absolute weights, with neutral."
    )
    max_position: float = Field(1.0, gt=0, description="Largest weight of an asset.")
    max_sector: float = Field(0.0, ge=0, description="Largest net weight of a sector; 0: off.")
    max_sector_in_flight: float = Field(
        0.0, ge=0, description="The same if only the open purchases were filled, or only the open sales; 0: off."
    )
    max_gross: float = Field(4.0, gt=0, description="Largest sum of absolute weights.")
    max_gross_in_flight: float = Field(
        8.0, gt=0, description="The same if every open order that adds were filled and none that reduces."
    )
    max_net: float = Field(4.0, gt=0, description="Largest absolute sum of weights.")
    max_net_in_flight: float = Field(
        8.0, gt=0, description="The same if only the open purchases were filled, or only the open sales."
    )
    max_turnover: float = Field(
        4.0, gt=0, description="Largest value of a session's orders over the book's net asset value."
    )
    max_change: float = Field(2.0, gt=0, description="Largest change of one asset's weight in a session.")
    max_order_value: float = Field(
        0.0, ge=0, description="Largest value of an order, at the higher of the last two accepted prices; 0: off."
    )
    max_order_pct: float = Field(
        0.1,
        ge=0,
        description="Largest excess of an order over the wanted change of weight, as a share of that change; one lot is always allowed; 0: off.",
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
        -4.0, description="Least cash over the book's net asset value once all is filled; negative is borrowed."
    )
    min_cash_in_flight: float = Field(
        -8.0, description="The same if all open purchases were filled and no sale; 0: nothing is ever borrowed."
    )
    allow_short: bool = Field(True, description="Allow negative positions.")
    restricted: tuple[str, ...] = Field((), description="Assets that are not traded.")
    daily_loss: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Loss since the close of the session before that stops trading, of a book or of all; 0: off.",
    )
    weekly_loss: float = Field(0.0, ge=0, le=1, description="The same over the last 5 sessions; 0: off.")
    drawdown: float = Field(
        0.0, ge=0, le=1, description="Loss from the highest close that stops trading, of a book or of all; 0: off."
    )
    account: AccountSettings = Field(AccountSettings(), description="Limits of the whole account.")
    loss_action: BreakerAction = Field(
        "halt_trading", description="Action of daily_loss, weekly_loss and drawdown, as of a circuit breaker."
    )
    four_eyes: bool = Field(
        False,
        description="Have a second token of the role trade confirm the reset of a breaker, raised limits, adopting, moves between books and closing positions.",
    )
    circuit_breakers: tuple[BreakerSettings, ...] = Field(
        (), description="More circuit breakers: {name, type, threshold, window, action} each."
    )

    @model_validator(mode="after")
    def _nobody_adopts_alone(self) -> SafetySettings:
        if self.four_eyes and self.on_mismatch == "adopt":
            raise ValueError("on_mismatch: adopt has no second person (four_eyes): set alert or halt")
        return self

    @model_validator(mode="after")
    def _one_name_each(self) -> SafetySettings:
        names = [name for name in ("daily_loss", "weekly_loss", "drawdown") if getattr(self, name)]
        names += [one.name for one in self.circuit_breakers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two circuit breakers are called '{twice}': each needs a name of its own")
        return self


class AuditSettings(Section):
    """The audit: the record of everything that happened."""

    mirror: bool = Field(True, description="Write the records as JSON lines to work_dir/audit too, one file a day.")
    compress_days: int = Field(7, ge=0, description="Age in days after which mirror files are compressed.")
    retention_days: int = Field(
        0, ge=0, description="Age in days after which mirror files are deleted; 0: never. The ledger keeps all."
    )
    sign_key: str = Field("", description="File of an ed25519 private key (PEM, mode 0600) that signs every record.")
    anchor: str = Field(
        "",
        description="File to which the chain's head is appended each day, best on another machine's disk; empty: work_dir/audit/anchors.jsonl.",
    )


class BacktestSettings(Section):
    """The assumptions of a backtest."""

    capital: float = Field(
        1_000_000.0, gt=0, description="Money of the book, for costs per share, per trade or of market impact."
    )


class Config(Section):
    """All settings."""

    daemon: DaemonSettings = Field(default_factory=DaemonSettings, description="The daemon.")
    data: DataSettings = Field(DataSettings(), description="Places of data.")
    cluster: ClusterSettings = Field(ClusterSettings(), description="The Dask cluster that large work runs on.")
    backtest: BacktestSettings = Field(BacktestSettings(), description="Assumptions of a backtest.")
    strategies: tuple[StrategySettings, ...] = Field(
        (), description="Strategies of the daemon: {name, file, portfolio, enabled, schedule, capital, params} each."
    )
    schedule: ScheduleSettings = Field(ScheduleSettings(), description="The schedule of jobs.")
    broker: BrokerSettings = Field(BrokerSettings(), description="The broker that orders go to.")
    execution: ExecutionSettings = Field(ExecutionSettings(), description="The way from target weights to orders.")
    safety: SafetySettings = Field(SafetySettings(), description="Limits of runs and orders.")
    audit: AuditSettings = Field(AuditSettings(), description="The record of everything that happened.")
    alerts: AlertSettings = Field(AlertSettings(), description="Alerts: channels, routes, conditions.")

    @model_validator(mode="after")
    def _two_tokens(self) -> Config:
        if self.safety.four_eyes and not any(token.role == "trade" for token in self.daemon.rpc.tokens):
            raise ValueError("safety.four_eyes needs a second token of the role trade: add one to daemon.rpc.tokens")
        return self
