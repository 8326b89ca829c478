"""The likely cause of each difference between ledger and broker, from evidence that both of them and the data give.

Of an asset, the first that explains the whole difference:

    fills      an order of ours of which the two know different fills; trades of others that the broker has told
    actions    a listed split, renaming, merger, spin-off or delisting of those days
    shape      what looks like one and is not listed: all of a position under a new name, a whole multiple without a
               trade, a short position that shrank, a position that is gone

Shares that an action brings or takes cost nothing; trades have their own cash; what only an estimate can be made of
(a fill whose price the broker has not told) is at the reference price, and the cash that is then left over goes to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from sigc.actions import Action, ActionKind
from sigc.store.ledger.adjustments import GapCause
from sigc.store.ledger.records import ZERO
from sigc_pipelines.reconcile.differences import CASH, BrokerDifference

_FEE_SHARE = Decimal("0.001")  # of the account's worth: less than this that left is a fee, more a withdrawal
_CENT = Decimal("0.01")
_LARGEST_RATIO = 100  # of a split that is not listed


@dataclass(frozen=True, slots=True)
class OrderGap:
    """An order of ours of which the broker has filled another quantity than the ledger knows.

    quantity: the broker's less the ledger's, signed by the side. price: of its reference.
    """

    client_order_id: str
    asset: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class ForeignTrade:
    """The fills of an order that this ledger did not send, as the broker told them, and nobody has adopted yet.

    quantity: signed, not zero. cash: the change of cash. is_ours: its id is one of sigc's.
    """

    client_order_id: str
    asset: str
    quantity: Decimal
    cash: Decimal
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts beside the differences themselves.

    actions: listed, with ex-dates of those days. held: in all books, by asset. worth: of the account.
    """

    gaps: Sequence[OrderGap] = ()
    trades: Sequence[ForeignTrade] = ()
    actions: Sequence[Action] = ()
    held: Mapping[str, Decimal] = field(default_factory=dict)
    worth: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class GapPart:
    """A part of a difference. change: of the quantity; cash: of the account's; price: per share, None keeps the cost.

    is_estimate: the cash is at a reference price.
    """

    change: Decimal
    cash: Decimal = ZERO
    price: Decimal | None = None
    client_order_id: str = ""
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedDifference:
    """A difference with its likely cause. other: the asset that it became, or came from. ratio: new shares per old.

    action: the listed one that it is.
    """

    difference: BrokerDifference
    cause: GapCause
    text: str
    parts: tuple[GapPart, ...] = ()
    other: str = ""
    ratio: Fraction | None = None
    action: Action | None = None

    def __str__(self) -> str:
        return f"{self.difference}: {self.text}"


def explain(
    found: Sequence[BrokerDifference], evidence: Evidence, *, is_cash_compared: bool
) -> tuple[ExplainedDifference, ...]:
    """Return every difference with its likely cause: those of assets and orders in their order, then that of cash."""
    shares = [d for d in found if d.asset != CASH and not d.is_order]
    by_asset = {d.asset: d for d in shares}
    known: dict[str, ExplainedDifference] = {}
    for one in shares:
        if one.asset not in known:
            known |= {e.difference.asset: e for e in _of_asset(one, by_asset, evidence)}
    if _is_other_account(shares):
        text = "the broker holds nothing of it: another account, or it was closed or reset"
        known |= {d.asset: _plain(d, GapCause.ACCOUNT, text) for d in shares}
    told = [known[d.asset] if d.asset in known else _of_order(d) for d in found if d.asset != CASH]
    if not is_cash_compared:
        return tuple(told)
    cash = next((d for d in found if d.asset == CASH), BrokerDifference(CASH, ZERO, ZERO))
    told, left = _with_estimates(told, cash)
    return (*told, *([_of_cash(replace(cash, broker=cash.ledger + left), evidence)] if left else ()))


def _of_asset(
    one: BrokerDifference, all: Mapping[str, BrokerDifference], evidence: Evidence
) -> tuple[ExplainedDifference, ...]:
    found = _of_fills(one, evidence) or _of_actions(one, all, evidence) or _of_shape(one, all)
    return found or (_plain(one, GapCause.TRANSFER, "no trade and no action explains it: a transfer, or a correction"),)


