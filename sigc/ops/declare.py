"""The declaration of operators: a decorated kernel, whose signature is the parameter list.

    @operator(axis=Axis.TIME, lookback=rows(lambda window: window - 1), example="rolling_mean(prices, 20)")
    def rolling_mean(x: Values, window: Window = 20) -> Values:
        '''Mean of the last `window` rows. ...'''

From that one record (`Operator`) come the checker's errors, the planner's halo or carry chain, the runner,
the cache key, the reference page, and the contract tests.

A kernel gets float64 arrays of shape (rows, assets), C order, which it must never write to; category inputs as codes
(NaN missing); boolean inputs as 1.0 / 0.0 (NaN reads as false); numbers as keyword arguments. A `CELL` kernel may get a
float in place of any array and broadcasts it. It returns a new array of the same rows. Rows that lack their lookback
are NaN; the engine passes `lookback` extra rows in front and cuts them off again. A carried kernel also takes `state`
(components, assets) and returns (array, state): `state` of an asset never seen is `Carry.initial`.

Read next: `table.py` (names to operators), then `cell.py`, `rolling.py`, `carried.py`, `cross.py`.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray


class ValueKind(StrEnum):
    """The kinds of value of the language."""

    NUMBER = "number"
    STRING = "string"
    CATEGORY = "category panel"
    BOOLEAN = "boolean panel"
    PANEL = "panel"


class Axis(StrEnum):
    """The axis that an operator looks along: none, down the dates per asset, across assets per date, both."""

    CELL = "cell"
    TIME = "time"
    CROSS = "cross"
    BOTH = "both"


class Missing(StrEnum):
    """The result for an asset whose inputs are all missing on a date."""

    PROPAGATES = "propagates"  # NaN in, NaN out
    FILLS = "fills"  # may be valid (a constant, a flag): the result depends on the asset list


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Bounds of a number, both inclusive; `integer` requires a whole one.

    added: the parameter was added when results without it were stored already. If omitted it is not an argument, so
    that keys, and blocks under them, stay valid. a_year: the rows per year of the traded source, filled in when data
    are loaded (`sigc.plan.periods`), omitted if 252.
    """

    low: float = -np.inf
    high: float = np.inf
    integer: bool = False
    added: bool = False
    a_year: bool = False


Values: TypeAlias = Annotated[NDArray[np.float64], ValueKind.PANEL]
Labels: TypeAlias = Annotated[NDArray[np.float64], ValueKind.CATEGORY]
Flags: TypeAlias = Annotated[NDArray[np.float64], ValueKind.BOOLEAN]
Window: TypeAlias = Annotated[int, NumberRange(1, integer=True)]
MinPeriods: TypeAlias = Annotated[int | None, NumberRange(1, integer=True, added=True)]
Periods: TypeAlias = Annotated[int, NumberRange(integer=True)]
RowsAYear: TypeAlias = Annotated[float | None, NumberRange(1.0, added=True, a_year=True)]
Number: TypeAlias = Annotated[float, NumberRange()]
Share: TypeAlias = Annotated[float, NumberRange(0.0, 1.0)]
State: TypeAlias = NDArray[np.float64]


class Default(StrEnum):
    """Defaults that are not plain numbers."""

    REQUIRED = "required"
    TRADED = "the traded panel"  # the checker inserts the traded data source


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `kind` of an input, or NUMBER with `range`. `default` None means optional."""

    name: str
    kind: ValueKind
    default: float | int | Default | None
    range: NumberRange | None = None
    variadic: bool = False

    @property
    def is_input(self) -> bool:
        return self.kind is not ValueKind.NUMBER


@dataclass(frozen=True, slots=True)
class Rows:
    """A finite lookback: `of(**arguments)` earlier rows. Its parameters have the names of the operator's."""

    of: Callable[..., int]


@dataclass(frozen=True, slots=True)
class Carry:
    """A lookback to the first row, carried as one column of `len(initial)` numbers per asset."""

    initial: tuple[float, ...]


def rows(of: Callable[..., int]) -> Rows:
    """Return a finite lookback: the number of earlier rows that an output row reads, from the arguments by name."""
    return Rows(of)


