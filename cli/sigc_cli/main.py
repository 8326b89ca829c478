"""Entry point of `sigc COMMAND`. Commands are imported when called, so that help and control are fast.

stdout is data, stderr is talk. Exit codes: 0 ok, 1 general, 2 usage or syntax, 3 type, 4 data, 5 runtime,
6 configuration, 7 broker, 8 validation or safety said no, 10 no daemon answers, 11 the daemon refused, 12 already
running, 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import re
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError, exit_code
from sigc_cli.diagnostics import complain, wants_json
from sigc_cli.wait_hints import hints, reads_here

_STAY = (["daemon"], ["dashboard"], ["watch"])  # their memory matters more than their start
_MANY_OBJECTS = 100_000  # what libraries make while they are loaded is no garbage: it need not be looked through for it
_FOLDER = Path(__file__).parent / "commands"
COMMANDS = tuple(sorted(p.stem.replace("_", "-") for p in _FOLDER.glob("[a-z]*.py")))  # each file is one


def summary(name: str) -> str:
    """Return the `short_help` of a command from its file's text: an import of all would take `sigc --help` 0.3 s."""
    found = re.search(r'\bshort_help="(.*?)"', _file(name).read_text(encoding="utf-8"))
    return found[1] if found else ""


def _file(name: str) -> Path:
    return _FOLDER / f"{name.replace('-', '_')}.py"


class _Lazy(click.Group):
    """A group whose commands live in `sigc_cli.commands.NAME`, each as `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"sigc_cli.commands.{_file(name).stem}")
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
            formatter.write_dl([(name, summary(name)) for name in COMMANDS])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="sigc-daemon", prog_name="sigc")
def cli() -> None:
    """sigc compiles trading signals and runs them: check, backtest, trade."""


def main() -> None:
    """Run the command line; every error leaves by its documented exit code."""
    left_with = 1  # of an error that nothing caught

    def leave() -> None:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(left_with)

    # First in, so last out. Beyond it come the destructors of native libraries: those of Arrow's threads now and then
    # abort a process whose work is done (apache/arrow#34314), and its orders would count as failed.
    atexit.register(leave)
    try:
        _run()
    except SystemExit as end:
        left_with = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


def _run() -> None:
    if sys.argv[1:2] not in _STAY:
        gc.set_threshold(_MANY_OBJECTS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # there are none of ours: no search of all packages for some
    try:
        with nullcontext() if sys.argv[1:2] in _STAY else hints(reads_here):
            code = cli.main(prog_name="sigc", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as usage:
        click.echo(usage.format_message())
        code = 0
    except click.ClickException as usage:
        if wants_json():
            complain([Diagnostic("usage", usage.format_message())])
        else:
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
