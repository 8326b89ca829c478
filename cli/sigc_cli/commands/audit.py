"""`sigc audit query | verify | report | anchor`: audit records, read beside a writing process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc.errors import Diagnostic, SigcError, exit_code
from sigc_cli.options import JSON, ledger_options

if TYPE_CHECKING:
    from sigc.store.history.query import AuditEntry

_MOST_FAULTS = 100
OUTPUT = click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file: .json, .jsonl, .csv.")


@click.group(short_help="Query, verify and report the audit records.")
def command() -> None:
    """Query, verify and report the audit records."""


@command.command()
@click.option("--type", "types", multiple=True, metavar="EVENT", help='Event, such as order, order.sent, "*.refused".')
@click.option("--strategy", default="", help="Of that strategy.")
@click.option("--ticker", default="", help="About that asset.")
@click.option("--run", default="", help="Of that run.")
@click.option("--who", default="", help="Done by that person.")
@click.option("--last", default="", metavar="TIME", help="The last 90s, 30m, 24h, 7d, 2w.")
@click.option("--after", default="", metavar="WHEN", help="From a date or time on (in schedule.timezone).")
@click.option("--before", default="", metavar="WHEN", help="Until a date or time (exclusive).")
@click.option("--filter", "expression", default="", help="Over fields, such as \"slippage_bps > 5 and side = 'buy'\".")
@click.option("-n", "--most", type=click.IntRange(1), default=None, help="Only the newest N records.")
@OUTPUT
@JSON
@ledger_options
@click.pass_context
def query(
    ctx: click.Context,
    types: tuple[str, ...],
    strategy: str,
    ticker: str,
    run: str,
    who: str,
    last: str,
    after: str,
    before: str,
    expression: str,
    most: int | None,
    output: Path | None,
    as_json: bool,
    work_dir: Path | None,
    config: Path | None,
) -> None:
    """Print the records that match, oldest first."""
    from sigc.store.history.filter import SOURCE, compile_filter
    from sigc.store.history.query import AuditQuery, span_of_time
    from sigc.store.history.query import query as look
    from sigc_cli.diagnostics import complain
    from sigc_cli.local_audit import instant, opened

    try:
        compile_filter(expression or "true")
    except SigcError as error:
        complain(error.diagnostics, {SOURCE: expression})
        ctx.exit(exit_code(error.diagnostics))
    with opened(work_dir, config) as here:
        since = instant(after, here.zone)
        if last:
            recent = datetime.now(UTC) - span_of_time(last)
            since = recent if since is None else max(since, recent)
        until = instant(before, here.zone)
        what = AuditQuery(types, strategy, ticker, run, who, since, until, expression, most or 0)
        _print(
            look(here.connection, what), here.zone, output, as_json=as_json, looked_in=_window(since, until, here.zone)
        )


@command.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--mirror", is_flag=True, help="Verify the JSON lines of the work dir instead of the ledger.")
@click.option(
    "--public-key", "keys", multiple=True, type=click.Path(path_type=Path), help="Public key of the signatures."
)
@click.option("--signed-from", type=click.IntRange(1), default=1, help="Number of the first signed record.")
@click.option("--anchors", type=click.Path(path_type=Path), help="File of anchors, instead of the configured one.")
@JSON
@ledger_options
@click.pass_context
def verify(
    ctx: click.Context,
    files: tuple[Path, ...],
    mirror: bool,
    keys: tuple[Path, ...],
    signed_from: int,
    anchors: Path | None,
    as_json: bool,
    work_dir: Path | None,
    config: Path | None,
) -> None:
    """Verify the chain of records, against anchors and signatures; exit 8 and name the first bad record.

    Of the ledger, what the records come to is compared with its tables too: decisions in force, books, positions,
    orders, fills, entries, NAVs. With FILES, lines of a mirror that were shipped elsewhere; several in their order.
    """
    from sigc_cli.local_audit import table_faults, verify_files, verify_here
    from sigc_cli.text.audit_text import verdict_data, verdict_text

    if files:
        what, verdict = verify_files(files, keys, signed_from, anchors)
    else:
        what, verdict = verify_here(mirror, keys, signed_from, anchors, work_dir, config)
    if as_json:
        click.echo(json.dumps(verdict_data(verdict, what), indent=2))
    elif verdict.is_whole:
        click.echo(verdict_text(verdict, what))
    if verdict.is_whole and not files and not mirror:
        faults, accepted = table_faults(work_dir, config)
        for one in accepted:
            click.echo(f"accepted {one.by}: {one.scope}: {one.value}", err=True)
        if faults:
            hint = "restore a copy; or accept what differs: sigc safety resume --reason '...'"
            raise SigcError(*(Diagnostic("E812", str(fault), hint=hint) for fault in faults[:_MOST_FAULTS]))
    if not verdict.is_whole:
        from sigc_cli.diagnostics import complain

        message = f"{what}: record {verdict.bad} is bad: {verdict.reason}"
        hint = f"{verdict.records} records before it are good"
        if verdict.reason.endswith("not signed"):
            hint += "; where signing began later, give its first record by --signed-from"
        found = Diagnostic("E810", message, hint=hint)
        complain((found,))
        ctx.exit(exit_code((found,)))


@command.command()
@click.option("--date", "day", default="", help="Day (in schedule.timezone; default: today).")
@OUTPUT
@JSON
@ledger_options
def report(day: str, output: Path | None, as_json: bool, work_dir: Path | None, config: Path | None) -> None:
    """Print a day's account: events, runs, orders, fills, refusals, and who did what."""
    from datetime import date

    from sigc.store.history.report import report as account
    from sigc_cli.local_audit import opened
    from sigc_cli.text.audit_text import report_data, report_text
    from sigc_cli.text.dates import day as checked

    with opened(work_dir, config) as here:
        chosen = date.fromisoformat(checked(day)) if day else datetime.now(here.zone).date()
        found = account(here.connection, chosen, here.zone)
    if output is not None:
        _write(output, {".json": lambda: [json.dumps(report_data(found), indent=2, ensure_ascii=False) + "\n"]})
    elif as_json:
        click.echo(json.dumps(report_data(found), indent=2, ensure_ascii=False))
    else:
        click.echo(report_text(found, here.zone))


