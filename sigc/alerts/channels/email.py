"""Email over SMTP (RFC 5321), encrypted by STARTTLS unless the settings say otherwise.

`Message-ID` is the same for every try of a message, so that a mailbox can recognise a second copy.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime

from sigc.alerts.channels.declare import DeliveryError, Secret, Send, channel
from sigc.alerts.message import Message
from sigc.config.alert_settings import EmailSettings

_MALFORMED = frozenset({550, 551, 553, 554})  # permanent failures of a recipient or a message


@channel(EmailSettings)
def email(settings: EmailSettings, secret: Secret) -> Send:
    """Return the function that sends a mail."""
    password = secret(settings.password, "password") if settings.password is not None else ""

    def send(message: Message) -> None:
        try:
            with _server(settings) as server:
                if settings.user:
                    server.login(settings.user, password)
                server.send_message(mail(message, settings))
        except smtplib.SMTPResponseException as no:
            said = no.smtp_error.decode("utf-8", "replace") if isinstance(no.smtp_error, bytes) else str(no.smtp_error)
            is_malformed = no.smtp_code in _MALFORMED
            raise DeliveryError(f"{settings.host}: {no.smtp_code} {said}", is_malformed=is_malformed) from no
        except smtplib.SMTPRecipientsRefused as no:
            raise DeliveryError(f"{settings.host}: refused {', '.join(no.recipients)}", is_malformed=True) from no
        except (OSError, smtplib.SMTPException) as failure:
            raise DeliveryError(f"{settings.host}: {failure or type(failure).__name__}") from failure

    return send


def mail(message: Message, settings: EmailSettings) -> EmailMessage:
    """Return a message as a mail."""
    made = EmailMessage()
    made["Subject"] = " ".join(message.subject.split())
    made["From"], made["To"] = settings.sender, ", ".join(settings.to)
    made["Date"] = format_datetime(message.at)
    domain = settings.sender.rpartition("@")[2]
    made["Message-ID"] = f"<{hashlib.sha256(message.key.encode()).hexdigest()[:32]}@{domain}>"
    made["Auto-Submitted"] = "auto-generated"
    if message.severity == "critical":
        made["Importance"] = "high"
    made.set_content(message.body)
    return made


def _server(settings: EmailSettings) -> smtplib.SMTP:
    if settings.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_seconds, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_seconds)
    if settings.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server
