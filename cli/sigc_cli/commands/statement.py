"""`sigc statement`: how the NAV of each book came about in a day or month, its open lots, its executions."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.options import JSON, ledger_options
from sigc_cli.shell_completion import strategies


@click.command(short_help="Statement of a day or month, and the blotter.")
@click.argument("strategy", required=False, default="", shell_complete=strategies)
@click.option("--date", "day", default="", help="Day of the statement (default: the newest close).")
@click.option("--month", default="", metavar="YYYY-MM", help="Month of the statement.")
@click.option("--blotter", is_flag=True, help="The executions alone, with what each realised.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write: .csv, .html or .json.")
@JSON
@ledger_options
def command(
    strategy: str,
    day: str,
    month: str,
    blotter: bool,
    output: Path | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Print the statement of STRATEGY's books, or of all.

    NAV before and after, and between them realised profit (lots first in, first out), unrealised, commissions,
    dividends, charges by kind, transfers; then the lots that are open.
    """
    from sigc.errors import Diagnostic, SigcError
    from sigc.store.files import write_whole
    from sigc_cli.daemon_or_ledger import ledger
    from sigc_cli.statements import statements_of
    from sigc_cli.text import statement_text as text
    from sigc_cli.text.ledger_view import dump
    from sigc_pipelines.text.table import table

    with ledger(config, work_dir) as (connection, _):
        found = statements_of(connection, strategy, day, month)
    kind = ".json" if as_json and output is None else output.suffix if output is not None else ".txt"
    forms = {
        ".txt": lambda: table(text.blotter_rows(found)) if blotter else text.statement_text(found),
        ".csv": lambda: text.blotter_csv(found) if blotter else text.statement_csv(found),
        ".html": lambda: text.statement_page(found),
        ".json": lambda: dump(found),
    }
    if kind not in forms:
        raise SigcError(Diagnostic("E002", f"can't write '{output}'", expected=" or ".join(sorted(forms))))
    written = forms[kind]()
    if output is None:
        click.echo(written)
        return
    try:
        write_whole(output, written.encode())
    except OSError as error:
        raise SigcError(Diagnostic("E200", f"can't write {output}: {error.strerror}")) from error
    click.echo(output)
