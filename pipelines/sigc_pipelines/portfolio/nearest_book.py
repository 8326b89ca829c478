"""Projection of a wanted book onto the set of books within all limits, by least squares.

    1. the wanted book itself, when it is within every limit
    2. clipped, when only per-asset bounds are broken and clipping breaks no other
    3. else a convex program (clarabel): min 1/2 |w - wanted|^2 + penalties, over w = long - short,
       w - held = bought - sold
    4. trades below `min_trade` are undone (the held weight stays), and the rest is solved again
    5. every limit is checked on the result; E502 names a minimal set of keys that clash

Minima do not apply to a wanted book without any weight (a signal that has not begun). An untradable asset keeps its
held weight: its own limits are waived, limits on the whole book include it (`untradable.py`). If no book with it is
within all limits, but one without it is, the tradable rest goes to where limits are exceeded least. Same inputs, same
bytes: one thread, fixed tolerances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sigc.errors import Diagnostic, SigcError
from sigc.panel import Floats
from sigc.plan.strategy import Constraint
from sigc_pipelines.portfolio.constraints import Box, ConstraintInputs, LinearBound, Norm, Part, excess, parts
from sigc_pipelines.portfolio.untradable import beside

TOLERANCE = 1e-7  # in weight: by this much a solved book may miss a limit
_DUST = 1e-10  # a weight or a trade below it is solver noise, and becomes 0
_MINIMA = frozenset({"min_gross", "min_net", "min_positions"})
_NAMED = 3  # assets in a message
SOFT_PENALTY = 10.0  # per unit of a soft limit's excess


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A constraint with its parts on this row."""

    constraint: Constraint
    parts: tuple[Part, ...]


def project(constraints: Sequence[Constraint], at: ConstraintInputs) -> Floats:
    """Return the book to hold, (assets,). Raises E502 when the hard limits can't all be met."""
    wanted = np.where(at.tradable, at.wanted, at.held)  # so "stay at `wanted`" means "stay as held" below
    if not wanted.any():  # a book that wants nothing yet owes no minimum
        constraints = [c for c in constraints if c.name not in _MINIMA]
    frozen = ~at.tradable
    asked = [_Asked(c, parts(c, at)) for c in constraints]
    if frozen.any():
        asked = [_Asked(a.constraint, beside(a.parts, at.held, frozen)) for a in asked]
    book = _nearest(asked, wanted, at, frozen)
    smallest = max((c.values[0] for c in constraints if c.name == "min_trade"), default=0.0)
    if smallest > 0.0:
        book = _without_small_trades(asked, wanted, at, book, smallest)
    _check_count(constraints, book, at)
    return book


def _nearest(asked: list[_Asked], wanted: Floats, at: ConstraintInputs, frozen: NDArray[np.bool_]) -> Floats:
    every = [p for a in asked for p in a.parts]
    # Cheap exits first: most rows need no solver. Their tolerance is float noise only, not the solver's.
    if _within(every, wanted, at, 1e-12):
        return wanted
    clipped = wanted.copy()
    for part in every:
        if isinstance(part, Box):
            clipped = np.where(frozen, clipped, np.clip(clipped, part.low, part.high))
    # If only boxes are broken, clipping is the projection itself: the objective is separable by asset.
    if _within(every, clipped, at, 1e-12):
        return clipped
    solved = _solve(asked, wanted, at, frozen)
    hard = [p for a in asked if not a.constraint.soft for p in a.parts]
    if solved is None or not _within(hard, solved, at, TOLERANCE):
        bent = _bent(asked, wanted, at, frozen)
        if bent is None:
            raise SigcError(_clash(asked, wanted, at, frozen))
        return bent
    return solved


