"""Readers of corporate actions from files, in one of two forms.

    date, ticker, kind, value, into, ratio, cash, pay_date, id     one row per action (see `corporate_kinds`)
    date, ticker, split, dividend                                  1 or empty: no split; 0 or empty: no dividend

    acts = read_actions(spec, files, exchange)      of a source `corporate_actions`
    acts = rows_of_prices(spec, files, exchange)    of the split and dividend columns of a file of prices

An ex-date is a day; an instant counts for its session. Actions of one asset and day are merged: dividends without an id
add up; rows that may be two actions, or one written twice, are E201, which names both rows.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigc.actions import Action, ActionKind, in_order
from sigc.blocks.block import digest
from sigc.data.actions.corporate_columns import ColumnRoles, Rows, named, numbers_at, ratios_at, roles_of
from sigc.data.actions.corporate_kinds import LongForm
from sigc.data.asof import days_where_written
from sigc.data.dates.exchange import Exchange
from sigc.data.dates.stamps import settle, stamps_of
from sigc.data.formats.cells import fixed, is_number, plain, texts
from sigc.data.formats.layout import layout
from sigc.data.formats.shape import assets_of
from sigc.data.formats.table import opened
from sigc.data.missing_words import MISSING
from sigc.data.source_errors import problem
from sigc.data.sources.by_file import symbol_of
from sigc.data.sources.frames import WHERE, table_of
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, Severity
from sigc.panel import Dates, Floats
from sigc.source_words import Frequency

MAX_CELLS = 1 << 31


@dataclass(frozen=True, slots=True)
class CorporateActions:
    """Corporate actions in order (see `in_order`), and the findings of reading them."""

    actions: tuple[Action, ...] = ()
    findings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Written:
    """An action and its place in a file; rows count from 1, the header is row 1."""

    action: Action
    file: str
    row: int


@dataclass(slots=True)
class _Read:
    """The rows and findings gathered so far."""

    rows: list[_Written] = field(default_factory=list)
    findings: list[Diagnostic] = field(default_factory=list)


def read_actions(
    spec: SourceSpec, files: Sequence[str], exchange: Exchange, max_cells: int = MAX_CELLS
) -> CorporateActions:
    """Read the actions of a source `corporate_actions`. files: local paths or URLs. Raise E200, E201, E202."""
    read = _Read()
    for file in files:
        own = _of_file(_of_days(spec), file)
        with opened(own, file, max_cells) as table:
            roles = roles_of(own, file, table.head())
            arrow = table.read(roles.columns, ())
        _add(read, own, file, arrow, roles, exchange)
    return _settled(spec, read)


def held_actions(spec: SourceSpec, given: Any, exchange: Exchange) -> CorporateActions:
    """Read the actions of a pandas or polars frame, or of an arrow table. Raise E201, E202."""
    own, arrow = table_of(_of_days(spec), given)
    read = _Read()
    _add(read, own, WHERE, arrow, roles_of(own, WHERE, arrow), exchange)
    return _settled(own, read)


def rows_of_prices(
    spec: SourceSpec, files: Sequence[str], exchange: Exchange, max_cells: int = MAX_CELLS
) -> CorporateActions:
    """Read the actions in the split and dividend columns of price files; none from a file without such columns.

    spec: of the prices; dates and assets are found in the same way as for the prices. Raise E200, E201, E202.
    """
    read = _Read()
    for file in files:
        own = replace(_of_file(spec, file), dtype="float64")
        with opened(own, file, max_cells) as table:
            head = table.head()
            columns = [named(own, file, list(head.schema.names), role) for role in ("split", "dividend")]
            if not any(columns):
                continue
            how = layout(replace(own, column=columns[0] or columns[1]), file, head, table.indices)
            if how.shape not in ("long", "fields"):  # in a wide file, a column of that name is an asset
                continue
            roles = ColumnRoles(how.date, how.asset, split=columns[0], dividend=columns[1])
            arrow = table.read(roles.columns, [c for c in columns if c])
        _add(read, own, file, arrow, roles, exchange)
    return replace(_settled(spec, read), findings=())  # reading the prices reports the same findings


def has_actions(spec: SourceSpec, file: str, max_cells: int = MAX_CELLS) -> bool:
    """Return True for a price file with a column of splits or dividends."""
    own = _of_file(spec, file)
    with opened(own, file, max_cells) as table:
        names = list(table.head().schema.names)
    return any(named(own, file, names, role) for role in ("split", "dividend"))


def digest_of(actions: Iterable[Action]) -> dict[str, str]:
    """Return a digest of each asset's actions, by name; independent of their order."""
    ordered = sorted(actions, key=_order)
    lines: dict[str, list[str]] = {}
    for action in ordered:
        lines.setdefault(action.asset, []).append(repr(_content(action)))
    return {asset: digest("actions", *said) for asset, said in sorted(lines.items())}


