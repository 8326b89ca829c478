"""Checks of the alert settings beyond their types: conditions, names of channels and rules, quiet hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sigc.alerts.condition import parse
from sigc.alerts.rules import RULES
from sigc.config.find import Location
from sigc.errors import Diagnostic, SigcError, Span, did_you_mean

_AT = "alerts"


def wrong_alerts(data: Mapping[str, Any], spans: Mapping[Location, Span]) -> Iterator[Diagnostic]:
    """Yield every error with its place. Values of a wrong type are left to the settings' own check."""
    alerts = _section(data, _AT)
    channels = list(_section(alerts, "channels"))
    for severity, names in _section(alerts, "routes").items():
        known = f"no channel of the name '{{}}' is configured ({_AT}.routes.{severity})"
        yield from _unknown(names, channels, known, (_AT, "routes", str(severity)), spans)
    yield from _unknown(alerts.get("disabled"), RULES, "there is no alert rule '{}'", (_AT, "disabled"), spans)
    quiet = _section(alerts, "quiet")
    if bool(quiet.get("begin")) != bool(quiet.get("end")):
        message = "alerts.quiet needs both begin and end"
        yield Diagnostic("E402", message, spans.get((_AT, "quiet")), hint="such as {begin: '22:00', end: '07:00'}")
    yield from _wrong_conditions(alerts, spans)


def _wrong_conditions(alerts: Mapping[str, Any], spans: Mapping[Location, Span]) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    listed = alerts.get("rules")
    for number, entry in enumerate(listed if isinstance(listed, list | tuple) else ()):
        given = entry if isinstance(entry, Mapping) else {}
        at, name, when = (_AT, "rules", str(number)), given.get("name"), given.get("when")
        if isinstance(name, str) and name in seen:
            yield Diagnostic("E402", f"two conditions are named '{name}'", spans.get((*at, "name")))
        seen.add(str(name))
        if isinstance(when, str) and when:
            try:
                parse(when)
            except SigcError as wrong:
                yield from (replace(d, span=spans.get((*at, "when"))) for d in wrong.diagnostics)


def _unknown(
    names: object, known: Iterable[str], message: str, at: Location, spans: Mapping[Location, Span]
) -> Iterator[Diagnostic]:
    there = list(known)
    for number, name in enumerate(names if isinstance(names, list | tuple) else ()):
        if isinstance(name, str) and name not in there:
            hint = did_you_mean(name, there) or (f"there are: {', '.join(there)}" if there else "none is configured")
            yield Diagnostic("E402", message.format(name), spans.get((*at, str(number)), spans.get(at)), hint=hint)


def _section(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}
