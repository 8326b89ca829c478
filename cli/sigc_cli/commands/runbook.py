"""`sigc runbook [ALERT]`: the steps for an alert or a symptom."""

from __future__ import annotations

import click

from sigc.errors import Diagnostic, SigcError, did_you_mean


@click.command(short_help="Print what to do about an alert, an error code or a symptom.")
@click.argument("alert", required=False)
def command(alert: str | None) -> None:
    """Print what to do about ALERT: a rule, an alert of Prometheus, an error code, a symptom, or a message's last line.

    Without ALERT: list them.
    """
    from sigc_cli.shipped import shipped
    from sigc_cli.text.runbook_text import asked, index, listed, sections, shown

    text = shipped("docs/runbook.md")
    if alert is None:
        click.echo(listed(sections(text)))
        return
    names = index(text)
    found = names.get(asked(alert))
    if found is None:
        hint = did_you_mean(asked(alert), names) or "sigc runbook lists what there is"
        raise SigcError(Diagnostic("E002", f"the runbook has no '{alert}'", hint=hint))
    click.echo(shown(found))