def _content(of: Action) -> tuple[object, ...]:
    paid = of.pay_date.isoformat() if of.pay_date else ""
    amounts = (str(of.ratio), of.cash, of.into, of.value, of.total_return)
    return (of.ex_date.isoformat(), of.kind.value, *amounts, paid, of.id)


def _order(of: Action) -> tuple[str, str, str, str, str]:
    return of.ex_date.isoformat(), of.asset, of.kind.value, of.id, repr(_content(of))


# -- a file ------------------------------------------------------------------------------------------------------


def _of_days(spec: SourceSpec) -> SourceSpec:
    """Return the declaration as it applies to actions: rows are days at irregular distances; cells are numbers."""
    options = replace(spec.options, frequency=Frequency("irregular"), available_after=None)
    return replace(spec, dtype="float64", options=options)


def _of_file(spec: SourceSpec, file: str) -> SourceSpec:
    """Return the declaration of one file of a source: `symbol_from=filename` names its asset."""
    if not spec.options.symbol_from:
        return spec
    return replace(spec, options=replace(spec.options, symbol=symbol_of(file), symbol_from=""))


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """For each row of a table its day (NaT: outside of sessions, left out) and its asset, an index into `names`."""

    days: NDArray[np.datetime64]
    names: tuple[str, ...]
    asset: NDArray[np.intp]


def _add(read: _Read, spec: SourceSpec, file: str, table: Any, roles: ColumnRoles, exchange: Exchange) -> None:
    """Add the actions of a table to those read."""
    if table.num_rows == 0:
        return
    dated = settle(spec, file, stamps_of(spec, file, table[roles.date], roles.date), exchange, roles.date)
    days = np.full(dated.count, "NaT", "datetime64[D]")
    days[slice(None) if dated.keep is None else dated.keep] = _days(dated.dates, exchange, dated.is_intraday)
    placed = _Placed(days, (spec.options.symbol,), np.zeros(dated.count, np.intp))
    if roles.asset:
        names, asset, findings = assets_of(spec, file, table[roles.asset], roles.asset)
        placed = _Placed(days, names, asset)
        read.findings += findings
    read.findings += dated.findings
    read.rows += (_long if roles.kind else _by_column)(spec, file, table, roles, placed)


def _days(dates: Dates, exchange: Exchange, is_intraday: bool) -> NDArray[np.datetime64]:
    """Return the day of each row; for bars the day of their session."""
    days = dates.astype("datetime64[D]")
    if not is_intraday:
        return days
    sessions = exchange.session_of(dates.view("i8")).astype("datetime64[D]")
    return np.where(np.isnat(sessions), days, sessions)


def _long(spec: SourceSpec, file: str, table: Any, roles: ColumnRoles, placed: _Placed) -> list[_Written]:
    form = LongForm(spec, file, table, roles)
    assets = [placed.names[a] for a in placed.asset.tolist()]
    paid = _paid(spec, file, table, roles)
    return [_Written(a, file, row + 2) for row, a in form.actions(placed.days.tolist(), assets, paid)]


def _paid(spec: SourceSpec, file: str, table: Any, roles: ColumnRoles) -> list[datetime.date | None]:
    """Return the pay date of each row, None for an empty cell."""
    if not roles.pay_date:
        return [None] * table.num_rows
    found = days_where_written(spec, file, table[roles.pay_date], roles.pay_date)
    days: list[datetime.date | None] = found.view("datetime64[ns]").astype("datetime64[D]").tolist()
    return days


def _by_column(spec: SourceSpec, file: str, table: Any, roles: ColumnRoles, placed: _Placed) -> list[_Written]:
    """Return splits and dividends of separate columns. Only rows with an action become Python objects."""
    inside, found = ~np.isnat(placed.days), []
    if roles.split:
        column = table[roles.split]
        for row, ratio in ratios_at(spec, file, column, roles.split, inside & _splits(column)).items():
            if ratio != 1:
                day = placed.days[row].tolist()
                found.append((row, Action(day, placed.names[placed.asset[row]], ActionKind.SPLIT, ratio)))
    if roles.dividend:
        cash = numbers_at(spec, file, table[roles.dividend], roles.dividend, inside)
        rows = np.flatnonzero(~np.isnan(cash) & (cash != 0.0))
        _refuse_negative(spec, file, roles.dividend, cash, rows)
        paid = _paid(spec, file, table, roles)
        days, assets = placed.days[rows].tolist(), placed.asset[rows].tolist()
        for row, day, which, amount in zip(rows.tolist(), days, assets, cash[rows].tolist(), strict=True):
            name = placed.names[which]
            found.append((row, Action(day, name, ActionKind.DIVIDEND, cash=amount, pay_date=paid[row])))
    return [_Written(action, file, row + 2) for row, action in found]


def _refuse_negative(spec: SourceSpec, file: str, name: str, cash: Floats, rows: NDArray[np.intp]) -> None:
    bad = rows[cash[rows] < 0.0]
    if len(bad):
        message = f"row {bad[0] + 2}, column '{name}': the dividend is negative: {cash[bad[0]]:g}"
        raise problem(spec, "E201", file, message, "a payment by shareholders is not a corporate action")


