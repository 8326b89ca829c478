"""Every setting declared once: its key, type, default and text; YAML and environment to a `Config`.

A new setting is one field here. From the declarations come validation, `sigc config show`, the JSON schema and
conf/sigc.yaml (`sigc.settings_text`). Reading files and environment: `sigc.config_file`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A section: unknown keys are errors, values are not changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def cache_home() -> str:
    """Where a user's cache is by default: $XDG_CACHE_HOME/sigc or ~/.cache/sigc."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(base) / "sigc")


class CacheSettings(Section):
    """The parquet cache of blocks."""

    enabled: bool = Field(True, description="Keep computed blocks on disk.")
    directory: str = Field(default_factory=cache_home, description="Folder of the cache; several daemons may share it.")
    max_size_gb: float = Field(10.0, gt=0, description="Beyond it the least recently used blocks go.")
    ttl_hours: float = Field(
        24.0, gt=0, description="After that age a data source behind a URL is looked at again for changes."
    )


class ValidationSettings(Section):
    """When loaded data are found wanting."""

    max_missing_pct: float = Field(
        0.05, ge=0, le=1, description="Share of missing cells above which to warn (0.05 is 5 %)."
    )
    max_stale_hours: float = Field(24.0, gt=0, description="Age of the newest row above which data are stale.")


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
    deadline_s: float = Field(
        0.0, ge=0, description="Seconds without a finished block after which workers are restarted; 0: never."
    )


class BacktestSettings(Section):
    """What a backtest assumes."""

    capital: float = Field(
        1_000_000.0, gt=0, description="Money of the book, for costs a share, a trade or of market impact."
    )


class DaemonSettings(Section):
    """The daemon."""

    cache: CacheSettings = Field(default_factory=CacheSettings, description="The parquet cache of blocks.")


class Config(Section):
    """All settings."""

    daemon: DaemonSettings = Field(default_factory=DaemonSettings, description="The daemon.")
    data: DataSettings = Field(DataSettings(), description="Where data come from.")
    cluster: ClusterSettings = Field(ClusterSettings(), description="The Dask cluster that large work runs on.")
    backtest: BacktestSettings = Field(BacktestSettings(), description="What a backtest assumes.")
