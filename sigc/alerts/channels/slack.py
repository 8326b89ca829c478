"""Slack by an incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/

The body is {"text": ...}; the answer is 200 `ok`. 429 has Retry-After (one message a second and webhook). The
characters &, < and > are escaped: https://docs.slack.dev/messaging/formatting-message-text/#escaping
"""

from __future__ import annotations

import json

from sigc.alerts.channels.declare import Secret, Send, channel
from sigc.alerts.channels.posting import post
from sigc.alerts.message import Message
from sigc.config.alert_settings import SlackSettings

_MOST_TEXT = 3500  # a text above 4,000 characters is cut by Slack


@channel(SlackSettings)
def slack(settings: SlackSettings, secret: Secret) -> Send:
    """Return the function that posts a message to the webhook."""
    url = secret(settings.url, "url")

    def send(message: Message) -> None:
        text = message.body[:_MOST_TEXT].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body = json.dumps({"text": text}, ensure_ascii=False).encode()
        post(url, body, {"Content-Type": "application/json; charset=utf-8"}, settings.timeout_seconds)

    return send
