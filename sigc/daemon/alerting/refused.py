"""A daemon that does not start tells so, past the outbox that it could not open: once, not once a try.

    with told_if_refused(options, environment): ...     what keeps it from starting is told, and raised on
    started(start, environment)                         it is ready: the end is told, if anything was

What was told is remembered in the work dir (in the runtime dir, where that has no room): the codes of the errors, and
the boot of the machine. The same errors in the same boot are not told again until a start has succeeded.
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
    """Tell what the body raises, and raise it on. Another daemon that runs already is nothing to tell.

    is_ready: whether the daemon had started when it ended: other words, the same rule.
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
    """Tell that it is over, if a refused start was told. Takes as long as the channels do: for a thread."""
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
    except Exception:  # what kept it from starting is what is raised, whatever happens here
        log.exception("a refused start can't be told")


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
    said = f"{text[: _MOST_TEXT // 2]}\nNothing runs until this is mended.\nLook further: {look}"
    said = explained(said, RULE, _MOST_TEXT)
    message = Message(
        about, about, "raise", Urgency.CRITICAL, ENDED if has_started else NO_START, said, now, name, RULE
    )
    _send(message, settings, secrets, environment)


def _send(message: Message, settings: AlertSettings | None, secrets: Secrets, environment: Mapping[str, str]) -> None:
    """Over every channel of its severity at once; one that can't be opened, or does not take it, is logged."""
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
                log.error("channel can't be opened: %s", error, extra={"channel": name})
    if not opened:
        return
    hidden = replace(message, text=secrets.hide(message.text))
    with ThreadPoolExecutor(len(opened)) as threads:
        for channel, failure in zip(opened, threads.map(lambda one: attempt(one, hidden), opened), strict=True):
            if failure is not None:
                why = secrets.hide(str(failure))
                log.error("a refused start is not told: %s", why, extra={"channel": channel.name})


def _settings(options: StartOptions, environment: Mapping[str, str]) -> AlertSettings | None:
    """The section `alerts`, whatever else is wrong with the file; None when that itself can't be read."""
    try:
        path = find(options.config, environment)
        data = read(path, environment).data if path is not None else {}
        return AlertSettings.model_validate(data.get("alerts") or {})
    except (SigcError, ValidationError) as failure:
        log.error("a refused start can't be told: the settings of alerts can't be read: %s", type(failure).__name__)
        return None


def _places(options: StartOptions, environment: Mapping[str, str], work_dir: Path | None) -> tuple[Path, ...]:
    """Where it is remembered: the work dir, else the runtime dir."""
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
    """Remember it in the first place that takes it; False when it is remembered already."""
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
