"""`sigc completions bash|zsh|fish`: the script that a shell sources."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell; for bash: sigc completions bash >> ~/.bashrc."""
    from sigc_cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completions for {shell}")
    click.echo(kind(cli, {}, "sigc", "_SIGC_COMPLETE").source())
