"""`sigc config show | validate | reference | schema`."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from sigc_cli.options import CONFIG, JSON


@click.group(short_help="Show or validate the configuration.")
def command() -> None:
    """Show or validate the configuration."""


@command.command()
@click.option("--origins", is_flag=True, help="Show the origin of each setting.")
@JSON
@CONFIG
def show(origins: bool, as_json: bool, config: Path | None) -> None:
    """Print the settings in force, as YAML."""
    from sigc_pipelines.assembly.parts import Choices, configuration

    loaded = configuration(Choices(config=config))
    data = loaded.shown()
    if as_json:
        click.echo(json.dumps({"file": str(loaded.path) if loaded.path else None, "settings": data}, indent=2))
        return
    if not origins:
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False).rstrip())
        return
    for key, value in _flat(data, ""):
        click.echo(f"{key} = {json.dumps(value)}    # {loaded.origins.get(key, 'default')}")


def _flat(data: dict[str, object], prefix: str) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for key, value in data.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, value))
    return rows


@command.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@JSON
@CONFIG
def validate(file: Path | None, as_json: bool, config: Path | None) -> None:
    """Check the configuration, then its calendars and every strategy's file: what a start and a reload would refuse."""
    from sigc.daemon.configured.calendars import open_calendars
    from sigc.daemon.configured.configured import configured
    from sigc.errors import Severity, SigcError
    from sigc_cli.diagnostics import as_json as as_plain
    from sigc_cli.diagnostics import complain
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.service.strategy_texts import checked

    loaded = configuration(Choices(config=file or config))
    with tempfile.TemporaryDirectory(prefix="sigc-validate-") as scratch:
        open_calendars(configured(loaded), Path(scratch), datetime.now(UTC))
    strategies = [checked(entry, loaded.config.safety) for entry in configured(loaded).strategies]
    found = [problem for one in strategies for problem in one.problems]
    if wrong := [problem for problem in found if problem.severity is Severity.ERROR]:
        raise SigcError(*wrong)
    off = {one.strategy: list(one.off) for one in strategies}
    if as_json:
        warnings = [as_plain(one) for one in (*loaded.findings, *found)]
        told = {"file": str(loaded.path or ""), "ok": True, "limits_off": off, "warnings": warnings}
        click.echo(json.dumps(told, indent=2))
        return
    complain((*loaded.findings, *found))
    click.echo(f"{loaded.path or 'defaults'}: ok")
    for name, limits in off.items():
        for limit in limits:
            click.echo(f"{name}: {limit}")


@command.command()
def reference() -> None:
    """Print every setting with default and meaning, as a configuration file."""
    from sigc.config.check import reference_yaml

    click.echo(reference_yaml(), nl=False)


@command.command()
def schema() -> None:
    """Print the JSON schema of the configuration."""
    from sigc.config.settings import Config

    click.echo(json.dumps(Config.model_json_schema(by_alias=True), indent=2))
