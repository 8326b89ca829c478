"""Alerts of a daemon that does not start, sent past the outbox that it could not open: once, not at every try.

    with told_if_refused(options, environment): ...     an error that keeps it from starting is sent, then raised on
    started(start, environment)                         the daemon is ready: the alert ends, if one was sent

A file in the work dir (in the runtime dir if that is full) remembers what was sent: the codes of the errors and the
boot of the machine. The same errors in the same boot are not sent again until a start has succeeded.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from sigc.alerts.channels import open_channel
from sigc.alerts.message import Message
from sigc.alerts.urgency import Urgency
from sigc.alerts.words import explained
from sigc.config.alert_settings import AlertSettings
from sigc.config.find import find
from sigc.config.read import read
from sigc.config.secret import reveal
from sigc.daemon.alerting.courier import OpenChannel, attempt
from sigc.daemon.lifecycle.start import Start, StartOptions
from sigc.errors import SigcError
from sigc.host.instance import DEFAULT, instance_name, places
from sigc.host.redact import Secrets

REMEMBERED = "refused-start.json"
RULE = "start_refused"
NO_START, ENDED = "the daemon does not start", "the daemon has ended by an error"
_RUNS_ALREADY = "E311"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MOST_TEXT = 4000
log = logging.getLogger("sigc.daemon")


@contextlib.contextmanager
def told_if_refused(
    options: StartOptions, environment: Mapping[str, str], is_ready: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Send an alert of the error that the body raises, and raise it on. Another running daemon is no error to send.

    is_ready: True if the daemon had started before it ended: the same rule, another title.
    """
    try:
        yield
    except SigcError as error:
        if error.diagnostics[0].code != _RUNS_ALREADY:
            _tell_safely(options, environment, [d.code for d in error.diagnostics], str(error), is_ready())
        raise
    except Exception as mistake:
        codes, said = [type(mistake).__name__], f"{type(mistake).__name__}: {mistake}"
        _tell_safely(options, environment, codes, said, is_ready())
        raise


def started(start: Start, environment: Mapping[str, str]) -> None:
    """End the alert of a refused start, if one was sent. As slow as the channels: call it in a thread."""
    for place in _places(start.options, environment, start.places.work_dir):
        about = _about(place)
        if about:
            with contextlib.suppress(OSError):
                (place / REMEMBERED).unlink()
            now = datetime.now(UTC)
            title, text = "the daemon did not run", "it is over\nthe daemon has started"
            own = Message(f"{about}-over", about, "resolve", Urgency.CRITICAL, title, text, now, start.name, RULE)
            _send(own, _settings(start.options, environment), Secrets(), environment)
            return


def _tell_safely(
    options: StartOptions, environment: Mapping[str, str], codes: list[str], text: str, has_started: bool
) -> None:
    try:
        _tell(options, environment, codes, text, has_started)
    except Exception:  # must not hide the error that kept the daemon from starting
        log.exception("can't send the alert of a refused start")


def _tell(
    options: StartOptions, environment: Mapping[str, str], codes: list[str], text: str, has_started: bool
) -> None:
    settings = _settings(options, environment)
    if settings is None or not settings.channels:
        return
    path = find(options.config, environment)
    now, name = datetime.now(UTC), instance_name(options.name, path)
    about = f"{name}-{RULE}-{now.isoformat()}"
    kept = {"codes": sorted(set(codes)), "boot": _boot(), "about": about}
    if not _is_news(_places(options, environment, None), kept):
        return
    secrets = Secrets()
    secrets.add_all(read(path, environment).secrets if path is not None else ())
    where = f" --config {path}" if path is not None else ""
    look = "sigc audit verify" if "E310" in codes else f"sigc config validate{where}"
    said = f"{text[: _MOST_TEXT // 2]}\nNothing runs until this is fixed.\nLook further: {look}"
    said = explained(said, RULE, _MOST_TEXT)
    message = Message(
        about, about, "raise", Urgency.CRITICAL, ENDED if has_started else NO_START, said, now, name, RULE
    )
    _send(message, settings, secrets, environment)


def _send(message: Message, settings: AlertSettings | None, secrets: Secrets, environment: Mapping[str, str]) -> None:
    """Send over every channel of its severity at once. A channel that fails is logged."""
    if settings is None:
        return
    wanted = settings.routes.critical

    def secret(text: str, key: str) -> str:
        found = reveal(text, key, environment)
        secrets.add(found)
        return found

    opened: list[OpenChannel] = []
    for name, own in settings.channels.items():
        if wanted is None or name in wanted:
            try:
                opened.append(OpenChannel(name, own.per_minute, open_channel(name, own, secret)))
            except SigcError as error:
                log.error("can't open the channel: %s", error, extra={"channel": name})
    if not opened:
        return
    hidden = replace(message, text=secrets.hide(message.text))
    # All at once: the process ends after this, and a channel that hangs must not delay the others.
    with ThreadPoolExecutor(len(opened)) as threads:
        for channel, failure in zip(opened, threads.map(lambda one: attempt(one, hidden), opened), strict=True):
            if failure is not None:
                why = secrets.hide(str(failure))
                log.error("can't send the alert of a refused start: %s", why, extra={"channel": channel.name})


def _settings(options: StartOptions, environment: Mapping[str, str]) -> AlertSettings | None:
    """Return the section `alerts`, even if other sections are invalid; None if it can't be read."""
    try:
        path = find(options.config, environment)
        data = read(path, environment).data if path is not None else {}
        return AlertSettings.model_validate(data.get("alerts") or {})
    except (SigcError, ValidationError) as failure:
        log.error("can't send the alert of a refused start: invalid settings of alerts: %s", type(failure).__name__)
        return None


def _places(options: StartOptions, environment: Mapping[str, str], work_dir: Path | None) -> tuple[Path, ...]:
    """Return the folders of the memory: the work dir, then the runtime dir."""
    path = find(options.config, environment)
    base = places(instance_name(options.name, path) or DEFAULT, environment, os.getuid())
    if work_dir is None:
        section = read(path, environment).data.get("daemon") if path is not None else None
        given = environment.get("SIGC_DAEMON__WORK_DIR") or (
            section.get("work_dir") if isinstance(section, Mapping) else None
        )
        work_dir = options.work_dir or (Path(given).expanduser() if isinstance(given, str) and given else None)
    return (work_dir or base.work_dir, base.runtime_dir)


def _is_news(where: tuple[Path, ...], kept: Mapping[str, object]) -> bool:
    """Remember the alert in the first folder that takes it. Return False if it is remembered already."""
    for place in where:
        known = _kept(place)
        if known and (known.get("codes"), known.get("boot")) == (kept["codes"], kept["boot"]):
            return False
    for place in where:
        with contextlib.suppress(OSError):
            new = place / f"{REMEMBERED}.new"
            new.write_text(json.dumps(kept), "utf-8")
            new.replace(place / REMEMBERED)
            break
    return True


def _kept(place: Path) -> Mapping[str, object]:
    try:
        found = json.loads((place / REMEMBERED).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _about(place: Path) -> str:
    return str(_kept(place).get("about", ""))


def _boot() -> str:
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""
