"""The entry point: `sigc COMMAND`. Commands are imported when they are called, so that help and control are fast.

stdout is data, stderr is talk. Exit codes: 0 ok, 1 general, 2 usage or syntax, 3 type, 4 data, 5 runtime,
6 configuration, 7 broker, 8 validation or safety said no, 10 no daemon answers, 11 the daemon refused, 12 already
running, 130 interrupted.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

import click

from sigc.errors import SigcError, exit_code
from sigc_cli.diagnostics import complain

_MANY_OBJECTS = 100_000  # what libraries make while they are loaded is no garbage: it need not be looked through for it
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "alerts": "Look at alerts, acknowledge them, test the channels.",
        "audit": "Query, verify and report the audit records.",
        "backfill": "Make dry runs of sessions that were not traded; list them with why.",
        "backtest": "Backtest a strategy and print its results.",
        "book": "Look at a book's corporate actions; rename an asset.",
        "cache": "Look at the cache of computed blocks, clear it, verify it.",
        "check": "Check strategy files: all errors, with the place of each.",
        "completions": "Print the completion script of a shell.",
        "config": "Show or validate the configuration.",
        "convert": "Convert a data file between csv, parquet and arrow.",
        "daemon": "Run the daemon: strategies on schedule.",
        "data": "Accept a price that is held back.",
        "dashboard": "Serve the status page of one or more daemons.",
        "demo": "Make a synthetic universe, backtest a strategy on it, trade it on paper; offline.",
        "diff": "Compare two strategies, or two results.",
        "diff-data": "Say what changed between two versions of a data file.",
        "doctor": "Check that this machine can run sigc.",
        "explain": "Explain an error code, or show any stage of a strategy's compilation.",
        "fmt": "Format strategy files.",
        "init": "Scaffold a project in a folder; its systemd unit, its containers.",
        "logs": "Print the daemon's log, of one run too; -f follows it.",
        "optimize": "Search the parameter grid of a strategy.",
        "orders": "Show orders and where each stands.",
        "pause": "Pause all strategies, or one.",
        "positions": "Show positions, cash and NAV of every book.",
        "monitoring": "Print the Grafana dashboard that is shipped.",
        "ps": "List the daemons that run on this machine.",
        "reload": "Have the daemon read its configuration again.",
        "report": "Write the report of a strategy that is traded.",
        "restart": "Stop the daemon and start it again.",
        "resume": "Take a pause back.",
        "run": "Run a strategy for one date, and trade it.",
        "runbook": "Print what to do about an alert or a symptom.",
        "runs": "Look at past runs: list, show, diff, logs, cancel.",
        "schedule": "Look at the daemon's jobs; enable, disable, run them.",
        "status": "Print how the daemon and its strategies are.",
        "stop": "Stop the daemon.",
        "validate": "Check a data file as sigc would read it.",
        "watch": "Look at a daemon from elsewhere, and alert when it is gone.",
        "why": "Say why a strategy ran or did not run for a session.",
    }
)


class _Lazy(click.Group):
    """A group whose commands live in `sigc_cli.commands.NAME`, each as `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"sigc_cli.commands.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            from sigc.errors import did_you_mean

            hint = did_you_mean(args[0], COMMANDS)
            ctx.fail(f"no command '{args[0]}'." + (f" {hint[0].upper()}{hint[1:]}" if hint else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="sigc-daemon", prog_name="sigc")
def cli() -> None:
    """sigc compiles trading signals and runs them: check, backtest, trade."""


def main() -> None:
    """Run the command line; every error leaves by its documented exit code."""
    if sys.argv[1:2] not in (["daemon"], ["dashboard"]):  # these stay, and their memory matters more than their start
        gc.set_threshold(_MANY_OBJECTS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # there are none of ours: no search of all packages for some
    try:
        code = cli.main(prog_name="sigc", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as usage:
        click.echo(usage.format_message())
        code = 0
    except click.ClickException as usage:
        usage.show()
        code = usage.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except SigcError as error:
        complain(error.diagnostics)
        code = exit_code(error.diagnostics)
    except BrokenPipeError:  # whoever read us has gone: `sigc audit query | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except MemoryError:
        click.echo("error[E300]: out of memory; use fewer threads or a smaller range", err=True)
        code = 5
    gc.freeze()  # memory goes with the process: a last look for garbage in all of it would take a sixth of a short run
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
