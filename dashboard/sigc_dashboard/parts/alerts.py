"""Card of alerts: the open ones, who acknowledged them, and those that no channel has taken yet."""

from __future__ import annotations

from collections.abc import Sequence

from sigc.rpc.messages.alerts import AlertLine, AlertsReply, AlertStatusReply
from sigc.rpc.verb import Role
from sigc_dashboard.daemon_feed import Ask
from sigc_dashboard.html import NONE, Html, join, tag
from sigc_dashboard.parts.buttons import button
from sigc_dashboard.parts.links import link
from sigc_dashboard.parts.tiles import TableRow, badge, nothing, table
from sigc_dashboard.view_api import Look
from sigc_dashboard.words import count, moment

_MOST = 20
ALERTS = Ask("alerts/list", AlertsReply, (("most", _MOST),), every_s=2.0)
ALERT_STATUS = Ask("alerts/status", AlertStatusReply, every_s=2.0)
ASKS = (ALERTS, ALERT_STATUS)
_URGENT = ("critical", "warning", "info")
_TONES = {"critical": "bad", "warning": "warn"}


def name_of(alert: int) -> str:
    """Return what a person types to confirm what is done about an alert."""
    return f"alert {alert}"


def alerts(look: Look) -> Html:
    """Open alerts, the most urgent first, each with the button that acknowledges it; then the channels."""
    found = look.get(ALERTS)
    if found is None:
        return nothing(look.refusal(ALERTS) or "Waiting for the daemon.")
    if not found.alerts:
        return join([nothing("No alert is open."), _channels(look)])
    zone = look.status.zone if look.status is not None else ""
    rows = [_row(look, one, zone) for one in _urgent_first(found.alerts)]
    heads = ("Severity", "What", "Strategy", "Since", "Looked at by", "Control")
    return join([table("Open alerts", heads, rows, has_cards=True), _more(look, len(rows)), _channels(look)])


def _urgent_first(found: Sequence[AlertLine]) -> list[AlertLine]:
    return sorted(found, key=lambda one: (_URGENT.index(one.severity) if one.severity in _URGENT else 3, -one.id))


def _row(look: Look, one: AlertLine, zone: str) -> TableRow:
    repeats = tag("small", f" {count(one.repeats, 'repeat')}", class_="quiet") if one.repeats else NONE
    run = join([" ", link(look.where, "run", one.run, tag("small", one.run))]) if one.run else NONE
    more = tag("details", tag("summary", one.title), tag("p", one.text, class_="text"), data_key=f"text {one.id}")
    what = join([tag("small", f"{one.rule}, {name_of(one.id)}"), repeats, run, more])
    who: object = join([one.who, tag("small", f" {one.reason}", class_="text")]) if one.state != "open" else "nobody"
    ack = button(look, "ack", name_of(one.id), Role.OPERATE, id=str(one.id)) if one.state == "open" else NONE
    severity = badge(one.severity, _TONES.get(one.severity, "plain"))
    return TableRow(str(one.id), (severity, what, one.strategy, moment(one.at, zone, "about"), who, ack))


def _more(look: Look, shown: int) -> Html:
    status = look.get(ALERT_STATUS)
    left = sum(status.open.values()) - shown if status is not None else 0
    return tag("p", f"{left} older ones are open too: sigc alerts list", class_="nothing") if left > 0 else NONE


def _channels(look: Look) -> Html:
    """Draw the number of alerts still to be delivered, and the trouble of each channel."""
    status = look.get(ALERT_STATUS)
    if status is None:
        return NONE
    if not status.channels:
        return tag("p", "No channel is configured: nobody is told. Name one under alerts.channels.", class_="nothing")
    waiting = [one for one in status.channels if one.undelivered]
    if not waiting:
        return tag("p", f"{count(len(status.channels), 'channel')}, none with undelivered alerts.", class_="nothing")
    said = "; ".join(f"{one.name}: {one.undelivered}" + (f" ({one.error})" if one.error else "") for one in waiting)
    number = sum(one.undelivered for one in waiting)
    return tag("p", badge(f"{number} undelivered", "bad"), " ", tag("span", said, class_="text"))