def _splits(column: Any) -> Rows:
    """Return the rows that may hold a split: not missing, 0 or 1. Each distinct text is parsed once."""
    whole = plain(column)
    if is_number(whole.type):
        values: Floats = fixed(whole.cast(pa.float64(), safe=False), np.float64)
        acts: Rows = ~np.isnan(values) & (values != 0.0) & (values != 1.0)
        return acts
    encoded = pa.concat_arrays(whole.chunks).cast(pa.string()).dictionary_encode()
    says = np.array([_says_split(t) for t in texts(encoded.dictionary)] + [False], bool)
    place = encoded.indices.fill_null(len(says) - 1).to_numpy(zero_copy_only=False)
    found: Rows = says[np.asarray(place, np.intp)]
    return found


def _says_split(text: str | None) -> bool:
    if text is None or text in MISSING:
        return False
    try:
        return float(text) not in (0.0, 1.0)
    except ValueError:
        return True


# -- one asset's day ---------------------------------------------------------------------------------------------


def _settled(spec: SourceSpec, read: _Read) -> CorporateActions:
    """Return all actions, each once, in order. Raise E201 for ambiguous duplicates."""
    read.rows.sort(key=lambda w: (w.action.ex_date, w.action.asset, w.action.kind.value, w.action.id))
    made: list[Action] = []
    for _, group in groupby(read.rows, key=lambda w: (w.action.ex_date, w.action.asset, w.action.kind)):
        same = list(group)
        made += [same[0].action] if len(same) == 1 else _together(spec, same, read.findings)
    return CorporateActions(in_order(made), tuple(dict.fromkeys(read.findings)))


def _together(spec: SourceSpec, same: list[_Written], findings: list[Diagnostic]) -> list[Action]:
    """Merge several rows of one kind, asset and day. Only dividends, and spin-offs of several companies, may be
    several.
    """
    kept: list[_Written] = []
    for one in same:
        twin = next((k for k in kept if _is_same(k.action, one.action)), None)
        if twin is None:
            kept.append(one)
        elif twin.action != one.action or (one.action.kind is ActionKind.DIVIDEND and not one.action.id):
            raise _twice(spec, twin, one)
    if kept[0].action.kind is not ActionKind.DIVIDEND:
        return [k.action for k in kept]
    plainly = [k for k in kept if not k.action.id]
    return [*_sum(spec, plainly, findings), *(k.action for k in kept if k.action.id)]


def _is_same(a: Action, b: Action) -> bool:
    """Return True for two rows that exclude each other, or repeat each other."""
    match a.kind:
        case ActionKind.DIVIDEND:
            return a.id == b.id and (bool(a.id) or (a.cash, a.pay_date) == (b.cash, b.pay_date))
        case ActionKind.SPINOFF:
            return a.into == b.into
    return True


def _twice(spec: SourceSpec, first: _Written, second: _Written) -> Exception:
    a, b = first.action, second.action
    other = f"row {second.row}" if first.file == second.file else f"row {second.row} of {second.file}"
    says = f"{_amount(a)} and {_amount(b)}" if a != b else f"{_amount(a)} both times"
    message = f"has two actions '{a.kind}' of '{a.asset}' on {a.ex_date}: row {first.row} and {other}, {says}"
    hint = "remove one" if a.kind is not ActionKind.DIVIDEND or a.id else "remove one, or give each an id of its own"
    return problem(spec, "E201", first.file, message, hint)


def _amount(of: Action) -> str:
    match of.kind:
        case ActionKind.SPLIT:
            return f"{of.ratio.numerator}:{of.ratio.denominator}"
        case ActionKind.DIVIDEND:
            return f"{of.cash:g}"
        case ActionKind.RENAME:
            return f"'{of.into}'"
        case ActionKind.DELIST:
            said = of.value if of.value is not None else of.total_return
            return "nothing" if said is None else f"{said:g}"
    return f"{of.ratio} of '{of.into}' and {of.cash:g}"


def _sum(spec: SourceSpec, rows: list[_Written], findings: list[Diagnostic]) -> list[Action]:
    """Merge dividends without an id into one, paid at the latest of their pay dates."""
    if len(rows) < 2:
        return [r.action for r in rows]
    first = rows[0].action
    paid = {r.action.pay_date or first.ex_date for r in rows}
    if len(paid) > 1:
        message = (
            f"source '{spec.name}': {len(rows)} dividends of '{first.asset}' on {first.ex_date} are paid on different "
            f"days: they count as one, paid on {max(paid)}"
        )
        hint = "give each an id of its own"
        findings.append(Diagnostic("W007", message, spec.span, Severity.WARNING, hint=hint))
    # Decimal sum of the written numbers: 0.1 + 0.2 is 0.3.
    cash = float(sum((Decimal(repr(r.action.cash)) for r in rows), Decimal(0)))
    pay_date = max(paid) if any(r.action.pay_date for r in rows) else None
    return [replace(first, cash=cash, pay_date=pay_date)]
