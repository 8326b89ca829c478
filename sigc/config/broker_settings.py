"""The settings of brokers that trade; those of the embedded one are in `sigc.config.settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from sigc.config.section import Section


class AlpacaSettings(Section):
    """The broker Alpaca, over its REST interface."""

    account: Literal["paper", "live"] = Field(
        "paper", description="The kind of account: paper is Alpaca's own simulation, live is real money."
    )
    key_id: SecretStr | None = Field(
        None, description="Key id of that account: the text, file:PATH or credential:NAME."
    )
    secret_key: SecretStr | None = Field(
        None, description="Secret key that belongs to it, given the same ways; secret."
    )
    base_url: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Address of the interface; empty: Alpaca's own of that account."
    )
    requests_per_minute: int = Field(200, ge=4, description="Requests that Alpaca allows a key in a minute.")
    quantity_step: str = Field(
        "1",
        pattern=r"^(0\.\d{1,9}|1)$",
        description="Smallest step of quantities; 1 is whole shares. Short sales are of whole shares always.",
    )


class FilesSettings(Section):
    """The broker of folders: orders leave as files, an order management system answers by files."""

    outbox: str = Field("", description="Folder (an absolute path) that orders and cancels are written into.")
    inbox: str = Field("", description="Folder that acknowledgements, fills, positions and the account are read from.")
    taken: str = Field(
        "", description="Folder that the other side moves orders to when it has taken them; empty: it moves none."
    )
    format: Literal["csv", "jsonl"] = Field("csv", description="Format of all files: csv, or JSON objects by line.")
    columns: dict[str, str] = Field(
        {}, description="Names of columns on the other side, by our own names; those left out have our names."
    )
    is_live: bool = Field(True, description="Whether its orders are of real money.")
    quantity_step: str = Field(
        "1", pattern=r"^(0\.\d{1,9}|[1-9]\d{0,8})$", description="Smallest step of quantities; 1 is whole shares."
    )
    shorting: bool = Field(True, description="Whether it takes orders that sell more than is held.")
    max_age_s: float = Field(
        900.0, gt=0, description="Age in seconds above which a snapshot of positions or of the account is no answer."
    )
    ack_wait_s: float = Field(
        2.0, ge=0, description="Seconds to wait for the first answer to an order; without one it is open. 0: none."
    )
