"""`sigc init [FOLDER]`: a project that runs at once; with --systemd or --compose, the files to run it as a service."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError


@click.command(short_help="Scaffold a project in a folder; its systemd unit, its containers.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--data/--no-data", default=True, help="Write a small synthetic universe to data/.")
@click.option("--systemd", is_flag=True, help="Write a systemd unit for the project, alert rules, a dashboard.")
@click.option("--compose", is_flag=True, help="Write containers for the project, with Prometheus and Grafana.")
@click.option("--force", is_flag=True, help="Overwrite existing files of --systemd and --compose.")
def command(folder: Path, data: bool, systemd: bool, compose: bool, force: bool) -> None:
    """Scaffold a project in FOLDER: a strategy, a configuration, data. Existing files are not touched.

    With --systemd or --compose an existing project gets those files only, filled in from its sigc.yaml.
    """
    from sigc_cli.deployment.write import COMPOSE, NEXT, SYSTEMD, deployment, write

    kinds = [kind for kind, is_wanted in ((SYSTEMD, systemd), (COMPOSE, compose)) if is_wanted]
    is_new = not (kinds and (folder / "sigc.yaml").exists())
    written = list(_scaffold(folder, data)) if is_new else []
    if kinds:
        files = deployment(folder, kinds)
        write(files, force)
        written += files
    for path in written:
        click.echo(f"wrote {path}")
    if is_new:
        click.echo(f"next: cd {shlex.quote(str(folder))} && sigc backtest strategies/momentum.sig")
    for kind in kinds:
        click.echo(NEXT[kind].format(folder=shlex.quote(str(folder.resolve()))))


def _scaffold(folder: Path, data: bool) -> list[Path]:
    """Write a project; return its files. Raises E200, and writes nothing, where one is there."""
    from sigc_cli.starter_files import CONFIG, MOMENTUM, README
    from sigc_cli.synthetic_universe import write_universe

    files = {
        folder / "strategies" / "momentum.sig": MOMENTUM.replace("PLACE/", ""),
        folder / "sigc.yaml": CONFIG,
        folder / "README.md": README,
        folder / ".gitignore": ".sigc/\n*.html\n",
    }
    there = [p for p in files if p.exists()]
    if there:
        raise SigcError(Diagnostic("E200", f"'{there[0]}' already exists", hint="choose an empty folder"))
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if data:
        write_universe(folder / "data", assets=100, days=756, with_actions=True)
    return list(files)
