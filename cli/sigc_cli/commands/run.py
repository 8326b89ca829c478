"""`sigc run FILE`: one run of one portfolio for one date; by the daemon when one answers, else in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import JSON, PARAMS, WORK_DIR, choices, work
from sigc_cli.shell_completion import daemons

if TYPE_CHECKING:
    from sigc.errors import Diagnostic
    from sigc.store.ledger.waiting_orders import WaitingOrders
    from sigc_cli.daemon_call import RunTarget
    from sigc_pipelines.assembly.parts import Choices
    from sigc_pipelines.assembly.trading import TradeOptions
    from sigc_pipelines.live.trading import Ended


@click.command(short_help="Run a strategy for one date, and trade it.")
@click.argument("what", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Show the orders that would be sent; trade nothing.")
@click.option("--date", default="", metavar="DATE", help="As of the last session on or before this date.")
@click.option("--portfolio", default="", help="Portfolio (default: the first).")
@click.option("--slot", default="", help="The scheduled fire, where a session is traded several times.")
@click.option("--force", is_flag=True, help="Run even if traded already or paused, as a new revision; needs --reason.")
@click.option(
    "--accept-differences",
    is_flag=True,
    help="Adopt first what differs from the broker; needs --reason.",
)
@click.option("--reason", default="", metavar="TEXT", help="Reason, kept in the audit with your name.")
@click.option("--detach", is_flag=True, help="Return at once with the run's id; needs a daemon.")
@click.option("--wait", is_flag=True, help="Wait for orders that leave with the open, and return the run's outcome.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@WORK_DIR
@PARAMS
@JSON
@work
def command(
    what: str,
    dry_run: bool,
    date: str,
    portfolio: str,
    slot: str,
    force: bool,
    accept_differences: bool,
    reason: str,
    detach: bool,
    wait: bool,
    address: str | None,
    name: str | None,
    work_dir: Path | None,
    params: tuple[str, ...],
    as_json: bool,
    config: Path | None,
    engine: str,
    threads: int,
    no_cache: bool,
) -> None:
    """Run FILE (or a configured strategy's name) for one date: load, compute, validate, execute, audit.

    No row after the date is read. A session is traded once; a wanted repeat is --force with a --reason. Goes to the
    daemon when one answers; runs in this process when nobody listens and the work dir is free, or with --work-dir.

    Orders that are placed before the open wait for it: the exit code is 0 then, and --wait waits for the outcome.
    Without a daemon this process waits, as nobody else would send them.
    """
    from sigc_cli.daemon_call import RunTarget
    from sigc_cli.text.dates import day
    from sigc_pipelines.assembly.parts import parameters

    wanted = RunTarget(
        *(what, day(date), portfolio, dry_run, parameters(params)),
        slot=slot,
        is_forced=force,
        accepts_differences=accept_differences,
        reason=reason,
    )
    if detach and wait:
        raise click.UsageError("--detach returns at once, --wait does not: give one of them")
    if work_dir is None and _by_daemon(wanted, (detach, wait), as_json, (config, address, name)):
        return
    if detach:
        raise click.UsageError("--detach needs a daemon: start one by `sigc daemon`")
    from sigc_pipelines.assembly.trading import TradeOptions

    wish = TradeOptions(wanted.date, portfolio, dry_run, force, accept_differences, reason, slot)
    _here(wanted, wish, choices(config, engine, threads, no_cache), work_dir, name, as_json)


def _by_daemon(
    wanted: RunTarget, how: tuple[bool, bool], as_json: bool, which: tuple[Path | None, str | None, str | None]
) -> bool:
    """Have the daemon run it; False when nobody listens. how: detached, waiting for the open. Raises E900 for a daemon
    that hangs, E901 for a refusal.
    """
    from sigc.errors import Severity, SigcError
    from sigc.rpc.client import NoDaemonError
    from sigc.rpc.messages.status import StatusReply
    from sigc_cli.daemon_call import daemon, print_json, run_over_rpc
    from sigc_cli.diagnostics import complain

    (is_detached, is_patient), (config, address, name) = how, which
    try:
        with daemon(config, address, name) as client:
            ended = run_over_rpc(client, wanted, is_detached=is_detached, is_patient=is_patient)
            zone = "" if ended.waiting is None else client.get("status", reply=StatusReply).zone
    except NoDaemonError as gone:
        if not gone.is_refused or address is not None:
            raise
        return False
    if as_json:
        print_json(ended.result if ended.result and not is_detached else ended)
    elif is_detached:
        click.echo(ended.id)
    else:
        begun = f"{ended.strategy} {ended.id}"
        said = f"{begun}: {ended.outcome}, {ended.message}" if ended.outcome else f"{begun} goes on in the daemon"
        click.echo(ended.result.get("text") or said)
        if ended.waiting is not None:
            click.echo(_waits(ended.waiting, zone))
    complain(d for d in ended.findings if d.severity is not Severity.ERROR)
    problem = _problem(ended.outcome, ended.message)
    if problem is not None and not is_detached:
        errors = tuple(d for d in ended.findings if d.severity is Severity.ERROR)
        raise SigcError(*(errors or (problem,)))
    return True


def _waits(found: WaitingOrders, zone: str) -> str:
    from sigc.rpc.messages.status import waits
    from sigc_cli.text.daemon_text import moment

    return f"waiting: {waits(found, moment(found.at, zone))}"


def _problem(outcome: str, message: str) -> Diagnostic | None:
    """Return the error of a run that ended badly; None for a good one."""
    from sigc.errors import Diagnostic

    match outcome:
        case "done" | "unchanged" | "" | "open":
            return None
        case "unresolved":
            hint = "nothing more of this strategy is sent until its orders are looked up at the next start"
            return Diagnostic("E603", message, hint=hint)
        case "refused":
            return Diagnostic("E801", message)
        case "partial" | "nothing_traded":
            hint = "`sigc runs show` has every order and its reason"
            return Diagnostic("E805", f"{outcome.replace('_', ' ')}: {message}", hint=hint)
        case other:
            return Diagnostic("E300", f"{other}: {message}")


def _here(
    wanted: RunTarget, wish: TradeOptions, chosen: Choices, work_dir: Path | None, name: str | None, as_json: bool
) -> None:
    from sigc.errors import SigcError
    from sigc_cli.text import show_run
    from sigc_pipelines.assembly.parts import configuration
    from sigc_pipelines.text import results_text as show

    ended = ended_here(wanted, wish, chosen, work_dir, name)
    click.echo(show.dump(show_run.as_data(ended)) if as_json else show_run.text(ended))
    if ended.waiting is not None and not as_json:
        click.echo(_waits(ended.waiting, configuration(chosen).config.schedule.timezone))
    if ended.problems:
        raise SigcError(*ended.problems)
    problem = _problem(str(ended.run.outcome), ended.run.message)
    if problem is not None:
        raise SigcError(problem)


def ended_here(
    wanted: RunTarget, wish: TradeOptions, chosen: Choices, work_dir: Path | None, name: str | None
) -> Ended:
    """Run it in this process, to its end. Raises E900 for a trade at a live broker, and what can't begin."""
    from sigc.errors import Diagnostic, SigcError
    from sigc_cli.assembly.workdir import work_dir as place_of
    from sigc_cli.diagnostics import complain
    from sigc_cli.text.run_view import render
    from sigc_pipelines.assembly.parts import compile_file, configuration, workspace
    from sigc_pipelines.assembly.trading import entry_of, request, trading, user, with_capital
    from sigc_pipelines.backtest.backtest import pick_of
    from sigc_pipelines.live.run import carry_out
    from sigc_pipelines.live.run_watch import RunWatch
    from sigc_pipelines.live.scratch import in_its_time
    from sigc_pipelines.stopping.breaker_closing import close_by_breakers
    from sigc_pipelines.target_feeds import FreshFeed
    from sigc_pipelines.text import results_text as show

    loaded = configuration(chosen)
    entry = entry_of(loaded, wanted.what)
    compiled = compile_file(entry.file, {**entry.params, **wanted.params})
    settings = with_capital(loaded.config, entry.capital)
    portfolio = pick_of(compiled.strategy, wish.portfolio or entry.portfolio).name
    asked = request(compiled.strategy, entry.name, portfolio, settings, wish, user())
    complain(compiled.warnings)
    place = place_of(loaded, work_dir, name)
    click.echo(f"no daemon answers: running in this process, with the ledger of {place}", err=True)
    bar = show.ProgressBar()
    watch = RunWatch(opening=lambda found: _tell_opening(found, settings.schedule.timezone))
    opened = trading(settings, place, wish, render, watch=watch)
    with workspace(settings, chosen, bar) as space, opened as (desk, earlier):
        if desk.broker.capabilities().is_live and not wish.is_dry:
            message = "a live broker is traded by the daemon alone"
            raise SigcError(Diagnostic("E900", message, hint="start it by `sigc daemon`, or add --dry-run"))
        for verdict in earlier:
            click.echo(f"{verdict.run}: {verdict.outcome}, {verdict.message}", err=True)
        try:
            feed = FreshFeed(compiled.strategy, space, settings.execution.capital)
            with in_its_time(desk, asked) as account:
                ended = account.told(carry_out(account.trading, asked, feed, watch))
                if not wish.is_dry:
                    close_by_breakers(account.trading)
                return ended
        finally:
            bar.close()


def _tell_opening(found: WaitingOrders | None, zone: str) -> None:
    if found is not None:
        click.echo(f"{_waits(found, zone)}; interrupted, they stay planned, and the next process goes on", err=True)
