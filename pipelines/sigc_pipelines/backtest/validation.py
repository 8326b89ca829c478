"""Out-of-sample validation: choose the best trial on train rows, score it on unseen test rows.

walk_forward    train and test windows that move (or, anchored, grow) through time; each window's book starts
                flat, test returns are compounded; a test begins on the row after its train
cross_validate  contiguous folds, each tested once on a choice made on all others
cpcv            combinatorial purged cross-validation: every choice of test groups among the splits
                (Lopez de Prado, Advances in Financial Machine Learning, 2018, chapters 7 and 12)

No row is in two tests of walk_forward or cross_validate, nor in train and test of a window; purge and embargo are
rows. Signals are computed on the full history and sliced: an operator is causal, so that reads no future. Rows before
the first with a defined weight count in no figure.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose

import numpy as np
from numpy.typing import NDArray

from sigc.data.dates.exchange import Days
from sigc.errors import Diagnostic, SigcError, Span
from sigc.panel import Dates, Floats
from sigc.plan.strategy import Validation
from sigc_pipelines.backtest.performance import PerformanceMetrics, exposures_of, measure, total_return
from sigc_pipelines.backtest.trials import Params, TrialField, score

_MOST_SPLITS = 2_000
Rows = NDArray[np.intp]
Arguments = dict[str, float | str]


@dataclass(frozen=True, slots=True, eq=False)
class TrainTestWindow:
    """One train and test: rows, the parameters chosen, the score in train and in test."""

    train: Rows
    test: Rows
    params: Params
    train_score: float
    test_score: float
    train_span: tuple[str, str]
    test_span: tuple[str, str]
    test_return: float


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """All windows; `returns` are the test returns one after the other (walk-forward), with their figures.

    degradation: 1 - mean test score / mean train score; NaN where the mean train score is 0.
    """

    method: str
    metric: str
    windows: tuple[TrainTestWindow, ...]
    dates: Dates
    returns: Floats
    metrics: PerformanceMetrics

    @property
    def degradation(self) -> float:
        trained = float(np.mean([w.train_score for w in self.windows]))
        tested = float(np.mean([w.test_score for w in self.windows]))
        return float("nan") if isclose(trained, 0.0, abs_tol=1e-12) else 1.0 - tested / trained


def validate(of: TrialField, how: Validation) -> Validated:
    """Run the validation that the backtest line asks for. Raises E501 when no window fits the rows."""
    splits = list(_SPLITS[how.method](of.accounts.row_days.days, dict(how.arguments), how.span))
    if not splits:
        message = f"{how.method}: no window fits into {len(of.accounts.dates)} rows"
        raise SigcError(Diagnostic("E501", message, how.span, hint="use a longer range or shorter windows"))
    restart = how.method == "walk_forward"
    scores = np.empty((len(splits), len(of.trials)))
    for number in range(len(of.trials)):
        for at, (stretch, train) in enumerate(_stretches(of, number, [t for t, _ in splits], restart)):
            scores[at, number] = _score(of, number, stretch, train, how.metric)
    windows, parts = [], []
    for at, (train, test) in enumerate(splits):
        chosen = int(scores[at].argmax())
        tested, _ = next(iter(_stretches(of, chosen, [test], restart)))
        windows.append(_window(of, train, test, chosen, float(scores[at, chosen]), tested, how.metric))
        parts.append(_counted(of, chosen, tested, test))
    return _validated(of, how, windows, parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    net: Floats
    turnover: Floats
    costs: Floats
    held: Floats

    def rows(self, at: Rows) -> _Stretch:
        return _Stretch(self.net[at], self.turnover[at], self.costs[at], self.held[at])


def _counted(of: TrialField, number: int, stretch: _Stretch, rows: Rows) -> tuple[Rows, _Stretch]:
    """Return the rows of a stretch from the first with a defined weight of the trial on."""
    counts = np.flatnonzero(rows >= of.first(number))
    return rows[counts], stretch.rows(counts)


def _score(of: TrialField, number: int, stretch: _Stretch, rows: Rows, metric: str) -> float:
    at, counted = _counted(of, number, stretch, rows)
    return score(_measured(of, at, counted), metric)


def _measured(of: TrialField, rows: Rows, stretch: _Stretch) -> PerformanceMetrics:
    accounts = of.accounts
    figures = (stretch.net, stretch.turnover, stretch.costs, exposures_of(stretch.held))
    return measure(accounts.dates[rows], *figures, accounts.loaded.periods.a_year)


def _stretches(of: TrialField, number: int, splits: list[Rows], restart: bool) -> Iterator[tuple[_Stretch, Rows]]:
    """Yield the book of a trial over each of `splits`: started flat there, or cut out of one book over all rows."""
    wanted = of.wanted(number)
    whole = None if restart else _net(of, wanted, 0, len(wanted))
    for rows in splits:
        if whole is None:
            yield _net(of, wanted, int(rows[0]), int(rows[-1]) + 1), rows
        else:
            yield whole.rows(rows), rows


def _net(of: TrialField, wanted: Floats, low: int, high: int) -> _Stretch:
    book, costs = of.accounts.book(wanted, low, high)
    return _Stretch(book.gross - costs, book.turnover, costs, book.held)


def _window(
    of: TrialField, train: Rows, test: Rows, chosen: int, train_score: float, tested: _Stretch, metric: str
) -> TrainTestWindow:
    dates = of.accounts.dates
    return TrainTestWindow(
        train=train,
        test=test,
        params=of.trials[chosen].params,
        train_score=train_score,
        test_score=_score(of, chosen, tested, test, metric),
        train_span=_span(dates, train),
        test_span=_span(dates, test),
        test_return=total_return(tested.net),
    )


def _validated(
    of: TrialField, how: Validation, windows: list[TrainTestWindow], parts: list[tuple[Rows, _Stretch]]
) -> Validated:
    """Return the test rows in order of time; rows tested more than once (cpcv) as the mean over the choices."""
    dates = of.accounts.dates
    rows = np.unique(np.concatenate([t for t, _ in parts]))
    place = {int(r): i for i, r in enumerate(rows)}
    counts = np.zeros(len(rows))
    width = parts[0][1].held.shape[1]
    sums = _Stretch(np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows)), np.zeros((len(rows), width)))
    for test, tested in parts:
        at = np.array([place[int(r)] for r in test])
        counts[at] += 1
        sums.net[at] += tested.net
        sums.turnover[at] += tested.turnover
        sums.costs[at] += tested.costs
        sums.held[at] += tested.held
    net = sums.net / counts
    exposures = exposures_of(sums.held / counts[:, None])
    periods = of.accounts.loaded.periods
    metrics = measure(dates[rows], net, sums.turnover / counts, sums.costs / counts, exposures, periods.a_year)
    return Validated(how.method, how.metric, tuple(windows), dates[rows], net, metrics)


def _span(dates: Dates, rows: Rows) -> tuple[str, str]:
    return str(dates[rows[0]].astype("datetime64[D]")), str(dates[rows[-1]].astype("datetime64[D]"))


def _walk_forward(days: Days, arguments: Arguments, span: Span | None) -> Iterator[tuple[Rows, Rows]]:
    """Yield the train and test windows. Edges lie whole months after the first row's day, so that windows meet."""
    train = 12 * float(arguments.get("train_years", 3))
    test = float(arguments.get("test_months", 0)) or 12 * float(arguments.get("test_years", 1))
    step = 12 * float(arguments.get("step_years", 0)) or test
    if step < test:
        message = f"walk_forward: a step of {step:g} months is shorter than a test of {test:g}: rows would count twice"
        raise SigcError(Diagnostic("E101", message, span, hint="make step_years at least as long as the test"))
    first, last = days[0], days[-1]
    for number in itertools.count():
        begin = number * step
        middle, end = _later(first, begin + train), _later(first, begin + train + test)
        if middle > last or end > last + np.timedelta64(7, "D"):  # a last test window must be whole
            return
        low = first if arguments.get("anchored") else _later(first, begin)
        trained = np.flatnonzero((days >= low) & (days < middle))
        tested = np.flatnonzero((days >= middle) & (days < end))
        if len(trained) and len(tested):
            yield trained, tested


