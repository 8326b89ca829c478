"""Statements of books and their blotter: as text, rows of a CSV file, a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal

from sigc.store.history.statement import Statement
from sigc_pipelines.text.table import table

Rows = list[tuple[str, ...]]
_BLOTTER = ("session", "executed", "strategy", "portfolio", "asset", "side", "quantity", "price", "commission",
            "realised", "client_order_id", "execution_id")  # fmt: skip
_LOTS = ("asset", "opened", "quantity", "cost")
_HEADS = ("strategy", "portfolio", "since", "until", "item", "asset", "opened", "quantity", "amount")


def statement_text(found: Sequence[Statement]) -> str:
    """Return statements as text: how the NAV came about, then the open lots."""
    parts = []
    for one in found:
        parts.append(f"{_name(one)}, {one.since} to {one.until}")
        parts.append(table([("", "amount"), *((name, f"{amount:,.2f}") for name, amount in amounts(one))]))
        parts.append(table([_LOTS, *_lots(one)]) if one.lots else "nothing is held")
    return "\n\n".join(parts)


def amounts(one: Statement) -> list[tuple[str, Decimal]]:
    """Return the lines of a statement, from the NAV before to the NAV after."""
    return [
        ("NAV before", one.before),
        ("realised", one.realised),
        ("unrealised", one.unrealised),
        ("commissions", one.commissions),
        ("dividends", one.dividends),
        *one.charges.items(),
        ("transfers", one.transfers),
        ("NAV after", one.after),
    ]


def statement_csv(found: Iterable[Statement]) -> str:
    """Return statements as rows: amounts by item, then the open lots."""
    rows: Rows = [_HEADS]
    for one in found:
        key = (one.book.strategy, one.book.portfolio, one.since, one.until)
        rows += [(*key, name, "", "", "", f"{amount:f}") for name, amount in amounts(one)]
        rows += [(*key, "lot", lot.asset, lot.session, f"{lot.quantity:f}", f"{lot.cost:f}") for lot in one.lots]
    return _csv(rows)


def blotter_rows(found: Iterable[Statement]) -> Rows:
    """Return every execution of the statements, heads first."""
    rows: Rows = [_BLOTTER]
    for one in found:
        for execution in one.executions:
            fill = execution.fill
            numbers = (fill.quantity, fill.price, fill.commission, execution.realised)
            rows.append(
                (
                    *(execution.session, fill.at.isoformat(), one.book.strategy, one.book.portfolio, fill.asset),
                    *(str(fill.side), *(f"{number:f}" for number in numbers)),
                    *(fill.client_order_id, fill.execution_id),
                )
            )
    return rows


def blotter_csv(found: Iterable[Statement]) -> str:
    """Return the blotter as CSV."""
    return _csv(blotter_rows(found))


def statement_page(found: Sequence[Statement]) -> str:
    """Return statements and their blotter as one HTML file."""
    from sigc_dashboard.reports.document import document, facts, grid, section

    body = []
    for one in found:
        lines = tuple((name, f"{amount:,.2f}") for name, amount in amounts(one))
        body.append(section(f"{_name(one)}, {one.since} to {one.until}", facts("Statement", lines)))
        if one.lots:
            body.append(section("Open lots", grid("Open lots", _LOTS, _lots(one), (2, 3))))
        heads, *rows = blotter_rows([one])
        if rows:
            body.append(section("Executions", grid("Executions", heads, rows, (6, 7, 8, 9))))
    names = ", ".join(_name(one) for one in found)
    return document("Statement", names, f"{found[0].since} to {found[0].until}", body)


def _lots(one: Statement) -> Rows:
    return [(lot.asset, lot.session, f"{lot.quantity:f}", f"{lot.cost:,.2f}") for lot in one.lots]


def _name(one: Statement) -> str:
    return f"{one.book.strategy}/{one.book.portfolio}"


def _csv(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
