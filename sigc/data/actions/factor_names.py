"""Which factor makes a source's prices comparable over corporate actions, by the declarations of a file alone.

A source with `adjust=` is stored as traded. What signals see is raw x factor, and the factor is a source of its own:

    close:split     the product of splits
    close:total     the product of splits and of dividends over closes
    close:shares    one over the product of splits: for counts of shares

It is made from one series of closes, and serves all price columns that stand beside them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from sigc.data.sources.spec import SourceSpec

SPLIT, TOTAL, SHARES = "split", "total", "shares"
_CLOSES = ("close", "price", "px", "prices")
_MARK = ":"  # no name of a source has one


def factor_of(spec: SourceSpec, specs: Sequence[SourceSpec]) -> str:
    """The name of the factor of a source, '' for one that is not adjusted. specs: all of the strategy."""
    if spec.adjust == "none":
        return ""
    kind = SHARES if spec.is_volume else SPLIT if spec.adjust == "split" else TOTAL
    return f"{closes_of(spec, specs).name}{_MARK}{kind}"


def with_traded(specs: Sequence[SourceSpec]) -> tuple[SourceSpec, ...]:
    """The sources of a strategy, with one for each column that `traded=` names."""
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
    """The source that holds what a source's prices were traded at: itself, if it names none. names: of all sources."""
    said = spec.options.traded
    if not said:
        return spec.name
    return said if said in names else f"{spec.name}{_MARK}traded"


def parts_of(name: str) -> tuple[str, str]:
    """The source of closes of a factor, and its kind; two empty texts for a source that is none."""
    closes, mark, kind = name.rpartition(_MARK)
    return (closes, kind) if mark else ("", "")


def closes_of(spec: SourceSpec, specs: Sequence[SourceSpec]) -> SourceSpec:
    """The source whose closes its dividends are measured by: of the same files, else one of closes, else itself."""
    prices = [s for s in specs if s.dtype != "category" and not s.is_actions and not s.is_volume]
    same = [s for s in prices if (s.path, s.others) == (spec.path, spec.others)]
    for group in (same, prices):
        for word in _CLOSES:
            for one in group:
                if word in (one.name.rpartition(".")[2].lower(), one.column.lower()):
                    return one
    return spec
