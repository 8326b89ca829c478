"""A configuration as the daemon uses it: strategies with their files, jobs, a digest; errors with their places.

    loaded = load_config(path, environment, overrides, examine)     every error at once, those of jobs too
    configured(loaded)                                              strategies and jobs as values

A strategy's own `schedule` is a job of the strategy's name that rebalances it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigc.config.find import Location
from sigc.daemon.configured.alert_entries import wrong_alerts
from sigc.daemon.configured.job_entries import JobDefaults, read_jobs
from sigc.errors import Diagnostic, SigcError, Span, did_you_mean
from sigc.schedule.job import TRADING, Job, JobKind
from sigc.schedule.triggers import check_zone
from sigc.store.ledger.records import UNASSIGNED

if TYPE_CHECKING:
    from sigc.config.check import LoadedConfig
    from sigc.daemon.runner import StrategyEntry

_SHOWN = 10  # names listed in a hint
_OF_A_STRATEGY = TRADING | {JobKind.COMPUTE}
Spans = Mapping[Location, Span]


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration as the daemon uses it. roots: folders whose strategy files may be run."""

    loaded: LoadedConfig
    strategies: tuple[StrategyEntry, ...]
    jobs: tuple[Job, ...]
    roots: tuple[Path, ...]
    digest: str

    def strategy(self, name: str) -> StrategyEntry | None:
        """Return the strategy of that name, None if there is none."""
        return next((s for s in self.strategies if s.name == name), None)


def configured(loaded: LoadedConfig) -> Configured:
    """Return a configuration as values. `examine` must have passed."""
    from sigc.daemon.runner import StrategyEntry

    data = loaded.config.model_dump(mode="json", by_alias=True)
    base = folder(loaded)
    strategies = tuple(
        StrategyEntry(s.name, _file(base, s.file), s.portfolio, s.enabled, s.capital, dict(sorted(s.params.items())))
        for s in loaded.config.strategies
    )
    entries, _ = _entries(data)
    jobs, _ = read_jobs([entry for entry, _ in entries], _defaults(data))
    enabled = {s.name: s.enabled for s in strategies}
    named = (replace(job, strategy=_strategy_of(job, enabled)) for job in jobs)
    # A disabled strategy disables its jobs.
    own = tuple(replace(job, enabled=job.enabled and enabled.get(job.strategy, True)) for job in named)
    more = (Path(root).expanduser() for root in loaded.config.daemon.strategy_roots)
    roots = {base, *(base / root for root in more), *(s.file.parent for s in strategies)}
    # Secrets are masked in this dump, so the digest tells nothing about them.
    text = json.dumps(data, sort_keys=True, default=str)
    resolved = tuple(sorted(root.resolve() for root in roots))
    return Configured(loaded, strategies, own, resolved, hashlib.sha256(text.encode()).hexdigest())


def name_of(file: Path) -> str:
    """Return the name of a strategy that is not configured, made from its file's name.

    >>> name_of(Path("strategies/2_Momentum US.sig"))
    'momentum-us'
    """
    return re.sub(r"[^a-z0-9_-]", "-", file.stem.lower()).lstrip("-_0123456789")[:63] or "strategy"


def folder(loaded: LoadedConfig) -> Path:
    """Return the folder of relative strategy paths: the configuration's folder, else the working directory."""
    return Path.cwd() if loaded.path is None else loaded.path.absolute().parent


def examine(data: Mapping[str, Any], spans: Spans) -> list[Diagnostic]:
    """Return the errors of strategies, jobs and alerts beyond the types of their settings."""
    entries, names = _entries(data)

    def place(number: int, key: str) -> Span | None:
        at = entries[number][1]
        return spans.get((*at, "schedule" if at[0] == "strategies" and key == "trigger" else key) if key else at)

    defaults, bad_zone = _defaults(data), []
    try:
        check_zone(defaults.zone)
    except SigcError as unknown:
        bad_zone = [replace(d, span=spans.get(("schedule", "timezone"))) for d in unknown.diagnostics]
        defaults = replace(defaults, zone="UTC")  # else every job would report the same zone again
    jobs, wrong = read_jobs([entry for entry, _ in entries], defaults, place)
    found = [*bad_zone, *wrong, *_badly_named(names, spans), *_without_strategy(jobs, names, place)]
    return [*found, *wrong_alerts(data, spans)]


