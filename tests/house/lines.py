"""Command lines as click understands them, without running any."""

from __future__ import annotations

import shlex

import click

from sigc_cli.main import cli


def parse(line: str) -> click.Context:
    """The command that `sigc ...` means, with its parameters. Raises click.UsageError for what would be refused."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "sigc"
    return _parsed(cli, "sigc", words, None)


def _parsed(command: click.Command, name: str | None, words: list[str], parent: click.Context | None) -> click.Context:
    if not isinstance(command, click.Group) or not words or words[0].startswith("-"):
        return command.make_context(name, words, parent=parent)
    within = click.Context(command, parent=parent, info_name=name)
    inner, found, rest = command.resolve_command(within, words)
    assert found is not None
    return _parsed(found, inner, rest, within)
