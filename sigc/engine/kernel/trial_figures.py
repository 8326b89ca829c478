"""Results that are books held just as wanted, of which only each row's figures are asked: they are taken while they are
in the cache, and never stored (`sigc.ops.loops.books` says which figures).

    books = Books(returns, names, start)           of the grid's rows from `start` on
    part = books.part(shape, at)                   the rows of one slice of one node
    part.take(values, row)                         its rows, one tile after the other
    books.figures(shape)                           of all rows

Slices may be computed in any order, by any threads: what a row traded takes the row before, so each part keeps its
first and its last row, and parts are joined by them. Every figure has the bits of a book that was stored.
"""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np

from sigc.engine.kernel.calls import Slice, Value
from sigc.panel import Floats


class TrialBooks:
    """returns: (rows, assets) of the grid's rows from `start` on, over all its assets `names`. Safe under threads."""

    def __init__(self, returns: Floats, names: tuple[str, ...], start: int) -> None:
        self.returns = returns
        self.names = names
        self.start = start
        self.stop = start + len(returns)
        self._lock = threading.Lock()
        self._figures: dict[str, Floats] = {}
        self._parts: dict[str, dict[int, TrialPart]] = {}

    def part(self, shape: str, at: Slice) -> TrialPart:
        """What takes a node's rows of a slice."""
        from sigc.ops.loops import books

        with self._lock:
            if shape not in self._figures:
                self._figures[shape] = np.empty((books.FIGURES, len(self.returns)))
            part = TrialPart(self, self._figures[shape], at)
            if part.low < part.high:
                self._parts.setdefault(shape, {})[part.low] = part
            return part

    def figures(self, shape: str) -> Floats:
        """(figures, rows), all parts joined. Raises `ValueError` where rows were not taken."""
        from sigc.ops.loops import books

        parts = [part for _, part in sorted(self._parts.get(shape, {}).items())]
        edges = [0, *(p.high for p in parts)]
        if [p.low for p in parts] != edges[:-1] or edges[-1] != len(self.returns):
            raise ValueError(f"rows of a book were not taken: {edges} of {len(self.returns)}")
        for before, after in pairwise(parts):
            row = after.low
            books.followed(after.first[None], self.returns[row : row + 1], before.last, self._figures[shape], row)
        return self._figures[shape]

    def last(self, shape: str) -> Floats:
        """(1, assets) the weights of the last row."""
        part: TrialPart = max(self._parts[shape].items())[1]
        return part.last[None]


class TrialPart:
    """The rows [low, high) of a book, counted from the first row that is asked for; `skipped` of its slice go before.

    first, last: the weights of its first row, and of the last that was taken.
    """

    def __init__(self, books: TrialBooks, figures: Floats, at: Slice) -> None:
        self.figures = figures
        self.returns = books.returns
        self.names = books.names
        self.low = max(0, at.start - books.start)
        self.high = min(at.stop, books.stop) - books.start
        self.skipped = books.start + self.low - at.start
        self.first = self.last = np.zeros(len(books.names))
        self._own = at.names
        self._taken = self.low

    @property
    def is_whole(self) -> bool:
        """Whether the slice has every asset."""
        return self._own == self.names

    def take(self, values: Value, row: int) -> None:
        """The rows of the slice from `row` on, that follow those taken before."""
        from sigc.ops.loops import books

        skipped = max(0, self.skipped - row)
        held = self._spread(values)[skipped : skipped + max(0, self.high - self._taken)]
        if len(held) == 0:
            return
        rows = slice(self._taken, self._taken + len(held))
        books.followed(held, self.returns[rows], self.last, self.figures, self._taken)
        if self._taken == self.low:
            self.first = held[0].copy()
        self.last = held[-1].copy()
        self._taken = rows.stop

    def took(self, first: Floats, last: Floats) -> None:
        """All its rows were followed elsewhere: their first and last weights."""
        self.first, self.last, self._taken = first, last, self.high

    def end(self) -> None:
        """Of an asset that has not begun nothing is held: rows that nobody computed are taken as empty ones."""
        if self._taken < self.high:
            self.take(np.zeros((self.high - self._taken, len(self._own))), self.skipped + self._taken - self.low)

    def _spread(self, values: Value) -> Floats:
        """The values over all assets; those that the slice has not are not held."""
        if isinstance(values, float):
            values = np.full((self.skipped + self.high - self.low, len(self._own)), values)
        if self.is_whole:
            return values
        own = {name: i for i, name in enumerate(self.names)}
        spread = np.zeros((len(values), len(self.names)))
        spread[:, [own[name] for name in self._own]] = values
        return spread
