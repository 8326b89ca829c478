"""The nearest book within all limits: every key keeps its limit, nothing nearer does, clashes are named."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

from sigc.errors import SigcError, Span
from sigc.plan.strategy import Constraint
from sigc_pipelines.portfolio.constraints import ConstraintInputs, excess, parts
from sigc_pipelines.portfolio.nearest_book import TOLERANCE, project

Floats = NDArray[np.float64]
N = 12


def situation(seed: int, held: bool = True) -> ConstraintInputs:
    random = np.random.default_rng(seed)
    wanted = random.normal(0, 0.1, N)
    return ConstraintInputs(
        wanted=wanted,
        held=random.normal(0, 0.05, N) if held else np.zeros(N),
        tradable=np.ones(N, dtype=bool),
        capital=1e6,
        sectors=(np.arange(N) % 3).astype(float),
        returns=random.normal(0, 0.01, (60, N)),
        betas=random.normal(1, 0.3, N),
        adv=random.uniform(1e6, 2e7, N),
        market_cap=random.uniform(1e9, 9e9, N),
        benchmark=np.full(N, 1 / N),
    )


LIMITS = [
    ("max_position", (0.05,)), ("min_position", (-0.02,)), ("max_long", (0.3,)), ("max_short", (0.2,)),
    ("max_gross", (0.5,)), ("gross_exposure", (0.3, 0.6)), ("max_leverage", (0.4,)), ("min_gross", (1.5,)),
    ("max_net", (0.05,)), ("min_net", (0.1,)), ("net_exposure", (0.0, 0.02)), ("net_exposure", (0.1,)),
    ("dollar_neutral", (1.0,)), ("max_sector", (0.02,)), ("sector_neutral", (1.0,)), ("sector_deviation", (0.35,)),
    ("max_turnover", (0.2,)), ("target_volatility", (0.02,)), ("max_tracking_error", (0.03,)), ("beta", (0.0, 0.1)),
    ("max_beta", (0.0,)), ("min_beta", (0.2,)), ("min_adv", (5e6,)), ("max_participation", (0.01,)),
    ("min_market_cap", (4e9,)),
]  # fmt: skip


Bounds = list[tuple[float, float, float]]  # of measures: the least, the number, the most


def measured(name: str, values: tuple[float, ...], book: list[float], at: ConstraintInputs) -> Bounds:
    """What a limit measures on a book, by the words of `docs` in plain Python."""
    inf, x = math.inf, values[0]
    low, high = values if len(values) == 2 else (x, x)
    held, wanted = at.held.tolist(), at.wanted.tolist()
    gross, signed = sum(map(abs, book)), sum(math.copysign(1, v) * w for v, w in zip(wanted, book, strict=True))
    bench = [0.0] * N if at.benchmark is None else at.benchmark.tolist()
    codes = [0.0] * N if at.sectors is None else at.sectors.tolist()
    known = {c for c in codes if c == c}

    def of_sectors(of: list[float], most: float) -> Bounds:
        return [(-most, sum(w for w, c in zip(of, codes, strict=True) if c == code), most) for code in known]

    def given(of: Floats | None) -> list[float]:
        return [0.0] * N if of is None else [v if v == v else 0.0 for v in of.tolist()]

    def spread(of: list[float]) -> Bounds:
        if at.returns is None:
            return [(-inf, 0.0, x)]
        past = [sum(w * (r if r == r else 0.0) for w, r in zip(of, row, strict=True)) for row in at.returns.tolist()]
        return [(-inf, statistics.stdev(past) * math.sqrt(at.periods), x)]

    own = [w - b for w, b in zip(book, bench, strict=True)]
    beta = sum(w * b for w, b in zip(book, given(at.betas), strict=True))
    match name:
        case "max_position":
            return [(-inf, abs(w), x) for w in book]
        case "min_position":
            return [(x, w, inf) for w in book]
        case "max_long" | "max_short":
            return [(-inf, sum(max(0.0, w if name == "max_long" else -w) for w in book), x)]
        case "max_gross" | "gross_exposure" | "max_leverage":
            return [(-inf, gross, high), *([(low, signed, inf)] if len(values) == 2 and low > 0 else [])]
        case "min_gross":
            return [(x, signed, inf)]
        case "max_net" | "min_net" | "net_exposure":
            return [({"max_net": -inf}.get(name, low), sum(book), {"min_net": inf}.get(name, high))]
        case "dollar_neutral":
            return [(0.0, sum(book), 0.0)] if x else []
        case "max_sector":
            return of_sectors(book, x)
        case "sector_neutral":
            return of_sectors(book, 0.0) if x else []
        case "sector_deviation":
            return of_sectors(own, x)
        case "max_turnover":
            return [(-inf, sum(abs(w - h) for w, h in zip(book, held, strict=True)), x)]
        case "max_participation":
            cells = zip(book, held, given(at.adv), strict=True)
            return [(-inf, abs(w - h), x * adv / at.capital) for w, h, adv in cells]
        case "min_adv" | "min_market_cap":
            of = given(at.adv if name == "min_adv" else at.market_cap)
            return [(0.0, abs(w), 0.0) for w, v in zip(book, of, strict=True) if v < x]
        case "target_volatility":
            return spread(book)
        case "max_tracking_error":
            return spread(own)
    return [({"max_beta": -inf}.get(name, low), beta, {"min_beta": inf}.get(name, high))]


def unknown(at: ConstraintInputs) -> ConstraintInputs:
    """The same, of which some things are not known."""
    sectors, betas, adv, past = at.sectors, at.betas, at.adv, at.returns
    assert sectors is not None
    assert betas is not None
    assert adv is not None
    assert past is not None
    returns = np.where(np.arange(N * 60).reshape(60, N) % 7 == 5, np.nan, past)
    gone = np.arange(N) < 2
    return replace(at, sectors=np.where(gone, np.nan, sectors), betas=np.where(gone, np.nan, betas), adv=np.where(gone, np.nan, adv), returns=returns, periods=52.0)  # fmt: skip


ODD = [("dollar_neutral", (0.0,)), ("sector_neutral", (0.0,)), ("gross_exposure", (0.0, 0.6)), ("beta", (0.1,))]
NOTHING: dict[str, Any] = dict.fromkeys(("sectors", "returns", "betas", "adv", "market_cap", "benchmark"))


@pytest.mark.parametrize(("name", "values"), [*LIMITS, *ODD])
def test_what_a_limit_measures(name: str, values: tuple[float, ...]) -> None:
    whole = situation(1)
    for at in (whole, unknown(whole), replace(whole, **NOTHING), replace(whole, adv=np.full(N, 5e6))):
        for seed, size in enumerate((0.003, 0.03, 0.3, 3.0)):
            book = np.random.default_rng(seed).normal(0.2 * size, size, N)
            bounds = measured(name, values, book.tolist(), at)
            expected = max((d for low, v, high in bounds for d in (low - v, v - high)), default=0.0)
            found = max((excess(p, book, at.held) for p in parts(Constraint(name, values), at)), default=0.0)
            assert max(found, 0.0) == pytest.approx(max(expected, 0.0), rel=1e-9, abs=1e-12)


def test_of_two_past_rows_and_of_fewer_there_is_a_spread() -> None:
    at, limit = situation(1), Constraint("target_volatility", (0.0,))
    assert at.returns is not None
    for rows, expected in ((1, 0.0), (2, abs(float((at.returns[1] - at.returns[0]).sum())) * math.sqrt(252 / 2))):
        (part,) = parts(limit, replace(at, returns=at.returns[:rows]))
        assert excess(part, np.ones(N), at.held) == pytest.approx(expected)


def distance(book: Floats, at: ConstraintInputs) -> float:
    return float(((book - at.wanted) ** 2).sum())


@pytest.mark.parametrize(("name", "values"), LIMITS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_limit_is_kept_by_the_nearest_book(name: str, values: tuple[float, ...], seed: int) -> None:
    at = situation(seed)
    limit = Constraint(name, values)
    book = project([limit], at)
    asked = parts(limit, at)
    assert all(excess(p, book, at.held) <= TOLERANCE for p in asked)
    assert project([limit], at).tobytes() == book.tobytes()
    # No book near it that keeps the limit is nearer to the wanted one.
    random = np.random.default_rng(seed)
    for _ in range(200):
        other = book + random.normal(0, 10 ** random.uniform(-6, -1), N) * (random.random(N) < 0.4)
        if all(excess(p, other, at.held) <= 0 for p in asked):
            assert distance(other, at) >= distance(book, at) - 1e-6


LINEAR = (
    "max_position", "min_position", "max_long", "max_short", "max_gross", "max_net", "min_net", "net_exposure",
    "max_sector", "max_turnover", "max_beta", "min_beta", "max_participation",
)  # fmt: skip


def furthest(towards: Floats, limits: list[tuple[str, tuple[float, ...]]], at: ConstraintInputs) -> float | None:
    """The most of towards x book over all books within limits, by another solver; None where there is no book.

    Its columns are weights, longs, shorts, bought, sold.
    """
    zero, one, eye = np.zeros(N), np.ones(N), np.eye(N)
    low, high, rows, most = np.full(N, -np.inf), np.full(N, np.inf), [], []

    def bound(most_of: float, *blocks: Floats) -> None:
        rows.append(np.concatenate([*blocks, *[zero] * (5 - len(blocks))]))
        most.append(most_of)

    assert at.sectors is not None
    assert at.adv is not None
    for name, values in limits:
        x, top = values[0], values[-1]
        match name:
            case "max_position":
                low, high = np.maximum(low, -x), np.minimum(high, x)
            case "min_position":
                low = np.maximum(low, x)
            case "max_participation":
                room = x * at.adv / at.capital
                low, high = np.maximum(low, at.held - room), np.minimum(high, at.held + room)
            case "max_long":
                bound(x, zero, one)
            case "max_short":
                bound(x, zero, zero, one)
            case "max_gross":
                bound(x, zero, one, one)
            case "max_turnover":
                bound(x, zero, zero, zero, one, one)
            case "max_sector":
                for code in range(3):
                    members = (at.sectors == code).astype(float)
                    bound(x, members)
                    bound(x, -members)
            case "max_net" | "min_net" | "net_exposure" | "max_beta" | "min_beta":
                of = at.betas if name.endswith("beta") else one
                assert of is not None
                if not name.startswith("min"):
                    bound(top, of)
                if not name.startswith("max"):
                    bound(-x, -of)
    if (low > high).any():
        return None
    sides = np.block([[eye, -eye, eye, 0 * eye, 0 * eye], [eye, 0 * eye, 0 * eye, -eye, eye]])
    sides_of = np.concatenate([zero, at.held])
    bounds = [*zip(low, high, strict=True), *[(0.0, None)] * (4 * N)]
    found = linprog(np.concatenate([-towards, *[zero] * 4]), np.array(rows) if rows else None, most or None, sides, sides_of, bounds)  # fmt: skip
    if found.status == 2:
        return None
    return float("inf") if found.status == 3 else -float(found.fun)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([v for v in LIMITS if v[0] in LINEAR]), min_size=2, max_size=5, unique_by=lambda x: x[0]),
    st.integers(0, 10_000),
)
def test_no_book_within_many_limits_is_nearer(chosen: list[tuple[str, tuple[float, ...]]], seed: int) -> None:
    """A book is the nearest one of a convex set if none of the set lies further towards what is wanted."""
    at, limits = situation(seed), [Constraint(n, v) for n, v in chosen]
    if furthest(np.zeros(N), chosen, at) is None:
        with pytest.raises(SigcError, match=f"E502.*({'|'.join(n for n, _ in chosen)})"):
            project(limits, at)
        return
    book = project(limits, at)
    for name, values in chosen:
        for low, value, high in measured(name, values, book.tolist(), at):
            assert low - TOLERANCE <= value <= high + TOLERANCE, name
    towards = at.wanted - book
    most = furthest(towards, chosen, at)
    assert most is not None
    assert most <= float(towards @ book) + 1e-6


@settings(max_examples=40)
@given(st.lists(st.sampled_from(LIMITS), min_size=2, max_size=5, unique_by=lambda x: x[0]), st.integers(0, 10_000))
def test_many_limits_are_kept_or_refused(chosen: list[tuple[str, tuple[float, ...]]], seed: int) -> None:
    """Norms among them."""
    at, refusal = situation(seed), ""
    try:
        book = project([Constraint(n, v) for n, v in chosen], at)
    except SigcError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith("E502")
        assert any(n in refusal for n, _ in chosen)
        return
    for name, values in chosen:
        for low, value, high in measured(name, values, book.tolist(), at):
            assert low - TOLERANCE <= value <= high + TOLERANCE, name


def test_a_book_within_its_limits_is_left_alone() -> None:
    at = situation(4)
    book = project([Constraint("max_position", (9.0,))], at)
    assert book.tobytes() == at.wanted.tobytes()


def test_small_trades_are_not_made() -> None:
    at = situation(5)
    book = project([Constraint("min_trade", (0.05,)), Constraint("max_gross", (0.8,))], at)
    trades = np.abs(book - at.held)
    assert ((trades == 0.0) | (trades >= 0.05 - 1e-6)).all()
    assert np.abs(book).sum() <= 0.8 + TOLERANCE


def test_what_is_too_small_a_trade_is_not_made_and_the_rest_makes_up_for_it() -> None:
    """A needs 0.10 and B 0.04; trades of 0.05 and more are made. Without B, A takes all that the net asks for."""
    at = replace(situation(5, held=False), wanted=np.array([0.1, 0.04, *[0.0] * 10]))
    few = [Constraint("min_trade", (0.05,))]
    assert project(few, at).tolist() == [0.1, 0.0, *[0.0] * 10]
    both = project([*few, Constraint("min_net", (0.16,))], at)
    assert both == pytest.approx([0.16, 0.0, *[0.0] * 10], abs=1e-6)
    just = replace(at, wanted=np.array([0.1, 0.05, *[0.0] * 10]))
    assert project(few, just).tolist() == just.wanted.tolist()
    nothing = replace(at, tradable=np.arange(N) != 1, held=np.where(np.arange(N) == 1, 0.03, 0.0))
    assert project(few, nothing).tolist() == [0.1, 0.03, *[0.0] * 10]
    held = replace(at, wanted=np.array([0.3, 0.23, *[0.0] * 10]), held=np.array([0.2, 0.2, *[0.0] * 10]))
    assert project([*few, Constraint("min_net", (0.56,))], held) == pytest.approx([0.36, 0.2, *[0.0] * 10], abs=1e-6)
    smaller = Constraint("min_trade", (0.01,))
    assert project([smaller, *few], at).tolist() == project([*few, smaller], at).tolist() == [0.1, 0.0, *[0.0] * 10]


def test_what_wants_no_trade_may_make_up_for_small_ones() -> None:
    """Ten trades of 0.04 are not made: A and L make up for the 0.4, alike."""
    at = replace(situation(5, held=False), wanted=np.array([0.1, *[0.04] * 10, 0.0]))
    book = project([Constraint("min_trade", (0.05,)), Constraint("min_net", (0.5,))], at)
    assert book == pytest.approx([0.3, *[0.0] * 10, 0.2], abs=1e-6)


NAMED = tuple("ABCDEFGHIJKL")


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ([("max_gross", 0.1), ("max_position", 0.5), ("min_net", 0.3)], "max_gross 0.1, min_net 0.3 (assets: C, G, F)"),
        ([("max_long", 0.1), ("min_net", 0.3)], "max_long 0.1, min_net 0.3 (assets: C, G, F)"),
        (
            [("max_long", 0.1), ("min_gross", 3.0), ("max_short", 0.1)],
            "max_long 0.1, min_gross 3, max_short 0.1 (assets: C, G, F)",
        ),
        ([("max_beta", -1.0), ("min_beta", 1.0)], "max_beta -1, min_beta 1 (assets: G, F, B)"),
        ([("max_position", 0.1), ("min_position", 0.2)], "max_position 0.1, min_position 0.2 (assets: A, B, C)"),
        ([("max_position", 0.1), ("min_net", 3.0)], "max_position 0.1, min_net 3 (assets: C, G, F)"),
        ([("max_gross", 0.1), ("min_beta", 1.0)], "max_gross 0.1, min_beta 1 (assets: G, F, B)"),
        ([("min_market_cap", 9e9), ("min_net", 0.3)], "min_market_cap 9e+09, min_net 0.3 (assets: C, G, F)"),
        (
            [("max_turnover", 0.0), ("max_long", 0.0), ("max_gross", 9.0)],
            "max_turnover 0, max_long 0 (assets: C, G, F)",
        ),
    ],
)
def test_clashing_keys_are_named_with_their_assets(limits: list[tuple[str, float]], told: str) -> None:
    wanted = np.array([0.0, 0.2, -0.9, 0.01, 0.0, 0.3, *[0.01] * 6])
    held, betas = np.where(np.arange(N) == 6, 0.5, wanted * 0.9), np.where(np.arange(N) == 2, 0.0, 1.0)
    at = replace(situation(6), wanted=wanted, held=held, betas=betas, names=NAMED, date="2024-01-02")
    of = [Constraint(n, (v,), span=Span("s.sig", at + 1, 1, 1)) for at, (n, v) in enumerate(limits)]
    more = [Constraint("min_trade", (0.0,)), Constraint("max_net", (-9.0,), soft=True)]
    with pytest.raises(SigcError) as raised:
        project([*more, *of], at)
    (found,) = raised.value.diagnostics
    assert found.message == f"constraints cannot all be met on 2024-01-02: {told}"
    assert found.span == of[[n for n, _ in limits].index(told.split()[0])].span
    with pytest.raises(SigcError, match=r"constraints cannot all be met: ") as bare:
        project(of, replace(at, names=(), date=""))
    assert "assets" not in str(bare.value)


def test_a_clash_names_what_is_held_or_wanted_and_both_ends_of_a_limit() -> None:
    wanted = np.where(np.arange(N) == 2, -0.9, np.where(np.arange(N) == 1, 0.2, 0.0))
    at = replace(situation(6, held=False), wanted=wanted, names=NAMED)
    limits = [Constraint("max_gross", (0.1,)), Constraint("net_exposure", (0.3, 0.4))]
    with pytest.raises(SigcError, match=r"max_gross 0\.1, net_exposure \[0\.3, 0\.4\] \(assets: C, B\)$"):
        project(limits, at)


def test_of_positions_those_that_are_held_count() -> None:
    at = replace(situation(1, held=False), wanted=np.array([0.1, -0.1, *[0.0] * 10]))
    assert project([Constraint("min_positions", (2.0,))], at).tolist() == at.wanted.tolist()
    with pytest.raises(SigcError, match="'min_positions' asks for 3 assets, the book holds 2"):
        project([Constraint("min_positions", (3.0,))], at)


def test_a_solved_book_stays_where_nothing_may_be_traded(capfd: pytest.CaptureFixture[str]) -> None:
    """To the bit, and nothing is printed."""
    at = situation(2)
    assert project([Constraint("max_turnover", (0.0,))], at).tolist() == at.held.tolist()
    assert capfd.readouterr() == ("", "")


def test_a_book_that_wants_nothing_owes_no_minimum() -> None:
    at = replace(situation(1, held=False), wanted=np.zeros(N))
    minima = [Constraint("min_net", (0.1,)), Constraint("min_gross", (0.1,)), Constraint("min_positions", (3.0,))]
    assert not project(minima, at).any()
    with pytest.raises(SigcError):
        project([*minima, Constraint("max_long", (0.0,))], replace(at, wanted=np.full(N, 0.1)))
    assert project([Constraint("max_position", (0.05,))], replace(at, wanted=np.full(N, 0.1))) == pytest.approx(0.05)


def test_soft_bounds_of_assets_bend_alike() -> None:
    """At most 0.05 of each, softly, and a net of 1 all the same: a twelfth of each, one more where more is wanted."""
    at = replace(situation(1), wanted=np.full(N, 0.02))
    soft = [Constraint("max_position", (0.05,), soft=True), Constraint("min_net", (1.0,))]
    assert project(soft, at) == pytest.approx(1 / N, abs=1e-6)
    assert project(soft[:1], replace(at, wanted=np.full(N, 0.3))) == pytest.approx(0.05, abs=1e-6)
    more = replace(at, wanted=np.array([0.3, *[0.02] * 11]))  # enough, but for what is above 0.05
    book = project([soft[0], Constraint("min_net", (0.5,))], more)
    assert book == pytest.approx([0.05, *[0.45 / 11] * 11], abs=1e-6)
    with pytest.raises(SigcError, match=r"max_position 0\.05, min_net 1"):
        project([replace(soft[0], soft=False), soft[1]], at)


def test_what_is_stuck_leaves_limits_where_they_are_exceeded_least() -> None:
    """0.5 of A is stuck. Neutral within a gross of 0.6: shorts of 0.1 take from the net what they add to no gross."""
    stuck = np.where(np.arange(N) == 0, 0.5, 0.0)
    at = replace(situation(1), wanted=stuck, held=stuck, tradable=np.arange(N) != 0)
    both = [Constraint("dollar_neutral", (1.0,)), Constraint("max_gross", (0.6,))]
    book = project(both, at)
    assert book[0] == 0.5
    assert book[1:] == pytest.approx(-0.1 / 11, abs=1e-6)
    two = project(both, replace(at, tradable=np.arange(N) > 1))  # B can't be traded either, and is not held
    assert two == pytest.approx([0.5, 0.0, *[-0.1 / 10] * 10], abs=1e-6)
    boxed = project([*both, Constraint("min_position", (-0.004,))], at)
    assert boxed[1:] == pytest.approx(-0.004, abs=1e-6)
    with pytest.raises(SigcError, match=r"min_gross 0\.7, max_long 0"):  # without it there would be none either
        project(
            [*both, Constraint("min_gross", (0.7,)), Constraint("max_long", (0.0,))], replace(at, wanted=stuck + 0.01)
        )


@pytest.mark.parametrize(
    ("most", "soft", "held", "is_refused"),
    [
        (12, False, 0.1, False),
        (13, False, 0.1, True),
        (13, True, 0.1, False),
        (12, False, 0.0, False),
        (11, False, 0.0, False),
    ],
)
def test_of_assets_that_are_out_of_reach_none_is_asked(most: int, soft: bool, held: float, is_refused: bool) -> None:
    """A can't be traded: it counts where it is held, and is not missed where it is not."""
    at = replace(
        situation(9), wanted=np.full(N, 0.1), held=np.full(N, held), tradable=np.arange(N) != 0, date="2024-01-02"
    )
    limits = [Constraint("min_positions", (float(most),), soft=soft)]
    if not is_refused:
        assert project(limits, at)[1:] == pytest.approx(0.1)
        return
    with pytest.raises(SigcError, match="'min_positions' asks for 13 assets, the book holds 12 on 2024-01-02"):
        project(limits, at)
    with pytest.raises(SigcError, match=r"the book holds 12$|the book holds 12[^ ]"):
        project(limits, replace(at, date=""))


def test_soft_limits_bend() -> None:
    at = situation(7)
    hard = project([Constraint("max_turnover", (0.1,))], at)
    both = [Constraint("max_turnover", (0.1,), soft=True), Constraint("min_net", (0.5,))]
    bent = project(both, at)
    assert bent.sum() >= 0.5 - TOLERANCE
    assert np.abs(bent - at.held).sum() > np.abs(hard - at.held).sum()
    far = replace(at, wanted=np.array([12.0, *[0.0] * 11]))  # a unit beyond costs 10, as does being 10 off
    gross = Constraint("max_gross", (1.0,), soft=True)
    assert project([gross], far) == pytest.approx([2.0, *[0.0] * 11], abs=1e-6)


def test_assets_without_a_price_keep_their_weight() -> None:
    at = situation(8)
    tradable = np.ones(N, dtype=bool)
    tradable[3] = False
    at = replace(at, tradable=tradable)
    book = project([Constraint("dollar_neutral", (1.0,))], at)
    assert book[3] == at.held[3]
    assert abs(book.sum()) < TOLERANCE