@command.command()
@JSON
@ledger_options
def anchor(as_json: bool, work_dir: Path | None, config: Path | None) -> None:
    """Append the head of the audit chain to the file of anchors."""
    from dataclasses import asdict

    from sigc.store.audit.anchor import anchor as write
    from sigc.store.audit.anchor import anchors_file, read_anchors
    from sigc_cli.local_audit import opened

    with opened(work_dir, config) as here:
        file = anchors_file(here.directory, here.settings.anchor)
        done = write(here.connection, file, datetime.now(UTC), on_demand=True)
    if done.findings:
        raise SigcError(Diagnostic("E811", done.findings[0].message))
    newest = done.anchor or next(reversed(read_anchors(file)), None)
    if as_json:
        click.echo(json.dumps(None if newest is None else asdict(newest)))
    elif newest is None:
        click.echo("there are no records to anchor yet")
    else:
        click.echo(
            f"{'anchored' if done.anchor else 'anchored already'}: record {newest.seq} {newest.digest} in {file}"
        )


def _window(since: datetime | None, until: datetime | None, zone: tzinfo) -> str:
    """Return the time that a query looked in, for people."""
    first, last = (f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if at is not None else "" for at in (since, until))
    return f"from {first or 'the beginning'} to {last or 'now'}"


def _print(
    entries: Iterator[AuditEntry], zone: tzinfo, output: Path | None, *, as_json: bool, looked_in: str = ""
) -> None:
    from sigc_cli.text.audit_text import entries_csv, entries_json, entries_lines, entries_text

    if output is not None:
        kinds = {".json": entries_json, ".jsonl": entries_lines, ".csv": entries_csv}
        _write(output, {suffix: partial(kind, entries) for suffix, kind in kinds.items()})
    elif as_json:
        for text in entries_json(entries):
            click.echo(text, nl=False)
    else:
        text = entries_text(entries, zone)
        click.echo(text or f"no record matches; looked {looked_in}", err=not text)


def _write(output: Path, kinds: Mapping[str, Callable[[], Iterable[str]]]) -> None:
    """Write what the file's suffix says, beside its place first. Raises E201, E200."""
    made = kinds.get(output.suffix.lower())
    if made is None:
        hint = f"end it in {', '.join(kinds)}"
        raise SigcError(Diagnostic("E201", f"unknown format of '{output}'", hint=hint))
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(made())
        part.replace(output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SigcError(Diagnostic("E200", f"can't write {output}: {error.strerror}")) from error
