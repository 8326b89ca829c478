"""Jobs read from the entries of a configuration, with all errors at once.

    - {name: signals, kind: compute, trigger: "0 9 * * 1-5", jitter_s: 30}
    - {name: trade, kind: execute, trigger: open+5m, depends_on: [signals], deadline_s: 1800, conditions: [market_open]}

`read_jobs` returns the valid jobs and the diagnostics of the others: E401 for unknown keys, E402 for invalid
values, duplicate names, unknown dependencies and circular ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TypeVar

from sigc.errors import Diagnostic, SigcError, Span, did_you_mean
from sigc.schedule.job import Condition, Job, JobKind, MarketWindow, Misfire, Overlap
from sigc.schedule.triggers import Trigger, check_zone, parse_relative, parse_trigger

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_KEYS = tuple(f.name for f in fields(Job))
_MOST_RETRIES = 100
_LONGEST_S = 366 * 86_400.0
_WINDOW = "market_hours, or such as open-30m..close"
Places = Callable[[int, str], Span | None]  # the place of a key in the entry of that number (from 0); '': the entry


@dataclass(frozen=True, slots=True)
class JobDefaults:
    """The defaults that a job entry takes from the schedule."""

    zone: str = "America/New_York"
    calendar: str = "nyse"
    skip_holidays: bool = True


def nowhere(number: int, key: str) -> Span | None:  # noqa: ARG001
    """Return None: the entry is in no file."""
    return None


def read_jobs(
    entries: Sequence[Mapping[str, object]], defaults: JobDefaults | None = None, places: Places = nowhere
) -> tuple[tuple[Job, ...], tuple[Diagnostic, ...]]:
    """Return the jobs of `entries` in their order, and every error in them."""
    wrong: list[Diagnostic] = []
    jobs: dict[str, Job] = {}
    numbers: dict[str, int] = {}
    for number, values in enumerate(entries):
        entry = _entry(values, number, places, wrong)
        job = _job(entry, number, defaults or JobDefaults())
        if job.name in jobs:
            message, hint = f"two jobs are named '{job.name}'", "give each a name of its own"
            wrong.append(Diagnostic("E402", message, places(number, "name"), hint=hint))
        jobs.setdefault(job.name, job)
        numbers.setdefault(job.name, number)
    wrong += check_dependencies(jobs.values(), lambda name: places(numbers[name], "depends_on"))
    return tuple(jobs.values()), tuple(wrong)


def check_dependencies(
    jobs: Iterable[Job], place: Callable[[str], Span | None] = lambda _: None
) -> tuple[Diagnostic, ...]:
    """Return an E402 for each unknown dependency and each circle. place: where a job names its dependencies.

    >>> a, b = Job("a", depends_on=("b",)), Job("b", depends_on=("a",))
    >>> [d.message for d in check_dependencies([a, b])]
    ['jobs depend on each other in a circle: a -> b -> a']
    """
    needs = {job.name: job.depends_on for job in sorted(jobs, key=lambda job: job.name)}
    unknown = [
        Diagnostic(
            "E402", f"job '{name}' depends on '{other}', an unknown job", place(name), hint=did_you_mean(other, needs)
        )
        for name, others in needs.items()
        for other in others
        if other not in needs
    ]
    circles: list[Diagnostic] = []
    told: set[str] = set()
    for name in needs:
        path = [] if name in told else _way_back(name, needs)
        if path:
            told.update(path)
            message = f"jobs depend on each other in a circle: {' -> '.join([*path, name])}"
            circles.append(Diagnostic("E402", message, place(name), hint="take one of these dependencies out"))
    return (*unknown, *circles)


def _way_back(start: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the shortest way from `start` along dependencies back to it, empty if there is none."""
    ways, seen = [[start]], {start}
    while ways:
        longer = []
        for way in ways:
            for other in needs.get(way[-1], ()):
                if other == start:
                    return way
                if other not in seen:
                    seen.add(other)
                    longer.append([*way, other])
        ways = longer
    return []


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry as it is read. An invalid value is added to `wrong` and replaced by its default."""

    values: Mapping[str, object]
    label: str
    wrong: list[Diagnostic] = field(repr=False)
    place: Callable[[str], Span | None] = field(repr=False)

    def tell(self, key: str, message: str, expected: str = "", hint: str = "", code: str = "E402") -> None:
        found = Diagnostic(code, f"{message} in {self.label}", self.place(key), expected=expected, hint=hint)
        self.wrong.append(found)

    def text(self, key: str, default: str) -> str:
        given = self.values.get(key, default)
        if isinstance(given, str):
            return given
        self.tell(key, f"'{key}: {given}' is not a text", hint="put it in quotes")
        return default

    def flag(self, key: str, default: bool) -> bool:
        given = self.values.get(key, default)
        if isinstance(given, bool):
            return given
        self.tell(key, f"'{key}: {given}' is not true or false")
        return default

    def number(self, key: str, default: float, low: float = 0.0, high: float = _LONGEST_S) -> float:
        given = self.values.get(key, default)
        # YAML's true is an int in Python; NaN fails both comparisons.
        if isinstance(given, int | float) and not isinstance(given, bool) and low <= given <= high:
            return given
        self.tell(key, f"invalid '{key}: {given}'", expected=f"a number from {low:g} to {high:g}")
        return default

    def choice(self, key: str, kinds: type[E], default: T) -> E | T:
        given = self.values.get(key)
        if given is None:
            return default
        known = [str(k) for k in kinds]
        if given in known:
            return kinds(str(given))
        self.tell(key, f"invalid '{key}: {given}'", " or ".join(known), did_you_mean(str(given), known))
        return default

    def names(self, key: str) -> tuple[str, ...]:
        given = self.values.get(key, ())
        if isinstance(given, str):
            return (given,)
        if isinstance(given, Iterable):
            listed = tuple(given)
            if all(isinstance(name, str) for name in listed):
                return tuple(dict.fromkeys(str(name) for name in listed))
        self.tell(key, f"'{key}: {given}' is not a list of names")
        return ()

    def parsed(self, key: str, read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except SigcError as bad:
            for found in bad.diagnostics:
                self.tell(key, found.message, found.expected, found.hint)
            return default


def _entry(values: Mapping[str, object], number: int, places: Places, wrong: list[Diagnostic]) -> _Entry:
    name = values.get("name")
    label = f"job '{name}'" if isinstance(name, str) else f"the job at place {number + 1}"
    return _Entry(values, label, wrong, lambda key: places(number, key) or places(number, ""))


def _job(entry: _Entry, number: int, defaults: JobDefaults) -> Job:
    name = entry.values.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        entry.tell("name", "invalid name", expected="small letters, digits, - and _, beginning with a letter")
        name = f"job-{number + 1}"
    for key in entry.values:
        if key not in _KEYS:
            entry.tell(str(key), f"unknown key '{key}'", hint=did_you_mean(str(key), _KEYS), code="E401")
    kind = entry.choice("kind", JobKind, JobKind.COMPUTE)
    named = entry.text("zone", defaults.zone)
    zone = entry.parsed("zone", lambda: check_zone(named), "UTC")
    deadline = entry.values.get("deadline_s")
    retries = entry.number("retries", 0, high=_MOST_RETRIES)
    if retries != int(retries):
        entry.tell("retries", f"'retries: {retries}' is not a whole number")
    if retries and kind is JobKind.EXECUTE:
        entry.tell("retries", "an execute job is never tried again, so it takes no 'retries'", hint="take retries out")
    depends_on = entry.names("depends_on")
    if entry.values.get("trigger") is None and not depends_on:
        entry.tell("", "no trigger", hint="give trigger: or depends_on:")
    conditions = [_condition(entry, c) for c in entry.names("conditions")]
    return Job(
        name,
        kind,
        _trigger(entry, zone),
        zone,
        entry.text("calendar", defaults.calendar),
        entry.flag("skip_holidays", defaults.skip_holidays),
        _window(entry),
        frozenset(c for c in conditions if c is not None),
        depends_on,
        0 if kind is JobKind.EXECUTE else int(retries),
        entry.number("backoff_s", 30.0),
        None if deadline is None else entry.number("deadline_s", 0.0, low=1.0),
        entry.number("jitter_s", 0.0, high=86_400.0),
        entry.choice("misfire", Misfire, None),
        entry.number("misfire_window_s", 86_400.0),
        entry.number("grace_s", 60.0),
        entry.choice("overlap", Overlap, Overlap.SKIP),
        entry.flag("enabled", True),
        entry.text("strategy", ""),
        _command(entry, kind),
    )


def _command(entry: _Entry, kind: JobKind) -> tuple[str, ...]:
    given = entry.values.get("command")
    if (given is not None) != (kind is JobKind.SCRIPT):
        told = "a script job needs 'command'" if kind is JobKind.SCRIPT else "only a script job takes 'command'"
        entry.tell("command", told, expected="kind: script, command: [program, argument, ...]")
        return ()
    if given is None:
        return ()
    if isinstance(given, list) and given and all(isinstance(part, str) and part for part in given):
        return tuple(given)
    entry.tell("command", f"'command: {given}' is not a list of texts", expected="[program, argument, ...]")
    return ()


def _trigger(entry: _Entry, zone: str) -> Trigger | None:
    if entry.values.get("trigger") is None:
        return None
    text = entry.text("trigger", "")
    return (
        entry.parsed("trigger", lambda: parse_trigger(text, zone), None)
        if isinstance(entry.values["trigger"], str)
        else None
    )


def _window(entry: _Entry) -> MarketWindow | None:
    text = entry.text("window", "") if entry.values.get("window") is not None else ""
    if text in ("", "market_hours"):
        return MarketWindow() if text else None
    start, dots, end = text.partition("..")
    if not dots:
        entry.tell("window", f"invalid 'window: {text}'", expected=_WINDOW)
        return None
    return entry.parsed("window", lambda: MarketWindow(parse_relative(start), parse_relative(end)), None)


def _condition(entry: _Entry, name: str) -> Condition | None:
    known = [str(c) for c in Condition]
    if name in known:
        return Condition(name)
    entry.tell("conditions", f"invalid '{name}' in 'conditions'", " or ".join(known), did_you_mean(name, known))
    return None
