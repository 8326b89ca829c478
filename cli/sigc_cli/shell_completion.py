"""Names for shell completion: strategies, jobs, runs, daemons. Fast, and silent when nothing is found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_MOST_RUNS = 50
Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def _completed(find: Callable[[click.Context], Iterable[str]]) -> Complete:
    """Return a completion of the names that `find` lists; if it fails, there are none."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del parameter
        from click.shell_completion import CompletionItem

        try:
            names = [name for name in find(context) if name.startswith(incomplete)]
        except Exception:  # a shell that waits for names shows no errors
            return []
        return [CompletionItem(name) for name in dict.fromkeys(names)]

    return complete


def _strategies(context: click.Context) -> Iterable[str]:
    found = [str(entry.get("name")) for entry in _listed(context, "strategies")]
    return sorted(name for name in found if name)


def _jobs(context: click.Context) -> Iterable[str]:
    own = [str(entry["name"]) for entry in _listed(context, "strategies") if entry.get("schedule")]
    listed = [str(entry.get("name")) for entry in _listed(context, "schedule", "jobs")]
    return sorted({name for name in (*own, *listed) if name})


def _runs(context: click.Context) -> Iterable[str]:
    """Return the newest runs of the ledger, with and without a daemon."""
    from sigc.store.history import history
    from sigc.store.ledger.connection import FILE, connect_reader

    with closing(connect_reader(_work_dir(context) / FILE)) as connection:
        return [run.id for run in history.runs_page(connection, history.RunsWanted(most=_MOST_RUNS))]


def _daemons(context: click.Context) -> Iterable[str]:
    del context
    from sigc.host.instance import runtime_dirs
    from sigc.host.instances import running

    return sorted(entry.name for entry in running(runtime_dirs(os.environ, os.getuid())))


def _data(context: click.Context) -> dict[str, object]:
    from sigc.config.find import find
    from sigc.config.read import read

    path = find(context.params.get("config"), os.environ)
    return {} if path is None else read(path, os.environ).data


def _listed(context: click.Context, *keys: str) -> list[dict[str, object]]:
    found: object = _data(context)
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _work_dir(context: click.Context) -> Path:
    from sigc.rpc.discovery import DaemonOptions, wish_of

    if context.params.get("work_dir") is not None:
        return Path(context.params["work_dir"])
    found = wish_of(DaemonOptions(context.params.get("config"), None, context.params.get("name")), os.environ).work_dir
    return found if found is not None else Path()


strategies, jobs, runs, daemons = (_completed(find) for find in (_strategies, _jobs, _runs, _daemons))
