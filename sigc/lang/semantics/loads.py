"""Data sources: their names, their kinds, and the check of their options against `sigc.source_options`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigc.errors import SigcError, did_you_mean
from sigc.lang.syntax.nodes import Load, Name, Number, Option, Text
from sigc.lang.vocabulary import FORMAT_WORDS
from sigc.source_measures import PRICES, measures
from sigc.source_options import ACTIONS, LABELS, NUMBERS, OPTIONS, SourceOption, read

if TYPE_CHECKING:
    from sigc.lang.semantics.resolve import Resolver

_ACTIONS = "corporate_actions"


def load_name(load: Load) -> str:
    """Return the name of a source in expressions: `roe` of `data fundamentals:` is `fundamentals.roe`."""
    return f"{load.section}.{load.name}" if load.section and load.name != load.section else load.name


def is_category(load: Load) -> bool:
    """Return True if the text declares that a source holds labels."""
    if load.dtype.lower() == "category" or load.format == "sector":
        return True
    return any(o.name == "dtype" and written_of(o) == "category" for o in load.options)


def written_of(option: Option) -> float | str:
    """Return an option's value as written: a number, or the text of anything else."""
    match option.value:
        case Name(text):
            return text
        case Text(value):
            return value
        case Number(value, days):
            return f"{value:.0f}d" if days else value
    return ""


def check_loads(of: Resolver, loads: tuple[Load, ...]) -> None:
    """Report errors in formats and options to the resolver."""
    told: set[tuple[Option, ...]] = set()
    for load in loads:
        if load.format and load.format not in FORMAT_WORDS and load.format not in _sources(load.format):
            hint = did_you_mean(load.format, FORMAT_WORDS) or f"one of {', '.join(FORMAT_WORDS)}"
            of.error("E001", f"unknown format '{load.format}'", load.path_span, hint)
        if load.written != "short" and load.options in told:  # the columns of a section share them
            for option in load.options:
                if option.name == "adjust":
                    _check_adjusted(of, load, option)
            continue
        told.add(load.options)
        seen: set[str] = set()
        for option in load.options:
            if option.name in seen:
                of.error("E004", f"option '{option.name}' is given twice", option.span, "remove one")
            seen.add(option.name)
            _check(of, load, option)


def _sources(word: str) -> tuple[str, ...]:
    """Return the formats of installed packages with this name; only called for a word that is not a built-in format."""
    from importlib.metadata import entry_points

    return tuple(e.name for e in entry_points(group="sigc.sources") if e.name == word)


def _check(of: Resolver, load: Load, option: Option) -> None:
    declared = OPTIONS.get(option.name)
    if declared is None:
        _unknown(of, load, option)
        return
    value = option.value[0] if isinstance(option.value, tuple) else option.value
    try:
        read(option.name, written_of(option))
    except SigcError as wrong:
        first = wrong.diagnostics[0]
        of.error("E101", first.message, value.span, declared.doc, first.expected)
        return
    if load.written == "short" and _kind(load) not in declared.suits:
        of.error("E101", f"'{option.name}' has no meaning for {_kind(load)}", option.span, _suits(declared))
    elif option.name == "adjust":
        _check_adjusted(of, load, option)


def _check_adjusted(of: Resolver, load: Load, option: Option) -> None:
    """Check `adjust=`: corporate actions change prices and counts of shares only; labels beside them are allowed."""
    if written_of(option) not in ("split", "split_div") or _kind(load) != NUMBERS:
        return
    if load.role == "value" and not measures(load_name(load), load.column, load.dtype):
        message = f"adjust= is for prices and volume, and '{load_name(load)}' is neither by its name"
        hint = f"names of prices: {', '.join(sorted(PRICES))}; or write Price (or Volume) as its type under columns:"
        of.error("E101", message, option.span, hint)


def _unknown(of: Resolver, load: Load, option: Option) -> None:
    hint = did_you_mean(option.name, OPTIONS)
    if load.written == "short":
        of.error("E101", f"unknown load option '{option.name}'", option.span, hint or f"known: {', '.join(OPTIONS)}")
    else:
        of.warn("W001", f"load option '{option.name}' is not known and has no effect", option.span, hint)


def _kind(load: Load) -> str:
    if load_name(load) == _ACTIONS:
        return ACTIONS
    return LABELS if is_category(load) else NUMBERS


def _suits(declared: SourceOption) -> str:
    return f"it is for sources of {' and '.join(sorted(declared.suits))}"
