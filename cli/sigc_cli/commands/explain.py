"""`sigc explain E103`, `sigc explain OPERATOR`, `sigc explain CHECK`, `sigc explain FILE --stage STAGE`."""

from __future__ import annotations

from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc_cli.options import CONFIG, PARAMS

STAGES = ["parse", "format", "graph", "lookback", "plan"]


@click.command(short_help="Explain an error code, or show any stage of a strategy's compilation.")
@click.argument("what", metavar="CODE|OPERATOR|CHECK|FILE")
@click.option(
    "--stage",
    type=click.Choice(STAGES),
    default="graph",
    show_default=True,
    help="Stage of a FILE's compilation; plan reads the data.",
)
@PARAMS
@CONFIG
def command(what: str, stage: str, params: tuple[str, ...], config: Path | None) -> None:
    """Explain an error code, an operator or a check of a run, or show a stage of a strategy's compilation."""
    from sigc.lang.codes import CODES

    code = what.upper()
    if code in CODES:
        title, text = CODES[code]
        click.echo(f"{code}: {title}\n")
        click.echo(click.wrap_text(text, 88))
        return
    if not Path(what).exists() and "." not in what and "/" not in what:
        _named(what)
        return
    from sigc_pipelines.assembly.parts import compile_file, parameters
    from sigc_pipelines.text.stages_text import explain

    compiled = compile_file(Path(what), parameters(params))
    click.echo(_plan(compiled, config) if stage == "plan" else explain(compiled, stage))


def _named(name: str) -> None:
    """Explain an operator or a check; both where both have that name. Raises E002."""
    from sigc.lang.codes import CODES
    from sigc.ops.reference import entry
    from sigc.ops.table import names, resolve
    from sigc_cli.text.check_text import checks_text

    operator = resolve(name) or resolve(name, windowed=True)
    checks = checks_text()
    found = [entry(operator)] if operator is not None else []
    found += [checks[name]] if name in checks else []
    if not found:
        hint = (
            did_you_mean(name, [*names(), *CODES, *checks]) or "name an error code, an operator, a check or a .sig file"
        )
        raise SigcError(Diagnostic("E002", f"unknown name '{name}'", hint=hint))
    click.echo("\n\n".join(found))


def _plan(compiled: object, config: Path | None) -> str:
    from sigc_cli.text.plan_text import plan_text
    from sigc_pipelines.assembly.parts import Choices, Compiled, configuration, workspace
    from sigc_pipelines.compute import load

    if not isinstance(compiled, Compiled):
        raise TypeError(compiled)
    choices = Choices(config=config)
    with workspace(configuration(choices).config, choices) as space:
        return plan_text(load(compiled.strategy, space), space.store)
