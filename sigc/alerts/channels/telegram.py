"""Telegram by the Bot API: https://core.telegram.org/bots/api#sendmessage

POST /bot<token>/sendMessage with {"chat_id", "text" (1 to 4,096 characters)}; the answer is {"ok": true, ...} or, with
an error's status, {"ok": false, "description", "parameters": {"retry_after": seconds}}.
"""

from __future__ import annotations

import json

from sigc.alerts.channels.declare import DeliveryError, Secret, Send, channel
from sigc.alerts.channels.posting import post
from sigc.alerts.message import Message
from sigc.config.alert_settings import TelegramSettings

_MOST_TEXT = 4000


@channel(TelegramSettings)
def telegram(settings: TelegramSettings, secret: Secret) -> Send:
    """Return the function that sends a message as the bot."""
    token = secret(settings.token, "token")
    url = f"{secret(settings.url, 'url').rstrip('/')}/bot{token}/sendMessage"

    def send(message: Message) -> None:
        body = json.dumps({"chat_id": settings.chat, "text": message.body[:_MOST_TEXT]}, ensure_ascii=False).encode()
        answer = post(url, body, {"Content-Type": "application/json; charset=utf-8"}, settings.timeout_seconds)
        try:
            is_ok = json.loads(answer).get("ok") is True
        except (ValueError, AttributeError):
            is_ok = False
        if not is_ok:
            raise DeliveryError("Telegram's answer does not confirm the message")

    return send
