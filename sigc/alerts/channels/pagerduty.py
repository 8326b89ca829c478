"""PagerDuty by its Events API v2: https://developer.pagerduty.com/docs/send-alert-event

{"routing_key", "event_action": "trigger" | "resolve", "dedup_key", "payload": {"summary" (at most 1,024 characters),
"source", "severity": "critical" | "error" | "warning" | "info", "timestamp", "component", "group", "class",
"custom_details"}}. 202 is success, 400 a malformed event, 429 too many. A second trigger with the same dedup_key opens
no second incident, so a repeated try is harmless.
"""

from __future__ import annotations

import json
from datetime import UTC

from sigc.alerts.channels.declare import Secret, Send, channel
from sigc.alerts.channels.posting import post
from sigc.alerts.message import Message
from sigc.config.alert_settings import PagerDutySettings

_MOST_SUMMARY, _MOST_KEY = 1024, 255


@channel(PagerDutySettings)
def pagerduty(settings: PagerDutySettings, secret: Secret) -> Send:
    """Return the function that enqueues an event."""
    routing_key = secret(settings.routing_key, "routing_key")
    url = secret(settings.url, "url")

    def send(message: Message) -> None:
        event: dict[str, object] = {"routing_key": routing_key, "dedup_key": message.about[:_MOST_KEY]}
        event["event_action"] = "resolve" if message.kind == "resolve" else "trigger"
        details = {"text": message.text, "run": message.run, "strategy": message.strategy}
        event["payload"] = {
            "summary": message.title[:_MOST_SUMMARY],
            "source": message.daemon,
            "severity": str(message.severity),
            "timestamp": message.at.astimezone(UTC).isoformat(),
            "component": "sigc",
            "group": message.strategy,
            "class": message.rule or message.kind,
            "custom_details": details,
        }
        body = json.dumps(event, ensure_ascii=False).encode()
        post(url, body, {"Content-Type": "application/json"}, settings.timeout_seconds)

    return send
