"""A channel for every service that Apprise knows, by its URL: https://github.com/caronc/apprise/wiki. An extra.

Apprise tells only whether a message was taken, not why it failed: so each failure is tried again.
"""

from __future__ import annotations

import logging
from typing import Any

from sigc.alerts.channels.declare import DeliveryError, Secret, Send, channel
from sigc.alerts.message import Message
from sigc.config.alert_settings import AppriseSettings
from sigc.errors import Diagnostic, SigcError

_TYPES = {"critical": "failure", "warning": "warning", "info": "info"}


@channel(AppriseSettings)
def apprise(settings: AppriseSettings, secret: Secret) -> Send:
    """Return the function that sends with Apprise. Raise E402 without the extra, or for a URL unknown to Apprise."""
    library = _library()
    url = secret(settings.url, "url")
    made = library.Apprise()
    if not made.add(url):
        raise SigcError(
            Diagnostic(
                "E402", "Apprise does not know the service of this url", hint="such as tgram://TOKEN/CHAT; see its wiki"
            )
        )

    def send(message: Message) -> None:
        title, _, body = message.body.partition("\n")
        kind = "success" if message.kind == "resolve" else _TYPES[str(message.severity)]
        is_taken = made.notify(
            body=body, title=title, notify_type=kind, body_format="text", timeout=settings.timeout_seconds
        )
        if not is_taken:
            raise DeliveryError("the service of Apprise did not take the message")

    return send


def _library() -> Any:
    try:
        import apprise as library  # an extra, imported only for a channel of its type
    except ModuleNotFoundError as missing:
        message = "a channel of type apprise needs Apprise, which is not installed"
        raise SigcError(Diagnostic("E402", message, hint="pip install 'sigc-daemon[apprise]'")) from missing
    logging.getLogger("apprise").disabled = True  # it logs URLs, whose parts are secrets
    return library
