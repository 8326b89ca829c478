"""An answer as lines of text, for the command and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sigc.why.assets import AssetAnswer
from sigc.why.cases import Link, LinkState
from sigc.why.chain import Explanation
from sigc.why.run_links import DataLine, OrderLine, RunOrders
from sigc.why.words import when

_WORDS: Mapping[str, str] = {
    LinkState.STOPPED: "STOPPED",
    LinkState.WAITING: "WAITING",
    LinkState.WARNING: "warning",
    LinkState.NOT_REACHED: "not reached",
}


def lines(answer: Explanation) -> tuple[str, ...]:
    """Return the whole answer: the verdict, the links, runs, data, orders, and the command to look further."""
    found = [f"{answer.strategy}, session {answer.session}: {answer.verdict}", ""]
    found += _links(answer.links)
    if answer.runs:
        found += ["", "Runs:"]
        for run in answer.runs:
            by = f"job {run.job}" if run.job else run.who
            again = f", revision {run.revision}" if run.revision else ""
            said = f", {run.message}" if run.message else ""
            found.append(
                f"  {run.id}  {run.kind}{again}  {when(run.started, answer.zone)} by {by}: {run.outcome}{said}"
            )
    if answer.data:
        by = f", as the {answer.data_from} had them" if answer.data_from else ""
        found += ["", f"Data{by}:", *(f"  {data_line(line)}" for line in answer.data)]
    if answer.orders.wanted >= 0 or answer.orders.sized:
        found += ["", "Orders:", *(f"  {text}" for text in _orders(answer.orders))]
    return (*found, "", f"Look further: {answer.look}")


def _links(links: Sequence[Link]) -> list[str]:
    """Return a line for each link with a text; links of the same state without one share a line."""
    shown: list[tuple[str, str, str]] = []
    for link in links:
        before = shown[-1] if shown else None
        if before is not None and not link.text and not before[2] and before[0] == link.state:
            shown[-1] = (link.state, f"{before[1]}, {link.name}", "")
        else:
            shown.append((link.state, link.name, link.text))
    return [f"  {_WORDS.get(state, state):<11} {f'{name}: {text}' if text else name}" for state, name, text in shown]


def data_line(line: DataLine) -> str:
    """Return a source as text.

    >>> data_line(DataLine("prices", "8f3a", "2016-01-04", 0, 500, 13))
    'prices: newest row 2016-01-04 (0 sessions old), 500 rows, 13 assets, content 8f3a'
    >>> data_line(DataLine("prices", "8f3a"))
    'prices: newest row not kept, content 8f3a'
    """
    parts = []
    if line.newest:
        age = f" ({line.age} session{'' if line.age == 1 else 's'} old)" if line.age >= 0 else ""
        parts.append(f"newest row {line.newest}{age}")
    else:
        parts.append("without dates" if line.rows >= 0 else "newest row not kept")
    parts += [f"{line.rows:,} rows"] if line.rows >= 0 else []
    parts += [f"{line.assets:,} assets"] if line.assets >= 0 else []
    parts += [f"content {line.content}"] if line.content else []
    parts += [f"since the last run: {line.changed}"] if line.changed else []
    return f"{line.name}: {', '.join(parts)}"


def _orders(found: RunOrders) -> Sequence[str]:
    wanted = f"{found.wanted} assets wanted, gross {found.gross:.4f}, net {found.net:+.4f}" if found.wanted >= 0 else ""
    names = ("sized", "denied", "sent", "rejected", "filled", "part_filled", "expired", "cancelled", "open")
    counts = ((getattr(found, name), name.replace("_", " ")) for name in names)
    told = ", ".join(f"{count} {name}" for count, name in counts if count or name in ("sized", "sent", "filled"))
    more = [f"... and {found.more} more"] if found.more else []
    return [*([wanted] if wanted else []), told, *(order_line(line) for line in found.unwell), *more]


def order_line(line: OrderLine) -> str:
    """Return an order as text."""
    why = f": {line.why}" if line.why else ""
    done = f", {line.filled} filled" if line.filled != "0" else ""
    return f"{line.asset} {line.side} {line.quantity} at {line.price}: {line.state}{done}{why}"


def asset_lines(answer: AssetAnswer) -> tuple[str, ...]:
    """Return the explanation of one asset, step by step."""
    head = f"{answer.strategy} {answer.asset}, session {answer.session}: {answer.verdict}"
    by = [f"  by the run {answer.run}"] if answer.run else []
    if answer.is_dry:
        by = [f"  by the dry run {answer.run}, which traded nothing: no run has traded this session"]
    steps = [f"  {step.name:<18} {step.text}" for step in answer.steps]
    return (head, *by, *([""] if steps else []), *steps, "", f"Look further: {answer.look}")
