"""Times in texts: each names its zone, and none is in UTC where the configured zone is known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_ISO = re.compile(r"\{[^{}\n]*isoformat\(timespec=[^{}\n]*\}")
_TIME = re.compile(r"%H:%M(?::%S)?(?P<zone>[^}\"']{0,6})")
_PRODUCT = [
    path for folder in ("sigc", "cli", "pipelines", "dashboard") for path in sorted((ROOT / folder).rglob("*.py"))
]
# UTC is what the time is in there: a broker's file, a certificate.
_IN_UTC = {"pipelines/sigc_pipelines/brokers/files/answers.py", "sigc/daemon/alerting/certificate.py"}
_ELSEWHERE = {
    "cli/sigc_cli/text/run_view.py",  # in the head of the column
    "dashboard/sigc_dashboard/words.py",  # beside the time, by the page itself
    "sigc/daemon/reconcile_loop.py",  # an example
}


def faults(path: str, text: str) -> list[str]:
    """The times of a text that do not name their zone, or are in UTC."""
    found = _ISO.findall(text)
    for match in _TIME.finditer(text):
        rest = text[match.end("zone") - len(match["zone"]) : match.end("zone") + 6]
        is_utc = rest.startswith("} UTC")
        if not (match["zone"].startswith(" %Z") or (is_utc and path in _IN_UTC)):
            found.append(match[0])
    return found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('f"{at:%H:%M %Z}"', 0),
        ('f"{at:%Y-%m-%d %H:%M:%S %Z}"', 0),
        ('f"{at:%H:%M}"', 1),
        ('f"{at:%H:%M:%S} UTC"', 1),
        ('f"of {a.isoformat(timespec=1)}"', 1),
    ],
)
def test_a_time_without_its_zone_or_in_utc_is_found(text: str, count: int) -> None:
    assert len(faults("sigc/a.py", text)) == count


def test_a_certificate_ends_in_utc() -> None:
    assert faults("sigc/daemon/alerting/certificate.py", 'f"{at:%H:%M} UTC"') == []


def test_every_time_of_a_text_names_its_zone() -> None:
    assert len(_PRODUCT) > 500
    told = {
        str(path.relative_to(ROOT)): faults(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in _PRODUCT
    }
    assert {path: found for path, found in told.items() if found and path not in _ELSEWHERE} == {}


def test_no_count_has_both_a_singular_and_a_plural() -> None:
    both = re.compile(r"\} [a-z ]+\((?:s|es|ies)\)")
    assert both.findall('f"{len(x)} open order(s)"') == ["} open order(s)"]
    found = {path.name: both.findall(path.read_text("utf-8")) for path in _PRODUCT}
    assert {name: hits for name, hits in found.items() if hits} == {}
