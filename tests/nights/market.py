"""Nights on which the broker, the market or a source of data do what nobody expects."""

from __future__ import annotations

import numpy as np

from tests.nights.night import SECOND, Night
from tests.nights.nights import Values, goes_through, way


@way("did_not_run filled_less", "fills", "success, nothing filled")
def all_orders_expire(night: Night) -> None:
    """Limits that the market does not come to: each price runs away from its order."""
    night.site.settings["execution"] |= {"order_type": "limit", "limit_offset_bps": 0.0}
    night.is_not_examined()
    night.begin()
    wanted = night.site.run(is_dry=True).result["orders"]
    away = {one["asset"]: 1.1 if one["side"] == "buy" else 0.9 for one in wanted}
    night.prices_of(lambda values, names, row: run_away(values, names, row, away))
    night.nine()
    night.until_ended(2)
    night.turn(night.at_nine(10 * 3600.0, SECOND))
    night.until_told("filled_less")


def run_away(values: Values, names: list[str], row: int, away: dict[str, float]) -> list[str]:
    for at, name in enumerate(names):
        values[row + 1 :, at] *= away.get(name, 1.0)
    return names


@way("did_not_run traded_part book_not_kept", "broker", "partial")
def the_broker_hangs_in_the_middle(night: Night) -> None:
    """Some orders are out, then no answer comes until the cut-off."""
    night.is_not_examined()
    night.begin(None, "post:after", "3", f"lock={night.site.folder}/work/paper.sqlite")
    night.nine()
    night.site.until(lambda: night.count("intents WHERE state = 'acknowledged'") == 3, "three orders are out")
    night.nine(3700.0)
    night.until_told("did_not_run")
    night.nine(7 * 3600.0 + 5)
    night.until_over()


@way("run_failed book_not_kept", "data", "failed")
def a_source_answers_with_other_assets(night: Night) -> None:
    night.prices_of(lambda _values, names, _row: [f"X{name}" for name in names])
    goes_through(night)


@way("run_failed book_not_kept", "data", "failed")
def a_source_answers_with_zeros(night: Night) -> None:
    def zero(values: Values, row: int) -> None:
        values[row] = np.where(np.isnan(values[row]), np.nan, 0.0)

    night.prices(zero)
    goes_through(night)
