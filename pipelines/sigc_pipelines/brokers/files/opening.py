"""The broker of folders from its settings."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from sigc.clock import Clock
from sigc.config.broker_settings import FilesSettings
from sigc.errors import Diagnostic, SigcError
from sigc_pipelines.brokers.files.broker import FolderBroker, FolderPlaces, FolderTerms
from sigc_pipelines.brokers.files.columns import FolderForm


def open_files(settings: FilesSettings, clock: Clock) -> FolderBroker:
    """Return the broker; touches no folder. Raises SigcError E402 for folders or columns that can't be right."""
    outbox, inbox = _folder(settings.outbox, "outbox"), _folder(settings.inbox, "inbox")
    taken = _folder(settings.taken, "taken") if settings.taken else None
    named = [path for path in (outbox, inbox, taken) if path is not None]
    if len({*named}) < len(named):
        message = "broker.files: outbox, inbox and taken must be different folders"
        raise SigcError(Diagnostic("E402", message, hint="give each of them a folder of its own"))
    terms = FolderTerms(
        is_live=settings.is_live,
        step=Decimal(settings.quantity_step),
        shorting=settings.shorting,
        max_age_s=settings.max_age_s,
        ack_wait_s=settings.ack_wait_s,
    )
    form = FolderForm.of(settings.format, settings.columns)
    return FolderBroker(FolderPlaces(outbox, inbox, taken), form, terms, clock)


def _folder(given: str, name: str) -> Path:
    path = Path(given).expanduser()
    if not given or not path.is_absolute():
        message = f"broker.files.{name} is {'not set' if not given else f'no absolute path: {given}'}"
        raise SigcError(Diagnostic("E402", message, hint=f"write broker.files.{name}: /srv/desk/{name}"))
    return path