def _entries(data: Mapping[str, Any]) -> tuple[list[tuple[Mapping[str, object], Location]], dict[str, list[Location]]]:
    """Return every job's entry with its place, strategies' own schedules first; and places of strategies by name."""
    found: list[tuple[Mapping[str, object], Location]] = []
    names: dict[str, list[Location]] = {}
    for at, entry in _mappings(data, "strategies"):
        name, schedule = entry.get("name"), entry.get("schedule")
        if isinstance(name, str):
            names.setdefault(name, []).append(at)
            if isinstance(schedule, str) and schedule:
                own = {"name": name, "kind": "rebalance", "trigger": schedule, "strategy": name}
                found.append((own, at))
    found += [(entry, at) for at, entry in _mappings(data, "schedule", "jobs")]
    return found, names


def _mappings(data: Mapping[str, Any], *keys: str) -> Iterator[tuple[Location, Mapping[str, object]]]:
    listed: Any = data
    for key in keys:
        listed = listed.get(key) if isinstance(listed, Mapping) else None
    for number, entry in enumerate(listed if isinstance(listed, list | tuple) else ()):
        if isinstance(entry, Mapping):
            yield (*keys, str(number)), entry


def _defaults(data: Mapping[str, Any]) -> JobDefaults:
    given = data.get("schedule")
    schedule: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    base = JobDefaults()
    zone, calendar = schedule.get("timezone", base.zone), schedule.get("calendar", base.calendar)
    skip = schedule.get("skip_holidays", base.skip_holidays)
    # The settings' own check reports values of a wrong type.
    return JobDefaults(
        zone if isinstance(zone, str) else base.zone,
        calendar if isinstance(calendar, str) else base.calendar,
        skip if isinstance(skip, bool) else base.skip_holidays,
    )


def _badly_named(names: Mapping[str, list[Location]], spans: Spans) -> list[Diagnostic]:
    taken = [
        Diagnostic("E402", f"'{name}' is the book of what nobody claims", spans.get((*at, "name")), hint="another name")
        for name, places in names.items()
        for at in places
        if name == UNASSIGNED.strategy
    ]
    return taken + [
        Diagnostic("E402", f"two strategies are named '{name}'", spans.get((*at, "name")))
        for name, places in names.items()
        for at in places[1:]
    ]


def _without_strategy(jobs: tuple[Job, ...], names: Mapping[str, list[Location]], place: Any) -> list[Diagnostic]:
    found = []
    for number, job in enumerate(jobs):
        name = _strategy_of(job, names)
        if name not in names and (name or job.kind in _OF_A_STRATEGY):
            what = f"is for the strategy '{name}', which is not configured" if name else "names no strategy"
            hint = did_you_mean(name or job.name, names) or "add it under strategies:"
            found.append(Diagnostic("E402", f"job '{job.name}' {what}", place(number, "strategy"), hint=hint))
    return found


def _strategy_of(job: Job, names: Mapping[str, object]) -> str:
    """Return the strategy of a job: the one it names, else the one with the job's own name."""
    return job.strategy or (job.name if job.name in names else "")


def _file(base: Path, given: str) -> Path:
    return base / Path(given).expanduser()


def instead_of_job(name: str, jobs: Sequence[Job]) -> str:
    """Return the hint for an unknown job name. A strategy's name is often meant, as alerts name both.

    >>> jobs = [Job("trade", JobKind.EXECUTE, strategy="momentum"), Job("fetch", JobKind.SCRIPT)]
    >>> instead_of_job("momentum", jobs), instead_of_job("fetsh", jobs), instead_of_job("x", jobs)
    ("strategy 'momentum' is traded by the job 'trade'", "did you mean 'fetch'?", 'there are: fetch, trade')
    """
    own = [f"'{job.name}'" for job in jobs if job.strategy == name and job.kind in TRADING]
    if own:
        return f"strategy '{name}' is traded by the job{'' if len(own) == 1 else 's'} {', '.join(own)}"
    names = sorted(job.name for job in jobs)
    if not names:
        return "none is configured: add it under schedule.jobs, or give a strategy its schedule"
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return did_you_mean(name, names) or f"there are: {shown}"


def instead_of(name: str, known: Sequence[str], jobs: Sequence[Job] = ()) -> str:
    """Return the hint for an unknown strategy name. jobs: searched too, as a job's name may have been given.

    >>> instead_of("trade", ["momentum"], [Job("trade", JobKind.EXECUTE, strategy="momentum")])
    "'trade' is a job, of the strategy 'momentum'"
    """
    meant = next((job.strategy for job in jobs if job.name == name and job.strategy), "")
    if meant:
        return f"'{name}' is a job, of the strategy '{meant}'"
    if not known:
        return "none is configured: add it under strategies:, then `sigc reload`"
    shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    return did_you_mean(name, known) or f"configured: {shown}"
