"""Each channel against a server of its kind: what is sent, and what each kind of failure is told as."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from sigc.alerts.channels import makers, open_channel
from sigc.alerts.channels.declare import DeliveryError, Send
from sigc.alerts.message import Message, digest
from sigc.alerts.urgency import Urgency
from sigc.config.alert_settings import ChannelSettings
from sigc.errors import SigcError
from tests.alerts.servers import Hook, hook, mail_server

AT = datetime(2024, 1, 2, 21, 3, tzinfo=UTC)


def message(number: int = 1, **changed: Any) -> Message:
    fields: dict[str, Any] = {
        "key": f"ledger-{number}",
        "about": f"ledger-alert-{number}",
        "kind": "raise",
        "severity": Urgency.CRITICAL,
        "title": "momentum: run failed",
        "text": "prices <b>.csv & more\nLook further: sigc runs show r1",
        "at": AT,
        "daemon": "sigc",
        "rule": "run_failed",
        "strategy": "momentum",
        "run": "r1",
    }
    return Message(**fields | changed)


def channel(**settings: Any) -> Send:
    made = TypeAdapter(ChannelSettings).validate_python(settings)
    return open_channel("ops", made, lambda text, _: text)


@pytest.fixture
def told() -> Iterator[Hook]:
    with hook() as server:
        yield server


def test_every_settings_class_has_a_channel() -> None:
    union = get_args(ChannelSettings)[0]
    assert set(makers()) == set(get_args(union))


def test_webhook(told: Hook) -> None:
    channel(type="webhook", url=f"{told.url}/in?a=b", secret="hunter22")(message())  # noqa: S106
    ((path, headers, body),) = told.got
    assert path == "/in?a=b"
    said = json.loads(body)
    assert said["key"] == headers["Idempotency-Key"] == "ledger-1"
    assert (said["severity"], said["kind"], said["run"], said["alerts"]) == ("critical", "raise", "r1", 1)
    assert said["at"] == "2024-01-02T21:03:00+00:00"
    expected = hmac.new(b"hunter22", body, hashlib.sha256).hexdigest()
    assert headers["X-Sigc-Signature"] == f"sha256={expected}"


def test_slack(told: Hook) -> None:
    told.body = b"ok"
    channel(type="slack", url=f"{told.url}/services/T/B/X")(message())
    (said,) = told.bodies()
    assert said == {
        "text": "[critical] momentum: run failed (sigc)\nprices &lt;b&gt;.csv &amp; more\n"
        "Look further: sigc runs show r1\n2024-01-02 21:03:00 UTC"
    }


def test_pagerduty(told: Hook) -> None:
    told.answers.extend([202, 202])
    send = channel(type="pagerduty", routing_key="R0", url=f"{told.url}/v2/enqueue")
    send(message())
    send(message(2, kind="resolve", about="ledger-alert-1"))
    one, two = told.bodies()
    assert (one["routing_key"], one["event_action"], two["event_action"]) == ("R0", "trigger", "resolve")
    assert one["dedup_key"] == two["dedup_key"] == "ledger-alert-1"
    payload = one["payload"]
    assert (payload["summary"], payload["source"], payload["severity"]) == ("momentum: run failed", "sigc", "critical")
    assert payload["custom_details"]["run"] == "r1"


def test_telegram(told: Hook) -> None:
    send = channel(type="telegram", chat="@ops", url=told.url, token="1:abc")  # noqa: S106
    send(message(text="x" * 9000))
    ((path, _, _),) = told.got
    assert path == "/bot1:abc/sendMessage"
    (said,) = told.bodies()
    assert said["chat_id"] == "@ops"
    assert len(said["text"]) <= 4096
    told.body = b'{"ok": false}'
    with pytest.raises(DeliveryError, match="does not confirm the message"):
        send(message())


def test_email() -> None:
    with mail_server() as box:
        send = channel(
            type="email",
            host="127.0.0.1",
            port=box.port,
            security="none",
            sender="sigc@example.com",
            to=["a@example.com", "b@example.com"],
        )
        send(message(title="line\nbreak"))
        send(message(title="line\nbreak"))
        first, second = (email.message_from_string(text, policy=email.policy.default) for text in box.mails)
        assert first["Subject"] == "[critical] line break (sigc)"
        assert first["To"] == "a@example.com, b@example.com"
        assert first["Message-ID"] == second["Message-ID"]
        assert first["Message-ID"].endswith("@example.com>")
        assert "sigc runs show r1" in first.get_content()
        assert sum(command.upper().startswith("RCPT") for command in box.commands) == 4
        box.refuses = "550 no such user"
        with pytest.raises(DeliveryError, match="refused") as refused:
            send(message())
        assert refused.value.is_malformed
        box.refuses = "451 try later"
        with pytest.raises(DeliveryError) as later:
            send(message())
        assert later.value.is_malformed  # every recipient was refused; tried five times before it is given up


def test_a_mail_server_without_encryption_gets_no_mail_in_clear() -> None:
    with mail_server() as box:
        send = channel(
            type="email",
            host="127.0.0.1",
            port=box.port,
            sender="a@b.c",
            to=["d@e.f"],
            user="ann",
            password="hunter22",  # noqa: S106
        )
        with pytest.raises(DeliveryError, match="STARTTLS"):
            send(message())
        assert not box.mails
        assert not any("hunter22" in command or command.startswith("AUTH") for command in box.commands)


@pytest.mark.parametrize(
    ("answer", "wait", "is_malformed"),
    [
        (500, None, False),
        (502, None, False),
        ((429, {"Retry-After": "7"}), 7.0, False),
        ((503, {"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}), 0.0, False),
        ((429, {"Retry-After": "soon"}), None, False),
        (400, None, True),
        (413, None, True),
        (401, None, False),
        ((302, {"Location": "http://127.0.0.1:1/elsewhere"}), None, False),
    ],
)
def test_how_an_answer_is_told(told: Hook, answer: Any, wait: float | None, is_malformed: bool) -> None:
    told.answers.append(answer)
    with pytest.raises(DeliveryError, match="127.0.0.1 answered") as failure:
        channel(type="webhook", url=told.url)(message())
    assert (failure.value.retry_after_s, failure.value.is_malformed) == (wait, is_malformed)
    assert len(told.got) == 1  # no redirect is followed


def test_a_server_that_is_down_or_drips_is_left_in_time(told: Hook) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        """One byte now and then: no read ever times out by itself."""
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2000:
            try:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
            except OSError:
                return
            written.append(byte)
            time.sleep(0.02)

    written: list[int] = []
    told.answers.append(drip)
    with pytest.raises(DeliveryError):
        channel(type="webhook", url=told.url, timeout_seconds=0.3)(message())
    assert len(written) < 1000  # it was left while the answer, of 40 seconds, was coming
    with pytest.raises(DeliveryError, match="refused"):
        channel(type="webhook", url="http://127.0.0.1:9/", timeout_seconds=1)(message())


def test_no_secret_is_in_an_error() -> None:
    send = channel(type="telegram", chat="5", url="http://127.0.0.1:9", token="1:hunter22")  # noqa: S106
    with pytest.raises(DeliveryError) as failure:
        send(message())
    assert "hunter22" not in str(failure.value)


def test_a_digest_says_how_many_and_the_most_urgent_first() -> None:
    many = [message(n, severity=Urgency.INFO, rule="did_not_run", title=f"job {n}") for n in range(36)]
    many += [message(99, title="halted", rule="halted"), message(100, kind="resolve", rule="halted")]
    made = digest(many, "k")
    assert made.title == "38 more alerts: 36 did_not_run, 1 halted, 1 halted resolved"
    assert made.severity == "critical"
    assert made.text.splitlines()[0].startswith("- [critical] halted")
    assert "- and 28 more" in made.text
    assert (made.key, made.number) == ("k", 38)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what Apprise imports
def test_apprise_posts_to_the_service_of_its_url(told: Hook) -> None:
    send = channel(type="apprise", url=told.url.replace("http://", "json://"), timeout_seconds=5)
    send(message())
    send(message(2, kind="resolve", text="it is over"))
    first, second = told.bodies()
    assert first["title"] == "[critical] momentum: run failed (sigc)"
    assert first["message"].startswith("prices <b>.csv & more\nLook further: sigc runs show r1")
    assert (first["type"], second["type"]) == ("failure", "success")
    told.answers.append(500)
    with pytest.raises(DeliveryError, match="did not take the message"):
        send(message(3))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what Apprise imports
def test_apprise_is_an_extra_and_its_url_is_judged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SigcError, match="Apprise does not know the service of this url"):
        channel(type="apprise", url="nonsense://hunter22")
    assert "hunter22" not in caplog.text
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SigcError, match="not installed") as missing:
        channel(type="apprise", url="json://localhost")
    assert "sigc-daemon[apprise]" in str(missing.value.diagnostics[0].hint)
