"""Alpaca from its settings: address and keys."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from sigc.clock import Clock
from sigc.config.broker_settings import AlpacaSettings
from sigc.config.secret import reveal
from sigc.errors import Diagnostic, SigcError

if TYPE_CHECKING:
    from sigc_pipelines.brokers.alpaca.broker import AlpacaBroker

URLS = {"paper": "https://paper-api.alpaca.markets", "live": "https://api.alpaca.markets"}
_OURS = ("127.0.0.1", "localhost", "::1")
_EXTRA = 'pip install "sigc-daemon[alpaca]"'


def open_alpaca(settings: AlpacaSettings, clock: Clock, *, timeout_s: float, connections: int) -> AlpacaBroker:
    """Return the broker; makes no request. Raise E402 for keys that are missing, an address that can't be right, or
    a package that is not installed.
    """
    url = _url(settings)
    key_id = _key(settings.key_id, "key_id", settings.account)
    secret_key = _key(settings.secret_key, "secret_key", settings.account)
    try:
        from sigc_pipelines.brokers.alpaca.broker import AlpacaBroker
        from sigc_pipelines.brokers.alpaca.client import AlpacaClient
    except ModuleNotFoundError as missing:
        raise SigcError(Diagnostic("E402", "broker.type: alpaca needs the package httpx", hint=_EXTRA)) from missing
    per_minute = settings.requests_per_minute
    client = AlpacaClient(url, key_id, secret_key, timeout_s=timeout_s, per_minute=per_minute, connections=connections)
    step, is_live = Decimal(settings.quantity_step), settings.account == "live"
    return AlpacaBroker(client, clock, is_live=is_live, step=step, per_minute=per_minute)


def _url(settings: AlpacaSettings) -> str:
    url = settings.base_url or URLS[settings.account]
    host, scheme = urlsplit(url).hostname, urlsplit(url).scheme
    owner = next((kind for kind, address in URLS.items() if host == urlsplit(address).hostname), settings.account)
    if owner != settings.account:
        message = f"broker.alpaca.base_url is the address of {owner} accounts, and the account is {settings.account}"
        raise SigcError(Diagnostic("E402", message, hint="leave base_url out"))
    if scheme != "https" and host not in _OURS:
        message = f"broker.alpaca.base_url: {url} would send the keys unencrypted"
        raise SigcError(Diagnostic("E402", message, hint="write https://"))
    return url.rstrip("/")


def _key(given: SecretStr | None, name: str, account: str) -> str:
    setting = f"broker.alpaca.{name}"
    found = reveal(given.get_secret_value(), setting, os.environ) if given is not None else ""
    if not found:
        hint = f"make keys of the {account} account on Alpaca's page, and write {setting}: file:PATH"
        raise SigcError(Diagnostic("E402", f"{setting} is not set", hint=hint))
    if not found.isascii() or not found.isprintable():
        raise SigcError(Diagnostic("E402", f"{setting} is not a key: it has characters that no header may have"))
    return found
