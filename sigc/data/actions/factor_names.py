"""Names of the factors that adjust a source, derived from the declarations of a file alone.

A source with `adjust=` is stored as traded. Signals see raw x factor, and the factor is a source of its own:

    close:split     the product of splits
    close:total     the product of splits and of dividends over closes
    close:shares    one over the product of splits: for counts of shares

It is made from one series of closes, and serves all price columns beside them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from sigc.data.sources.spec import SourceSpec

SPLIT, TOTAL, SHARES = "split", "total", "shares"
_CLOSES = ("close", "price", "px", "prices")
_MARK = ":"  # not allowed in names of sources


def factor_of(spec: SourceSpec, specs: Sequence[SourceSpec]) -> str:
    """Return the name of a source's factor, '' if it is not adjusted. specs: all of the strategy."""
    if spec.adjust == "none":
        return ""
    kind = SHARES if spec.is_volume else SPLIT if spec.adjust == "split" else TOTAL
    return f"{closes_of(spec, specs).name}{_MARK}{kind}"


def with_traded(specs: Sequence[SourceSpec]) -> tuple[SourceSpec, ...]:
    """Return the sources of a strategy, and one for each column named by `traded=`."""
    names = {s.name for s in specs}
    more = [
        replace(
            s,
            name=f"{s.name}{_MARK}traded",
            column=s.options.traded,
            adjust="none",
            options=replace(s.options, traded="", adjusted=False),
        )
        for s in specs
        if s.options.traded and s.options.traded not in names
    ]
    return (*specs, *more)


def traded_of(spec: SourceSpec, names: Container[str]) -> str:
    """Return the name of the source with the traded prices of a source: itself by default. names: of all sources."""
    said = spec.options.traded
    if not said:
        return spec.name
    return said if said in names else f"{spec.name}{_MARK}traded"


def parts_of(name: str) -> tuple[str, str]:
    """Return (source of closes, kind) of a factor's name; two empty texts for any other source."""
    closes, mark, kind = name.rpartition(_MARK)
    return (closes, kind) if mark else ("", "")


def closes_of(spec: SourceSpec, specs: Sequence[SourceSpec]) -> SourceSpec:
    """Return the source of closes for a source's dividends: of the same files, else any closes, else itself."""
    prices = [s for s in specs if s.dtype != "category" and not s.is_actions and not s.is_volume]
    same = [s for s in prices if (s.path, s.others) == (spec.path, spec.others)]
    for group in (same, prices):
        for word in _CLOSES:
            for one in group:
                if word in (one.name.rpartition(".")[2].lower(), one.column.lower()):
                    return one
    return spec
