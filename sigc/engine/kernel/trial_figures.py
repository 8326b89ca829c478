"""Row figures of books that hold exactly their weights, computed while the weights are in the cache; these are never
stored.

    books = Books(returns, names, start)           for the grid's rows from `start` on
    part = books.part(shape, at)                   the rows of one slice of one node
    part.take(values, row)                         its rows, one tile after the other
    books.figures(shape)                           of all rows

`sigc.ops.loops.books` lists the figures. Slices may be computed in any order, by any threads: the trades of a row need
the row before, so each part keeps its first and its last row, and `figures` joins the parts by them. Every figure has
the same bits as one from a stored book.
"""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np

from sigc.engine.kernel.calls import Slice, Value
from sigc.panel import Floats


class TrialBooks:
    """All books of a search. returns: (rows, assets) of the grid's rows from `start` on, for its assets `names`.
    Thread-safe.
    """

    def __init__(self, returns: Floats, names: tuple[str, ...], start: int) -> None:
        self.returns = returns
        self.names = names
        self.start = start
        self.stop = start + len(returns)
        self._lock = threading.Lock()
        self._figures: dict[str, Floats] = {}
        self._parts: dict[str, dict[int, TrialPart]] = {}

    def part(self, shape: str, at: Slice) -> TrialPart:
        """Return the part that takes a node's rows of a slice."""
        from sigc.ops.loops import books

        with self._lock:
            if shape not in self._figures:
                self._figures[shape] = np.empty((books.FIGURES, len(self.returns)))
            part = TrialPart(self, self._figures[shape], at)
            if part.low < part.high:
                self._parts.setdefault(shape, {})[part.low] = part
            return part

    def figures(self, shape: str) -> Floats:
        """Return (figures, rows), all parts joined. Raise `ValueError` if rows are missing."""
        from sigc.ops.loops import books

        parts = [part for _, part in sorted(self._parts.get(shape, {}).items())]
        edges = [0, *(p.high for p in parts)]
        if [p.low for p in parts] != edges[:-1] or edges[-1] != len(self.returns):
            raise ValueError(f"rows of a book were not taken: {edges} of {len(self.returns)}")
        # The first row of each part was computed as if nothing was held before: repeat it with the last row of the part
        # before.
        for before, after in pairwise(parts):
            row = after.low
            books.followed(after.first[None], self.returns[row : row + 1], before.last, self._figures[shape], row)
        return self._figures[shape]

    def last(self, shape: str) -> Floats:
        """Return the weights (1, assets) of the last row."""
        part: TrialPart = max(self._parts[shape].items())[1]
        return part.last[None]


class TrialPart:
    """The rows [low, high) of a book, counted from the first requested row; `skipped` rows of its slice come before.

    first, last: the weights of its first row, and of the last row taken.
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
        """Return True if the slice has every asset."""
        return self._own == self.names

    def take(self, values: Value, row: int) -> None:
        """Take the rows of the slice from `row` on, which follow those taken before."""
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
        """Record that all its rows were computed elsewhere, with their first and last weights."""
        self.first, self.last, self._taken = first, last, self.high

    def end(self) -> None:
        """Take the rest as zeros: an asset that has not begun is not held."""
        if self._taken < self.high:
            self.take(np.zeros((self.high - self._taken, len(self._own))), self.skipped + self._taken - self.low)

    def _spread(self, values: Value) -> Floats:
        """Return the values over all assets; assets missing in the slice have weight 0."""
        if isinstance(values, float):
            values = np.full((self.skipped + self.high - self.low, len(self._own)), values)
        if self.is_whole:
            return values
        own = {name: i for i, name in enumerate(self.names)}
        spread = np.zeros((len(values), len(self.names)))
        spread[:, [own[name] for name in self._own]] = values
        return spread