def _of_fills(one: BrokerDifference, evidence: Evidence) -> tuple[ExplainedDifference, ...]:
    gaps = [gap for gap in evidence.gaps if gap.asset == one.asset]
    trades = [trade for trade in evidence.trades if trade.asset == one.asset]
    missing, alien = sum((g.quantity for g in gaps), ZERO), sum((t.quantity for t in trades), ZERO)
    parts = [GapPart(g.quantity, -g.quantity * g.price, g.price, g.client_order_id, is_estimate=True) for g in gaps]
    others = [GapPart(t.quantity, t.cash, _price_of(t), t.client_order_id) for t in trades]
    if gaps and missing == one.excess:
        # Each gap takes from what the ledger holds: the ledger, not the broker, has the larger part.
        twice = all(gap.quantity * one.excess > 0 and gap.quantity * one.ledger < 0 for gap in gaps)
        ids = ", ".join(gap.client_order_id for gap in gaps[:3])
        if twice:
            return (_told(one, GapCause.FILL_TWICE, f"the ledger has more fills of {ids} than the broker", parts),)
        return (_told(one, GapCause.FILL_MISSING, f"the broker has fills of {ids} that it has not told", parts),)
    if trades and alien == one.excess:
        return (_of_trades(one, trades, others),)
    if gaps and trades and missing + alien == one.excess:
        return (
            _told(
                one,
                GapCause.TRADE,
                "fills that were not told, and trades that sigc did not send",
                parts + others,
            ),
        )
    return ()


def _of_trades(one: BrokerDifference, trades: Sequence[ForeignTrade], parts: Sequence[GapPart]) -> ExplainedDifference:
    ids = ", ".join(trade.client_order_id or "without an id" for trade in trades[:3])
    if any(trade.is_ours for trade in trades):
        text = f"orders of sigc that this ledger does not know ({ids}): it is an older copy, or another ledger trades"
        return _told(one, GapCause.RESTORED, text, parts)
    return _told(one, GapCause.TRADE, f"a hand trade or another program: orders that sigc did not send ({ids})", parts)


def _price_of(trade: ForeignTrade) -> Decimal:
    return abs(trade.cash / trade.quantity).quantize(Decimal("0.000001"))


def _of_actions(
    one: BrokerDifference, all: Mapping[str, BrokerDifference], evidence: Evidence
) -> tuple[ExplainedDifference, ...]:
    """Return the explanation by an action that the data list; it covers both assets of one that joins two."""
    for action in evidence.actions:
        if one.asset not in (action.asset, action.into):
            continue
        old, new = all.get(action.asset), all.get(action.into)
        found = _of_action(one, old, new, action)
        if found:
            return tuple(replace(each, action=action) for each in found)
    return ()


def _of_action(
    one: BrokerDifference, old: BrokerDifference | None, new: BrokerDifference | None, action: Action
) -> tuple[ExplainedDifference, ...]:
    day, kind = action.ex_date, action.kind
    if new is not None and kind is ActionKind.SPINOFF and one is new:
        return (_plain(new, GapCause.SPIN_OFF, f"spin-off of {action.asset} of {day}", other=action.asset),)
    if old is None:
        return ()
    if kind is ActionKind.SPLIT and _is_multiple(old, action.ratio):
        ratio = action.ratio
        text = f"split {ratio.numerator}:{ratio.denominator} of {day}, which the broker has applied"
        return (_plain(old, GapCause.SPLIT, text, ratio=ratio),)
    if kind is ActionKind.RENAME and new is not None and _is_rename(old, new):
        return _renamed(old, new, f"renamed on {day}")
    if kind in (ActionKind.MERGE, ActionKind.DELIST) and old.broker == 0:
        return _ended(old, new, action)
    return ()


def _ended(old: BrokerDifference, new: BrokerDifference | None, action: Action) -> tuple[ExplainedDifference, ...]:
    if action.kind is ActionKind.DELIST:
        value = ZERO if action.value is None else Decimal(repr(float(action.value)))
        paid = (old.ledger * value).quantize(_CENT)
        part = GapPart(old.excess, paid, value, is_estimate=action.value is None)
        return (_told(old, GapCause.DELISTING, f"delisted on {action.ex_date}", (part,)),)
    paid = (old.ledger * Decimal(repr(float(action.cash)))).quantize(_CENT)
    text = f"merged into {action.into or 'cash'} on {action.ex_date}"
    gone = ExplainedDifference(
        old, GapCause.MERGER, text, (GapPart(old.excess, paid, ZERO),), action.into, action.ratio
    )
    if new is None:
        return (gone,)
    return (gone, _plain(new, GapCause.MERGER, f"shares for {old.asset}", other=old.asset))