def _later(day: np.datetime64, months: float) -> np.datetime64:
    """So many months later, or the last day of that month where it has no such day.

    >>> _later(np.datetime64("2020-01-31"), 13)
    np.datetime64('2021-02-28')
    """
    month = day.astype("datetime64[M]")
    within = day - month.astype("datetime64[D]")
    to = month + np.timedelta64(round(months), "M")
    last: np.datetime64 = (to + 1).astype("datetime64[D]") - 1
    return min(to.astype("datetime64[D]") + within, last)


def _cross_validate(days: Days, arguments: Arguments, _: Span | None) -> Iterator[tuple[Rows, Rows]]:
    yield from _groups(len(days), int(arguments.get("folds", 5)), 1, int(arguments.get("purge_days", 0)), 0)


def _cpcv(days: Days, arguments: Arguments, _: Span | None) -> Iterator[tuple[Rows, Rows]]:
    yield from _groups(
        len(days),
        int(arguments.get("n_splits", 6)),
        int(arguments.get("n_test_groups", 2)),
        int(arguments.get("purge_days", 0)),
        int(arguments.get("embargo_days", 0)),
    )


def _groups(rows: int, splits: int, tests: int, purge: int, embargo: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield every choice of `tests` of `splits` contiguous groups; train rows near a test group are left out."""
    edges = np.linspace(0, rows, splits + 1).astype(np.intp)
    chosen = itertools.combinations(range(splits), tests)
    for groups in itertools.islice(chosen, _MOST_SPLITS):
        train = np.ones(rows, dtype=bool)
        test = np.zeros(rows, dtype=bool)
        for g in groups:
            low, high = int(edges[g]), int(edges[g + 1])
            test[low:high] = True
            train[max(0, low - purge) : min(rows, high + purge + embargo)] = False
        if train.any() and test.any():
            yield np.flatnonzero(train), np.flatnonzero(test)


_SPLITS = {"walk_forward": _walk_forward, "cross_validate": _cross_validate, "cpcv": _cpcv}
