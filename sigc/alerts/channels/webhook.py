"""JSON by POST to an address of the operator's own, signed if a secret is set.

Headers: `Idempotency-Key`, the same for every try of a message; `X-Sigc-Signature: sha256=HEX`, the HMAC-SHA256 of the
body under the secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC

from sigc.alerts.channels.declare import Secret, Send, channel
from sigc.alerts.channels.posting import post
from sigc.alerts.message import Message
from sigc.config.alert_settings import WebhookSettings


@channel(WebhookSettings)
def webhook(settings: WebhookSettings, secret: Secret) -> Send:
    """Return the function that posts a message as JSON."""
    url = secret(settings.url, "url")
    key = secret(settings.secret, "secret").encode() if settings.secret is not None else b""

    def send(message: Message) -> None:
        body = json.dumps(plain(message), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.key}
        if key:
            headers["X-Sigc-Signature"] = f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
        post(url, body, headers, settings.timeout_seconds)

    return send


def plain(message: Message) -> dict[str, object]:
    """Return a message as plain data."""
    said: dict[str, object] = {"key": message.key, "about": message.about, "kind": message.kind}
    said |= {"severity": str(message.severity), "title": message.title, "text": message.text}
    said |= {"rule": message.rule, "strategy": message.strategy, "run": message.run}
    return said | {"at": message.at.astimezone(UTC).isoformat(), "daemon": message.daemon, "alerts": message.number}
