"""The settings of circuit breakers: each measures one thing over the closes of a book, and acts when it is reached."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from sigc.config.section import Section

BreakerType = Literal["loss", "drawdown", "streak", "volatility"]
BreakerAction = Literal["halt_trading", "pause_30min", "reduce_exposure", "flatten", "alert_only"]
_ONE_SESSION = re.compile(r"1\s*d?")


class BreakerSettings(Section):
    """One circuit breaker. It is judged at each close: for every book, and for all books together."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$", description="Its name in commands, alerts and metrics.")
    type: BreakerType = Field(
        description="loss: over the window; drawdown: from the highest close of the window; streak: sessions in a row with a loss; volatility: annualised, of the window's returns."
    )
    threshold: float = Field(
        gt=0,
        allow_inf_nan=False,
        description="Value at which it trips, reached or exceeded: a fraction (0.05 is 5 %), or the number of sessions of a streak.",
    )
    window: str = Field(
        "",
        pattern=r"^([1-9]\d{0,3}\s*[dw]?)?$",
        description="Sessions it looks back over, such as 1d, 20d or 1w (5 sessions); empty: 1d for a loss, 20d for volatility, all of it for a drawdown; a streak has none.",
    )
    action: BreakerAction = Field(
        "halt_trading",
        description="halt_trading: nothing is sent until it is reset; pause_30min: no new run for half an hour; reduce_exposure: only orders that reduce; flatten: halt, and close the positions; alert_only: an alert.",
    )

    @model_validator(mode="after")
    def _fits(self) -> BreakerSettings:
        if self.type in ("loss", "drawdown") and self.threshold > 1:
            raise ValueError(f"the threshold {self.threshold:g} is more than everything: 5 % is 0.05")
        if self.type == "streak" and self.threshold != int(self.threshold):
            raise ValueError(f"the threshold {self.threshold:g} of a streak is a number of sessions: expected e.g. 5")
        if self.type == "streak" and self.window:
            raise ValueError("a streak has no window: its threshold is the number of sessions")
        if self.type == "volatility" and _ONE_SESSION.fullmatch(self.window):
            raise ValueError(f"the window {self.window} has no volatility: expected at least 2d")
        return self