def _bent(asked: list[_Asked], wanted: Floats, at: ConstraintInputs, frozen: NDArray[np.bool_]) -> Floats | None:
    """Return the book that exceeds limits on the whole book least, if untradable assets are the reason; else None."""
    if not at.held[frozen].any():
        return None
    # Is there a book within the limits if everything could be traded? If not, the limits themselves clash: E502.
    without = [_Asked(c, parts(c, at)) for c in (a.constraint for a in asked)]
    hard = [p for a in without if not a.constraint.soft for p in a.parts]
    free = _solve(without, wanted, at, np.zeros(len(wanted), bool))
    if free is None or not _within(hard, free, at, TOLERANCE):
        return None
    # Only limits on the whole book bend, by penalty as soft ones do; bounds of single assets and norms do not.
    bends = []
    for one in asked:
        rows = tuple(p for p in one.parts if isinstance(p, LinearBound))
        bends.append(_Asked(one.constraint, tuple(p for p in one.parts if not isinstance(p, LinearBound))))
        bends.append(_Asked(replace(one.constraint, soft=True), rows))
    return _solve(bends, wanted, at, frozen)


def _within(every: Sequence[Part], book: Floats, at: ConstraintInputs, tolerance: float) -> bool:
    return all(excess(p, book, at.held) <= tolerance for p in every)


def _without_small_trades(
    asked: list[_Asked], wanted: Floats, at: ConstraintInputs, book: Floats, smallest: float
) -> Floats:
    # Each round freezes at least one more asset, so there are at most as many rounds as assets.
    frozen = ~at.tradable
    for _ in range(len(book)):
        trade = np.abs(book - at.held)
        small = (trade > 0.0) & (trade < smallest - TOLERANCE) & ~frozen
        if not small.any():
            break
        frozen = frozen | small
        book = _nearest(asked, np.where(frozen, at.held, wanted), at, frozen)
    return np.where(np.abs(book - at.held) < smallest - TOLERANCE, at.held, book)


def _check_count(constraints: Sequence[Constraint], book: Floats, at: ConstraintInputs) -> None:
    held = int((book != 0.0).sum())
    out_of_reach = ~at.tradable & (at.held == 0.0)
    # With untradable assets the minimum is what can be reached at most.
    most = len(book) - int(out_of_reach.sum()) if out_of_reach.any() else np.inf
    for c in constraints:
        if c.name == "min_positions" and not c.soft and held < min(c.values[0], most):
            on = f" on {at.date}" if at.date else ""
            message = f"constraint 'min_positions' asks for {c.values[0]:g} assets, the book holds {held}{on}"
            raise SigcError(Diagnostic("E502", message, c.span, hint="hold more assets in 'weights'"))


def _clash(asked: list[_Asked], wanted: Floats, at: ConstraintInputs, frozen: NDArray[np.bool_]) -> Diagnostic:
    """Drop limits one by one as long as the rest still can't be met: the remaining ones clash."""
    # Deletion filter (Chinneck): the result is irreducible, if not the smallest of all clashing sets.
    left = [a for a in asked if not a.constraint.soft and a.parts]
    for candidate in list(left):
        fewer = [a for a in left if a is not candidate]
        solved = _solve(fewer, wanted, at, frozen)
        every = [p for a in fewer for p in a.parts]
        if solved is None or not _within(every, solved, at, TOLERANCE):
            left = fewer
    keys = ", ".join(dict.fromkeys(f"{a.constraint.name} {_text(a.constraint.values)}" for a in left))
    span = left[0].constraint.span if left else None
    on = f" on {at.date}" if at.date else ""
    whose = f" (assets: {', '.join(assets)})" if (assets := _assets(left, wanted, at)) else ""
    return Diagnostic("E502", f"constraints cannot all be met{on}: {keys}{whose}", span, hint="loosen one of them")