def _of_shape(one: BrokerDifference, all: Mapping[str, BrokerDifference]) -> tuple[ExplainedDifference, ...]:
    pairs = [(a, b) for a in all.values() for b in all.values() if _is_rename(a, b)]
    own = [pair for pair in pairs if one in pair]
    if len(own) == 1 and len([pair for pair in pairs if own[0][0] in pair or own[0][1] in pair]) == 1:
        old, new = own[0]
        return _renamed(old, new, "all of it under another name: renamed, though no action is listed")
    ratio = _whole_ratio(one)
    if ratio is not None:
        text = f"as after a split {ratio.numerator}:{ratio.denominator}, without a trade and not listed"
        return (_plain(one, GapCause.SPLIT, text, ratio=ratio),)
    if one.ledger < 0 and one.ledger < one.broker <= 0:
        return (_plain(one, GapCause.RECALL, "a short position is smaller without a trade of ours: recalled"),)
    if one.broker == 0:
        return (_plain(one, GapCause.DELISTING, "gone at the broker without a trade: delisted, merged or moved away"),)
    return ()


def _renamed(old: BrokerDifference, new: BrokerDifference, text: str) -> tuple[ExplainedDifference, ...]:
    return (
        _plain(old, GapCause.RENAME, f"{text}: now {new.asset}", other=new.asset),
        _plain(new, GapCause.RENAME, f"{text}: {old.asset} before", other=old.asset),
    )


def _is_rename(old: BrokerDifference, new: BrokerDifference) -> bool:
    return old.ledger != 0 and old.broker == 0 and new.ledger == 0 and new.broker == old.ledger


def _is_multiple(one: BrokerDifference, ratio: Fraction) -> bool:
    """Return True if the broker holds what a split makes of the ledger's position.

    A broker that holds whole shares may pay a fraction in cash, or round it up; one that holds fractions is exact.
    """
    off = abs(Fraction(one.broker) - Fraction(one.ledger) * ratio)
    return one.ledger * one.broker > 0 and (off < 1 if one.broker % 1 == 0 else off == 0)


def _whole_ratio(one: BrokerDifference) -> Fraction | None:
    """Return n:1 or 1:n where the position is that multiple, None otherwise."""
    if one.ledger * one.broker <= 0:
        return None
    larger, smaller = sorted((abs(one.ledger), abs(one.broker)), reverse=True)
    n = round(larger / smaller)
    if not 2 <= n <= _LARGEST_RATIO:
        return None
    ratio = Fraction(n) if abs(one.broker) > abs(one.ledger) else Fraction(1, n)
    return ratio if _is_multiple(one, ratio) else None


def _is_other_account(shares: Sequence[BrokerDifference]) -> bool:
    return len([d for d in shares if d.ledger != 0]) > 1 and all(d.broker == 0 for d in shares)


def _of_order(one: BrokerDifference) -> ExplainedDifference:
    if one.broker == 0:
        return _plain(one, GapCause.ORDER_GONE, "open in the ledger, and not in the broker's book")
    text = "an order of sigc is open at the broker and not in the ledger: it is an older copy"
    return _plain(one, GapCause.ORDER_UNKNOWN, text)


def _with_estimates(
    told: Iterable[ExplainedDifference], cash: BrokerDifference
) -> tuple[list[ExplainedDifference], Decimal]:
    """Return the explanations, and the cash that none of them explains; an estimate takes what is left."""
    found = list(told)
    left = cash.excess - sum((part.cash for one in found for part in one.parts), ZERO)
    for number, one in enumerate(found):
        parts = list(one.parts)
        for place, part in enumerate(parts):
            if part.is_estimate and left:
                parts[place], left = replace(part, cash=part.cash + left), ZERO
        found[number] = replace(one, parts=tuple(parts))
    return found, left


def _of_cash(one: BrokerDifference, evidence: Evidence) -> ExplainedDifference:
    part = (GapPart(ZERO, one.excess),)
    for action in evidence.actions:
        paid = evidence.held.get(action.asset, ZERO) * Decimal(repr(float(action.cash)))
        if action.kind is ActionKind.DIVIDEND and paid and abs(one.excess - paid) <= _CENT:
            text = f"as a dividend of {action.cash:g} of {action.asset} of {action.ex_date}"
            return ExplainedDifference(one, GapCause.DIVIDEND, text, part, action.asset)
    if one.excess < 0 and -one.excess <= max(evidence.worth, ZERO) * _FEE_SHARE:
        return ExplainedDifference(one, GapCause.FEE, "a fee, interest or tax that the broker has not told", part)
    text = "money was paid in" if one.excess > 0 else "money was taken out"
    return ExplainedDifference(one, GapCause.TRANSFER, text, part)


def _plain(
    one: BrokerDifference, cause: GapCause, text: str, *, other: str = "", ratio: Fraction | None = None
) -> ExplainedDifference:
    is_sum = not one.is_order and one.asset != CASH
    return ExplainedDifference(one, cause, text, (GapPart(one.excess),) if is_sum else (), other, ratio)


def _told(one: BrokerDifference, cause: GapCause, text: str, parts: Sequence[GapPart]) -> ExplainedDifference:
    return ExplainedDifference(one, cause, text, tuple(parts))
