"""`sigc cache status | clear | verify`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from sigc.words import counted
from sigc_cli.options import CONFIG, JSON


@click.group(short_help="Look at the cache of computed blocks, clear it, verify it.")
def command() -> None:
    """Look at the cache of computed blocks, clear it, verify it."""


def _directory(config: Path | None) -> Path:
    from sigc_pipelines.assembly.parts import Choices, configuration

    return Path(configuration(Choices(config=config)).config.daemon.cache.directory).expanduser()


@command.command()
@JSON
@CONFIG
def status(as_json: bool, config: Path | None) -> None:
    """Entries, bytes, hit rate, by source and by signal."""
    from sigc.cache.upkeep import status as look
    from sigc_pipelines.text.results_text import bytes_text, moment, table

    found = look(_directory(config))
    if as_json:
        click.echo(json.dumps(asdict(found) | {"hit_rate": found.hit_rate}, indent=2))
        return
    click.echo(f"Directory:  {found.directory}")
    click.echo(f"Entries:    {found.entries}")
    click.echo(f"Size:       {bytes_text(found.bytes)}")
    click.echo(f"Hit rate:   {100 * found.hit_rate:.1f}% of {found.hits + found.misses} look-ups")
    if found.oldest is not None and found.newest is not None:
        click.echo(f"Used:       {moment(found.oldest)} to {moment(found.newest)}")
    for title, groups in (("source", found.by_source), ("signal", found.by_signal)):
        if groups:
            rows = [(title, "blocks", "size"), *((n, str(c), bytes_text(b)) for n, (c, b) in groups.items())]
            click.echo("\n" + table(rows))


@command.command()
@click.option("--pattern", metavar="GLOB", help='Only entries such as "prices_*" or "momentum_2016".')
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
@CONFIG
def clear(pattern: str | None, yes: bool, as_json: bool, config: Path | None) -> None:
    """Remove entries; they are computed again when they are needed."""
    from sigc.cache.upkeep import clear as remove
    from sigc.cache.upkeep import matching
    from sigc_pipelines.text.results_text import bytes_text

    directory = _directory(config)
    going = matching(directory, pattern)
    if not going and pattern is not None:
        click.echo("[]" if as_json else f"nothing matches '{pattern}'")
        return
    if not as_json:
        for entry in going[:20]:
            click.echo(f"  {entry.name}  {bytes_text(entry.bytes)}")
        if len(going) > 20:
            click.echo(f"  and {len(going) - 20} more")
    if sys.stdin.isatty() and not yes:
        click.confirm(f"Remove {counted(len(going), 'entry', 'entries')}?", abort=True)
    count, freed = remove(directory, pattern)
    if as_json:
        click.echo(json.dumps({"removed": count, "bytes": freed}))
    else:
        click.echo(f"{counted(count, 'entry', 'entries')} removed, {bytes_text(freed)} freed")


@command.command()
@JSON
@CONFIG
def verify(as_json: bool, config: Path | None) -> None:
    """Read every entry again and check its checksum; exit 1 if one is bad."""
    from sigc.cache.upkeep import entries
    from sigc.cache.upkeep import verify as read_all

    directory = _directory(config)
    bad = read_all(directory)
    count = sum(1 for _ in entries(directory))
    if as_json:
        click.echo(json.dumps({"entries": count, "bad": [{"name": n, "why": w} for n, w in bad]}, indent=2))
    else:
        for name, why in bad:
            click.echo(f"{name}: {why}")
        click.echo(
            f"{counted(count, 'entry', 'entries')} read, {len(bad)} bad"
            + ("; they are dropped when next used" if bad else "")
        )
    raise click.exceptions.Exit(1 if bad else 0)
