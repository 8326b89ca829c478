"""Common part of `sigc pause` and `sigc resume`."""

from __future__ import annotations

from pathlib import Path

import click

from sigc.rpc.messages.requests import HoldReply, HoldRequest
from sigc_cli.daemon_call import daemon, print_json


def hold(
    verb: str, strategy: str | None, reason: str, as_json: bool, target: tuple[Path | None, str | None, str | None]
) -> None:
    """Pause or resume, and say what is paused now."""
    with daemon(*target) as client:
        reply = client.post(verb, HoldRequest(strategy, reason), reply=HoldReply)
    if as_json:
        print_json(reply)
        return
    what = f"strategy {strategy}" if strategy else "everything"
    changed, already = ("paused", "paused already") if verb == "pause" else ("resumed", "not paused")
    click.echo(f"{what} is {changed}" if reply.is_changed else f"{what} was {already}")
    left = ["everything" if name == "" else name for name in reply.paused]
    if verb == "resume" and left:
        click.echo(f"still paused: {', '.join(left)}")