NONE = Rows(lambda: 0)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator. `kernel` is the decorated function itself; `result` the kind of its result.

    peek(arguments by name): rows into the future that the operator adds (negative: moves back), see `shift`. aliases:
    other names. windowed: the short name (`mean`) that means this operator if a window is given. renamed: other
    spellings of parameters (`exp` for `n`). keeps: it moves cells and computes none, so that it takes labels too, and
    then returns labels.
    """

    name: str
    axis: Axis
    params: tuple[Parameter, ...]
    result: ValueKind
    lookback: Rows | Carry
    kernel: Callable[..., Any]
    missing: Missing
    version: int
    doc: str
    example: str
    aliases: tuple[str, ...] = ()
    windowed: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    peek: Callable[..., int] | None = None
    keeps: bool = False

    @property
    def inputs(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.params if p.is_input)

    @property
    def numbers(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.params if not p.is_input)

    def rows_back(self, arguments: Mapping[str, Any]) -> int:
        """Return the finite lookback for these number arguments; 0 for a carried operator."""
        return max(0, _by_name(self.lookback.of, arguments)) if isinstance(self.lookback, Rows) else 0

    def rows_ahead(self, arguments: Mapping[str, Any]) -> int:
        """Return how far the operator shifts its reading into the future; negative for `lag`."""
        return 0 if self.peek is None else _by_name(self.peek, arguments)


def _by_name(of: Callable[..., int], arguments: Mapping[str, Any]) -> int:
    return int(of(**{name: arguments[name] for name in _names(of)}))


@functools.cache
def _names(of: Callable[..., int]) -> tuple[str, ...]:
    return tuple(inspect.signature(of).parameters)


REGISTRY: dict[str, Operator] = {}


def operator(
    *,
    axis: Axis,
    example: str,
    lookback: Rows | Carry = NONE,
    result: ValueKind = ValueKind.PANEL,
    missing: Missing = Missing.PROPAGATES,
    version: int = 1,
    name: str = "",
    aliases: tuple[str, ...] = (),
    windowed: str = "",
    renamed: Mapping[str, str] | None = None,
    peek: Callable[..., int] | None = None,
    keeps: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated kernel as an operator. `name`: only if the word is reserved in Python (`and`)."""

    def declare(kernel: Callable[..., Any]) -> Callable[..., Any]:
        known = name or kernel.__name__
        if known in REGISTRY:
            raise ValueError(f"operator '{known}' is declared twice")
        doc = inspect.cleandoc(kernel.__doc__ or "")
        if not doc:
            raise ValueError(f"operator '{known}' has no docstring")
        REGISTRY[known] = Operator(
            name=known,
            axis=axis,
            params=_parameters(kernel),
            result=result,
            lookback=lookback,
            kernel=kernel,
            missing=missing,
            version=version,
            doc=doc,
            example=example,
            aliases=aliases,
            windowed=windowed,
            renamed=tuple((renamed or {}).items()),
            peek=peek,
            keeps=keeps,
        )
        return kernel

    return declare


# The annotations declare the parameters; the engine provides `state`.
def _parameters(kernel: Callable[..., Any]) -> tuple[Parameter, ...]:
    hints = typing.get_type_hints(kernel, include_extras=True)
    found = []
    for p in inspect.signature(kernel).parameters.values():
        if p.name == "state":
            continue
        mark = _mark(hints[p.name])
        default: Any = Default.REQUIRED if p.default is p.empty else p.default
        found.append(
            Parameter(
                name=p.name,
                kind=mark if isinstance(mark, ValueKind) else ValueKind.NUMBER,
                default=default,
                range=mark if isinstance(mark, NumberRange) else None,
                variadic=p.kind is p.VAR_POSITIONAL,
            )
        )
    return tuple(found)


def _mark(hint: Any) -> ValueKind | NumberRange:
    """Return the kind or range inside an annotation, also of `Values | float` and `Values | None`."""
    for part in (hint, *typing.get_args(hint)):
        for mark in getattr(part, "__metadata__", ()):
            if isinstance(mark, ValueKind | NumberRange):
                return mark
    raise TypeError(f"{hint!r} is not an annotation of sigc.ops.declare")
