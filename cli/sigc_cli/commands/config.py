"""`sigc config show | validate | schema`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import CONFIG, JSON

if TYPE_CHECKING:
    from sigc.config import SafetySettings


@click.group()
def command() -> None:
    """Show or validate the configuration."""


@command.command()
@click.option("--origins", is_flag=True, help="Say where each setting comes from.")
@JSON
@CONFIG
def show(origins: bool, as_json: bool, config: Path | None) -> None:
    """Print the settings in force, as YAML."""
    from sigc_cli.build import Choices, configuration

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
@CONFIG
def validate(file: Path | None, config: Path | None) -> None:
    """Check the configuration; all errors at once. Calendars are looked up once the rest is right."""
    from sigc.daemon.boot import open_calendars
    from sigc.daemon.configured import configured
    from sigc_cli.build import Choices, configuration

    loaded = configuration(Choices(config=file or config))
    with tempfile.TemporaryDirectory(prefix="sigc-validate-") as scratch:
        open_calendars(configured(loaded), Path(scratch), datetime.now(UTC))
    click.echo(f"{loaded.path or 'defaults'}: ok")
    for entry in configured(loaded).strategies:
        for limit in _off(entry.file, entry.params, loaded.config.safety):
            click.echo(f"{entry.name}: {limit}")


def _off(file: Path, params: Mapping[str, float], limits: SafetySettings) -> list[str]:
    """The limits that are off for a strategy, as it loads nothing to judge by; nothing of one that has errors."""
    from sigc.errors import SigcError
    from sigc_cli.build import compile_file
    from sigc_pipelines.decision import off_limits, why_off

    try:
        strategy = compile_file(file, params).strategy
    except SigcError:  # `sigc check` says what is wrong with it
        return []
    return [why_off(name) for name in off_limits(limits, {source.name for source in strategy.data})]


@command.command()
def schema() -> None:
    """Print the JSON schema of the configuration."""
    from sigc.config import Config

    click.echo(json.dumps(Config.model_json_schema(by_alias=True), indent=2))
