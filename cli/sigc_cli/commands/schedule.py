"""`sigc schedule list | next | enable | disable | run | history`."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.daemon_call import daemon, print_json, which
from sigc_cli.options import JSON
from sigc_cli.shell_completion import jobs


@click.group(short_help="Look at the daemon's jobs; enable, disable, run them.")
def command() -> None:
    """Look at the daemon's jobs; enable, disable and run them."""


@command.command("list")
@JSON
@which
def list_(as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Every job: when it fires next, what it does now, how it ended last."""
    from sigc.rpc.messages.requests import JobsReply
    from sigc_cli.daemon_or_ledger import from_daemon
    from sigc_cli.local_schedule import here, listed
    from sigc_cli.text.daemon_text import jobs_table

    target = (config, address, name)
    asked = from_daemon(target, None, lambda client: client.get("schedule/list", reply=JobsReply))
    found = here(target, listed) if asked is None else asked
    if as_json:
        print_json(found)
    else:
        click.echo(jobs_table(found.jobs, found.zone) if found.jobs else "no jobs are configured")


@command.command("next")
@click.option("-n", "most", type=click.IntRange(1, 1000), default=10, show_default=True, help="Number of fires.")
@JSON
@which
def next_(most: int, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """The next fires of all jobs, in order."""
    from sigc.rpc.messages.requests import NextReply
    from sigc_cli.daemon_or_ledger import from_daemon
    from sigc_cli.local_schedule import following, here
    from sigc_cli.text.daemon_text import moment, table

    target = (config, address, name)
    asked = from_daemon(target, None, lambda client: client.get("schedule/next", {"most": most}, reply=NextReply))
    found = here(target, lambda at: following(at, most)) if asked is None else asked
    if as_json:
        print_json(found)
        return
    rows = [(moment(one.at, found.zone), one.job, one.strategy or "-") for one in found.fires]
    click.echo(table([("at", "job", "strategy"), *rows]) if rows else "nothing is due")


@command.command()
@click.argument("job", shell_complete=jobs)
@click.option("--reason", default="", help="Reason, kept with the decision.")
@JSON
@which
def enable(job: str, reason: str, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Enable JOB: it fires again."""
    _switch("enable", job, reason, as_json, (config, address, name))


@command.command()
@click.argument("job", shell_complete=jobs)
@click.option("--reason", default="", help="Reason, kept with the decision.")
@JSON
@which
def disable(job: str, reason: str, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Disable JOB: it does not fire until it is enabled."""
    _switch("disable", job, reason, as_json, (config, address, name))


@command.command()
@click.argument("job", shell_complete=jobs)
@click.option("--dry-run", is_flag=True, help="Compute, trade nothing.")
@click.option("--force", is_flag=True, help="Run even if paused or traded already; needs --reason.")
@click.option("--reason", default="", help="Reason for --force.")
@JSON
@which
def run(
    job: str,
    dry_run: bool,
    force: bool,
    reason: str,
    as_json: bool,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Run JOB now."""
    from sigc.rpc.messages.requests import JobRunReply, JobRunRequest

    with daemon(config, address, name) as client:
        found = client.post("schedule/run", JobRunRequest(job, dry_run, force, reason), reply=JobRunReply)
    if as_json:
        print_json(found)
    else:
        click.echo(f"run {found.run} has begun" if found.run else found.message)
        if found.run and found.message:
            click.echo(f"warning: {found.message}", err=True)


@command.command()
@click.argument("job", shell_complete=jobs)
@click.option("-n", "most", type=click.IntRange(1, 1000), default=20, show_default=True, help="Number of fires.")
@JSON
@which
def history(job: str, most: int, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """The newest fires of JOB: those that ran, and those that did not, with the reason."""
    from sigc.rpc.messages.requests import HistoryReply
    from sigc_cli.daemon_or_ledger import from_daemon
    from sigc_cli.local_schedule import here
    from sigc_cli.local_schedule import history as story
    from sigc_cli.text.daemon_text import moment, table

    target, fields = (config, address, name), {"job": job, "most": most}
    asked = from_daemon(target, None, lambda client: client.get("schedule/history", fields, reply=HistoryReply))
    found = here(target, lambda at: story(at, job, most)) if asked is None else asked
    if as_json:
        print_json(found)
        return
    rows = [("at", "planned", "outcome", "run", "message")]
    for one in found.entries:
        times = (moment(one.at, found.zone), moment(one.planned, found.zone))
        outcome = f"dry run: {one.outcome}" if one.kind == "dry" else one.outcome
        rows.append((*times, outcome, one.run or "-", one.message or "-"))
    click.echo(table(rows) if len(rows) > 1 else f"{job} has not fired yet")


def _switch(
    verb: str, job: str, reason: str, as_json: bool, target: tuple[Path | None, str | None, str | None]
) -> None:
    from sigc.rpc.messages.requests import JobRequest, SwitchReply

    with daemon(*target) as client:
        found = client.post(f"schedule/{verb}", JobRequest(job, reason), reply=SwitchReply)
    if as_json:
        print_json(found)
    else:
        click.echo(f"job {job} {'is' if found.is_changed else 'was'} {verb}d{'' if found.is_changed else ' already'}")