def _assets(left: list[_Asked], wanted: Floats, at: ConstraintInputs) -> list[str]:
    """Return some assets of a clash: those whose own bounds exclude each other, else the largest members of a limit."""
    if not at.names:
        return []
    low, high = np.full(len(wanted), -np.inf), np.full(len(wanted), np.inf)
    members = np.zeros(len(wanted), bool)
    for part in (p for a in left for p in a.parts):
        if isinstance(part, Box):
            low, high = np.maximum(low, part.low), np.minimum(high, part.high)
        elif isinstance(part, LinearBound) and part.weights is not None:
            members |= part.weights != 0.0
    clash = np.flatnonzero(low > high)
    if not len(clash):
        sizes = np.where(members if members.any() else True, np.maximum(np.abs(wanted), np.abs(at.held)), 0.0)
        clash = np.argsort(-sizes, kind="stable")[: int((sizes > 0.0).sum())]
    return [at.names[i] for i in clash[:_NAMED]]


def _text(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else "[" + ", ".join(f"{v:g}" for v in values) + "]"


class _Program:
    """Rows of a cone program over x = [w, long, short, bought, sold, slacks], each of (assets,) but the slacks.

    The split columns make |w| and |w - held| linear. They are left out where no row uses them. Nothing forces
    long x short = 0: the rows bound sums of both from above, and a book with less of both is then within them too.
    """

    def __init__(self, assets: int) -> None:
        self.assets = assets
        self.slacks = 0
        self.rows: list[tuple[dict[int, Floats], int, float]] = []  # blocks by group, slack (-1: none), bound
        self.equal: list[tuple[dict[int, Floats], float]] = []
        self.norms: list[Norm] = []
        self.low = np.full(assets, -np.inf)
        self.high = np.full(assets, np.inf)

    @property
    def groups(self) -> tuple[int, ...]:
        """The groups of columns that any row uses: w always, (long, short) and (bought, sold) as pairs."""
        used = {g for row in self.rows for g in row[0]} | {g for equal in self.equal for g in equal[0]}
        return (0, *((1, 2) if used & {1, 2} else ()), *((3, 4) if used & {3, 4} else ()))

    @property
    def size(self) -> int:
        """Return the number of columns."""
        return self.assets * len(self.groups) + self.slacks

    def add(self, part: Part, soft: bool) -> None:
        match part:
            case Box(low, high) if soft:
                self._soft_box(low, high)
            case Box(low, high):
                self.low, self.high = np.maximum(self.low, low), np.minimum(self.high, high)
            case Norm():
                self.norms.append(part)
            case LinearBound():
                self._row(part, soft)

    def _row(self, part: LinearBound, soft: bool) -> None:
        ones = np.ones(self.assets)
        groups = {1: part.longs, 2: part.shorts, 3: part.trades, 4: part.trades}
        blocks = {g: ones * factor for g, factor in groups.items() if factor}
        if part.weights is not None:
            blocks[0] = part.weights
        if part.low == part.high and not soft:
            self.equal.append((blocks, part.low))
            return
        slack = -1
        if soft:
            slack = self.slacks
            self.slacks += 1
        if np.isfinite(part.high):
            self.rows.append((blocks, slack, part.high))
        if np.isfinite(part.low):
            self.rows.append(({g: -v for g, v in blocks.items()}, slack, -part.low))

    def _soft_box(self, low: Floats, high: Floats) -> None:
        for i in range(self.assets):
            unit = np.zeros(self.assets)
            unit[i] = 1.0
            self._row(LinearBound(low[i], high[i], weights=unit), soft=True)


def _solve(asked: list[_Asked], wanted: Floats, at: ConstraintInputs, frozen: NDArray[np.bool_]) -> Floats | None:
    """Return the solution, None without one. Frozen assets stay at `wanted`."""
    n = len(wanted)
    program = _Program(n)
    for one in asked:
        for part in one.parts:
            program.add(part, one.constraint.soft)
    program.low = np.where(frozen, wanted, program.low)
    program.high = np.where(frozen, wanted, program.high)
    if (program.low > program.high).any():
        return None
    size = program.size
    # 1e-9 on the split columns and slacks: a strictly convex program has one solution, and so the same bytes.
    quadratic = sparse.diags(np.concatenate([np.ones(n), np.full(size - n, 1e-9)]), format="csc")
    linear = np.zeros(size)
    linear[:n] = -wanted  # 1/2 |w - wanted|^2 without its constant
    linear[size - program.slacks :] = SOFT_PENALTY
    matrix, bound, cones = _cones(program, at)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_feas = settings.tol_gap_abs = settings.tol_gap_rel = 1e-10
    settings.max_threads = 1  # the order of float sums must not depend on the machine
    answer = clarabel.DefaultSolver(quadratic, linear, matrix, bound, cones, settings).solve()
    if answer.status not in (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved):
        return None
    book = np.array(answer.x[:n])
    # Interior point methods stop slightly inside or outside of a bound: clip to it.
    book = np.clip(book, program.low, program.high)
    book[np.abs(book) < _DUST] = 0.0
    near = np.abs(book - at.held) < _DUST
    return np.where(near, at.held, book)


def _cones(program: _Program, at: ConstraintInputs) -> tuple[sparse.csc_matrix, Floats, list[object]]:
    n = program.assets
    groups, size = program.groups, program.size
    eye = sparse.identity(n, format="csr")

    def place(blocks: dict[int, sparse.spmatrix], rows: int) -> sparse.spmatrix:
        chosen = [blocks.get(g, sparse.csr_matrix((rows, n))) for g in groups]
        return sparse.hstack([*chosen, sparse.csr_matrix((rows, program.slacks))], format="csr")

    # w = long - short; w - held = bought - sold; then the equalities asked for.
    equal, equal_bound = [], []
    for positive_side, negative_side, offset in ((1, 2, np.zeros(n)), (3, 4, at.held)):
        if positive_side in groups:
            equal.append(place({0: eye, positive_side: -eye, negative_side: eye}, n))
            equal_bound.append(offset)
    # An asset with one possible weight is an equality: as two inequalities it leaves the cone without an interior.
    fixed = program.low == program.high
    if fixed.any():
        equal.append(place({0: eye[fixed]}, int(fixed.sum())))
        equal_bound.append(program.low[fixed])
    for blocks, bound in program.equal:
        equal.append(place({g: sparse.csr_matrix(v[None]) for g, v in blocks.items()}, 1))
        equal_bound.append(np.array([bound]))
    positive = sparse.identity(size, format="csr")[n:]
    upper = [-positive]
    upper_bound = [np.zeros(size - n)]
    for sign, limit in ((1.0, program.high), (-1.0, -program.low)):
        finite = np.isfinite(limit) & ~fixed
        upper.append(place({0: sign * eye[finite]}, int(finite.sum())))
        upper_bound.append(limit[finite])
    for blocks, slack, bound in program.rows:
        row = place({g: sparse.csr_matrix(v[None]) for g, v in blocks.items()}, 1).tolil()
        if slack >= 0:
            row[0, size - program.slacks + slack] = -1.0  # row - slack <= bound, slack >= 0
        upper.append(row.tocsr())
        upper_bound.append(np.array([bound]))
    # || matrix (w - centre) || <= high as a second-order cone: (high, matrix w - matrix centre).
    norms, norm_bound, norm_cones = [], [], []
    for norm in program.norms:
        rows = len(norm.matrix) + 1
        norms.append(place({0: sparse.csr_matrix(np.vstack([np.zeros(n), -norm.matrix]))}, rows))
        norm_bound.append(np.concatenate([[norm.high], -(norm.matrix @ norm.centre)]))
        norm_cones.append(clarabel.SecondOrderConeT(rows))
    bounds: Floats = np.concatenate([*equal_bound, *upper_bound, *norm_bound])
    # The order of the blocks must be that of the cones: equalities, inequalities, norms.
    matrix = sparse.vstack([*equal, *upper, *norms], format="csc")
    counts = sum(len(b) for b in equal_bound), sum(len(b) for b in upper_bound)
    return matrix, bounds, [clarabel.ZeroConeT(counts[0]), clarabel.NonnegativeConeT(counts[1]), *norm_cones]
