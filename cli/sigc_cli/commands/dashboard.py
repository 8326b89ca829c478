"""`sigc dashboard`: the status page of one or more daemons, as a server of its own."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Serve the status page of one or more daemons.")
@click.option(
    "--address", "addresses", multiple=True, metavar="[NAME=]HOST:PORT",
    help="A daemon to show; repeatable. Default: all that run on this machine.",
)  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port; default 5006, or the next free one.")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="URL of the page behind a proxy; repeatable.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=12.0, show_default=True, help="Of a login.")
@click.option("--ca", type=click.Path(path_type=Path), help="Authority of the daemons' certificates.")
@click.option("--cert", type=click.Path(path_type=Path), help="Our certificate chain (PEM).")
@click.option("--key", type=click.Path(path_type=Path), help="Its key (PEM).")
@click.option("--fd", type=int, hidden=True, help="A socket that listens already.")
@click.option("--parent", type=int, hidden=True, help="The process we end with.")
def command(
    addresses: tuple[str, ...],
    host: str,
    port: int | None,
    origins: tuple[str, ...],
    hours: float,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    fd: int | None,
    parent: int | None,
) -> None:
    """Serve the status page until interrupted. It speaks to daemons as any client does; people log in by token."""
    from sigc_cli.assembly.page import PageOptions, run_page

    run_page(PageOptions(addresses, host, port, origins, hours, ca, cert, key, fd, parent), click.echo)
