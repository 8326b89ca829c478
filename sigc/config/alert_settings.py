"""The settings of alerts: channels, routes, conditions, quiet hours. One class for each type of channel.

Texts marked secret may be the value, `file:/path` of a file that only its owner reads, or `credential:NAME` of a
systemd credential, as in `sigc.config.daemon_settings`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from sigc.config.section import Section

_NAME = r"^[a-z][a-z0-9_-]{0,62}$"
_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
_URL = r"^(https?://\S+|file:\S+|credential:\S+)$"
SeverityName = Literal["info", "warning", "critical"]


class ChannelBase(Section):
    """The settings that all channels share."""

    per_minute: int = Field(10, ge=1, le=1000, description="Most messages a minute; more become one digest.")
    timeout_seconds: float = Field(10.0, gt=0, le=120, description="Longest wait for the channel's answer.")


class WebhookSettings(ChannelBase):
    """A webhook: JSON by POST to an address of yours."""

    type: Literal["webhook"]
    url: SecretStr = Field(description="Address to post to; secret.")
    secret: SecretStr | None = Field(None, description="Key that signs the body (HMAC-SHA256); secret.")


class SlackSettings(ChannelBase):
    """An incoming webhook of Slack."""

    type: Literal["slack"]
    url: SecretStr = Field(description="Address of the incoming webhook; secret.")


class PagerDutySettings(ChannelBase):
    """Events API v2 of PagerDuty."""

    type: Literal["pagerduty"]
    routing_key: SecretStr = Field(description="Integration key of the service; secret.")
    url: str = Field("https://events.pagerduty.com/v2/enqueue", pattern=_URL, description="Address of the API.")


class EmailSettings(ChannelBase):
    """Email over SMTP."""

    type: Literal["email"]
    host: str = Field(min_length=1, description="Mail server.")
    port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="Encryption of the connection.")
    user: str = Field("", description="Login; empty: none.")
    password: SecretStr | None = Field(None, description="Password of the login; secret.")
    sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", description="Sender's address.")
    to: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...] = Field(
        min_length=1, description="Recipients' addresses."
    )


class TelegramSettings(ChannelBase):
    """A bot of Telegram."""

    type: Literal["telegram"]
    token: SecretStr = Field(description="Token of the bot; secret.")
    chat: str = Field(min_length=1, description="Id of the chat, or @name of the channel.")
    url: str = Field("https://api.telegram.org", pattern=_URL, description="Address of the Bot API.")


class AppriseSettings(ChannelBase):
    """Any service that Apprise knows; needs the extra `apprise`."""

    type: Literal["apprise"]
    url: SecretStr = Field(description="Apprise's URL of the service; secret.")


ChannelSettings = Annotated[
    WebhookSettings | SlackSettings | PagerDutySettings | EmailSettings | TelegramSettings | AppriseSettings,
    Field(discriminator="type"),
]


class ConditionSettings(Section):
    """A condition over metrics that raises an alert while it is met."""

    name: str = Field(pattern=_NAME, description="Name of the alert.")
    when: str = Field(
        min_length=1, max_length=500, description="Condition, such as: daily_pnl_pct < -0.02 and open_orders > 0."
    )
    severity: SeverityName = Field("warning", description="Severity of the alert.")


class RouteSettings(Section):
    """The channels of an alert, by its severity."""

    critical: tuple[str, ...] | None = Field(None, description="Names of channels; unset: all.")
    warning: tuple[str, ...] | None = Field(None, description="Names of channels; unset: all.")
    info: tuple[str, ...] | None = Field(None, description="Names of channels; unset: all.")


class QuietSettings(Section):
    """Hours in which only critical alerts are sent; the others follow at their end."""

    begin: str = Field("", pattern=rf"{_CLOCK}|^$", description="Such as 22:00, in schedule.timezone; empty: none.")
    end: str = Field("", pattern=rf"{_CLOCK}|^$", description="Such as 07:00.")


class HeartbeatSettings(Section):
    """A sign of life to a service elsewhere, which alerts when it stays away."""

    url: SecretStr | None = Field(
        None, description="Address to post to while the daemon is ready; secret. Unset: none."
    )
    every_seconds: float = Field(60.0, ge=1, description="Interval; set the service to wait a few times as long.")


class AlertSettings(Section):
    """The settings of alerts."""

    channels: dict[Annotated[str, Field(pattern=_NAME)], ChannelSettings] = Field(
        {},
        description="By name: {type: slack | pagerduty | email | telegram | webhook | apprise, ...}; see docs/alerts.md.",
    )
    routes: RouteSettings = Field(RouteSettings(), description="Channels of an alert, by its severity.")
    rules: tuple[ConditionSettings, ...] = Field(
        (), description="Conditions over metrics: {name, when, severity} each, beside the rules that are on by default."
    )
    disabled: tuple[str, ...] = Field((), description="Default rules that send nothing.")
    quiet: QuietSettings = Field(
        QuietSettings(), description="Hours in which only critical alerts are sent; the others follow at their end."
    )
    heartbeat: HeartbeatSettings = Field(
        HeartbeatSettings(), description="A sign of life to a service elsewhere, which alerts when it stays away."
    )
    summary: str = Field(
        "",
        pattern=rf"{_CLOCK}|^$",
        description="Time of the daily summary (severity info), such as 17:30 in schedule.timezone; empty: never.",
    )
    late_data_minutes: float = Field(15.0, gt=0, description="Longest wait of a fire for fresh data without an alert.")
    undelivered_minutes: float = Field(
        10.0, gt=0, description="Longest time a channel may fail before health is degraded."
    )
