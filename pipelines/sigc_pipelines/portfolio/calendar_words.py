"""Rebalance words (daily, weekly, monthly, quarterly, annually) as numbers of rows, if all rows are sessions."""

from __future__ import annotations

from sigc.data.catalog import Source
from sigc.errors import Diagnostic, SigcError
from sigc.lang.semantics.rebalance import ROWS
from sigc.plan.strategy import Strategy

_OF_THE_CALENDAR = {"weekly": "week_end", "monthly": "month_end", "quarterly": "quarter_end", "annually": "year_end"}


def check_words(strategy: Strategy, traded: Source) -> None:
    """Refuse (E101) `rebal=monthly` and its like, so many sessions, where rows are no sessions."""
    frequency = traded.rows.frequency
    if frequency.word == "sessions" or traded.static:
        return
    what = f"{frequency.bars} bars a session" if frequency.bars else frequency.word.replace("_", " ")
    wrong = []
    for portfolio in strategy.portfolios:
        settings = portfolio.backtest
        if settings is not None and (word := settings.rebalance.word) in ROWS:
            message = f"rebal={word} is {ROWS[word]} sessions, and rows of '{traded.name}' are {what}"
            other = _OF_THE_CALENDAR.get(word, "week_end")
            hint = f"give a number of rows, as rebal={ROWS[word]}, or a word of the calendar, as rebal={other}"
            wrong.append(Diagnostic("E101", message, settings.span, hint=hint))
    if wrong:
        raise SigcError(*wrong)
