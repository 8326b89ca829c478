"""The language: what is legal, what it means, where it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc.errors import Severity, SigcError
from sigc.lang.check import CheckedFile, check_file, check_text
from sigc.ops.table import operators
from sigc.plan.expr import Expr, lookback
from sigc.plan.lower import lower

DATA = 'data:\n  prices: load csv from "p.csv"\n  sectors: load sector from "s.csv"\n'


def check(text: str, **params: float) -> CheckedFile:
    return check_text(DATA + text, "t.sig", params)


def codes(text: str) -> list[str]:
    return [d.code for d in check(text).diagnostics if d.severity is Severity.ERROR]


def root(emit: str, body: str = "") -> Expr:
    checked = check(f"signal a:\n{body}  emit {emit}\n")
    assert checked.ok, checked.diagnostics
    return dict(lower(checked).signals)["a"]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("prices + 1 * 2", "prices + (1 * 2)"),
        ("-prices ** 2", "-(prices ** 2)"),
        ("prices ** 2 ** 3", "prices ** (2 ** 3)"),
        ("prices - 1 - 2", "(prices - 1) - 2"),
        ("prices > 1 and prices < 2 or prices == 3", "((prices > 1) and (prices < 2)) or (prices == 3)"),
        ("not prices > 1", "not (prices > 1)"),
        ("prices.rank().lag(2)", "lag(rank(prices), 2)"),
        ("delay(prices)", "lag(prices, periods=1)"),
        ("mean(prices, 20)", "rolling_mean(prices)"),
        ("lag(lag(prices, 2), 3)", "lag(prices, 5)"),
        ("rolling_mean(prices, 52 / 2 - 6)", "rolling_mean(prices, 20)"),
        ("neutralize(prices)", "prices.neutralize()"),
        ("pow(prices, exp=3)", "prices ** 3"),
        ("clip(prices, min=1)", "clip(prices, lo=1)"),
        ("if_else(prices > 1, 1, 2)", "where(prices > 1, 1, 2)"),
        ("momentum(prices, 5)", "zscore(ret(prices, 5))"),
        ("prices\n    + 1", "prices + 1"),
        ("rank(\n  prices,\n  )", "rank(prices)"),
        ("prices # comment\n  + 1 // more", "prices + 1"),
        ("--prices", "prices"),
    ],
)
def test_the_same(a: str, b: str) -> None:
    assert root(a) == root(b)


def test_keywords_are_contextual() -> None:
    text = """signal signal:
  top = rank(prices)
  data = top
  emit rank(data)
portfolio params:
  weights = signal.long_short(top=0.2)
"""
    assert check(text).ok


def test_a_local_may_carry_an_operators_name() -> None:
    assert root("ret + ret(ret, 1)", "  ret = ret(prices, 1)\n") == root("ret(prices, 1) + ret(ret(prices, 1), 1)")


def test_bodies_may_stand_at_column_zero() -> None:
    assert check("signal a:\nx = prices\nemit x\nportfolio p:\nweights = rank(a)\n").ok


def test_sections_come_in_any_order_and_tabs_are_fine() -> None:
    assert check_text("portfolio p:\n\tweights = a.rank()\nsignal a:\n\temit prices\n" + DATA, "t.sig").ok


def test_macros_are_hygienic() -> None:
    text = "macro m(x: expr):\n  let y = x * 2\n  emit y + x\nsignal a:\n  y = prices\n  emit m(y)\n"
    checked = check(text)
    assert checked.ok
    assert dict(lower(checked).signals)["a"] == root("prices * 2 + prices")


def test_user_definitions_override_built_in_ones() -> None:
    checked = check("fn momentum(x): rank(x)\nsignal a:\n  emit momentum(prices)\n")
    assert checked.ok
    assert dict(lower(checked).signals)["a"] == root("rank(prices)")


@pytest.mark.parametrize(
    ("emit", "code"),
    [
        ("lag(lead(prices, 5), 5)", None),
        ("lag(lead(prices, 5), 4)", "E103"),
        ("lag(lead(prices, 5), 3).lag(2)", None),
        ("ret(prices, -1)", "E103"),
        ("delta(prices, -1).lag(1)", None),
        ("lag(prices, -2)", "E103"),
        ("lag(cumsum(lead(prices)), 1)", "E103"),
        ("cumsum(lag(lead(prices), 1))", None),
    ],
)
def test_look_ahead(emit: str, code: str | None) -> None:
    assert codes(f"signal a:\n  emit {emit}\n") == ([code] if code else [])


@pytest.mark.parametrize(
    ("emit", "rows"),
    [
        ("prices", 0),
        ("rolling_mean(ret(prices, 5), 20)", 24),
        ("zscore(lag(prices, 3)) + rolling_std(prices, 10)", 9),
        ("ema(prices, 5)", None),
        ("scale_vol(rank(ret(prices, 10)), 0.1, 60)", 70),
    ],
)
def test_lookback(emit: str, rows: int | None) -> None:
    assert lookback(root(emit)) == rows


def test_params_override_and_unknown_ones_are_errors() -> None:
    text = "params:\n  n = 5\nsignal a:\n  emit lag(prices, n)\n"
    checked = check(text)
    strategy = lower(checked, {"n": 7})
    assert dict(strategy.signals)["a"].arguments == {"periods": 7}
    with pytest.raises(SigcError, match="no parameter 'm'"):
        lower(checked, {"m": 7})
    assert [d.code for d in check(text, n=2.5).diagnostics] == ["E101"]


def test_labels_are_found_by_their_use() -> None:
    text = 'data:\n  prices: load csv from "p.csv"\n  groups: load csv from "g.csv"\n'
    checked = check_text(text + "signal a:\n  emit neutralize(prices, groups)\n", "t.sig")
    assert {s.name: s.dtype for s in lower(checked).data}["groups"] == "category"


@pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in operators()])
def test_every_operators_example_compiles(op: object) -> None:
    example = op.example  # type: ignore[attr-defined]
    names = ("open", "high", "low", "close", "volume")
    data = DATA + "".join(f'  {n}: load csv from "{n}.csv"\n' for n in names)
    checked = check_text(f"{data}signal a:\n  emit {example}\n", "t.sig")
    assert checked.ok, checked.diagnostics


def test_imports_bring_definitions(tmp_path: Path) -> None:
    (tmp_path / "lib.sig").write_text("fn twice(x): x + x\n")
    main = tmp_path / "main.sig"
    main.write_text('import "lib.sig"\n' + DATA + "signal a:\n  emit twice(prices)\n")
    assert check_file(main).ok


@pytest.mark.parametrize(
    ("lib", "code"), [('import "main.sig"\n', "E005"), ("fn f(x: x\n", "E001"), ("fn f(x): y\n", "E002")]
)
def test_bad_imports(tmp_path: Path, lib: str, code: str) -> None:
    (tmp_path / "lib.sig").write_text(lib)
    main = tmp_path / "main.sig"
    main.write_text('import "lib.sig"\n' + DATA + "signal a:\n  emit f(prices)\n")
    assert code in [d.code for d in check_file(main).diagnostics]


def test_imports_stay_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.sig").write_text("fn f(x): x\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.sig").symlink_to(tmp_path / "secret.sig")
    for target in ("../secret.sig", "link.sig", str(tmp_path / "secret.sig")):
        main = inner / "main.sig"
        main.write_text(f'import "{target}"\n' + DATA + "signal a:\n  emit f(prices)\n")
        assert "E200" in [d.code for d in check_file(main).diagnostics]


@pytest.mark.parametrize(
    "text",
    [
        "signal a:\n  emit " + "(" * 5000 + "prices" + ")" * 5000 + "\n",
        "signal a:\n  emit " + "-" * 5000 + "prices\n",
        "signal a:\n  emit " + "not " * 5000 + "prices\n",
        "signal a:\n  emit prices" + ".rank()" * 5000 + "\n",
        "signal a:\n  emit " + "prices + " * 5000 + "prices\n",
        "signal a:\n  emit 9**9**9**9**9**9\n",
        "signal a:\n  emit coalesce(" + "prices," * 5000 + ")\n",
        "".join(f"fn f{i}(x): f{i + 1}(x) + f{i + 1}(x)\n" for i in range(300)) + "fn f300(x): x\n",
        "params:\n  a: range(0, 1e12, 1e-9)\n",
        "x" * 2_000_000,
        "\x00\x01\ufeff",
    ],
)
def test_hostile_texts_are_refused_fast(text: str) -> None:
    checked = check_text(DATA + text, "t.sig")
    assert not checked.ok
    assert checked.diagnostics


def test_of_a_name_bound_twice_the_later_counts() -> None:
    body = "  x = ret(prices, 5)\n  y = rank(x)\n  x = ret(prices, 20)\n"
    found = check(f"signal a:\n{body}  emit x + y\n")
    assert [(d.code, d.severity) for d in found.diagnostics if d.code != "W001"] == [("W005", Severity.WARNING)]
    assert dict(lower(found).signals)["a"] == root("ret(prices, 20) + rank(ret(prices, 5))")
    assert codes(f"portfolio p:\n{body}  weights = x + y\n") == []


@pytest.mark.parametrize(
    "line",
    [
        "costs = tc.bps(1)\n  costs = tc.bps(2)",
        "backtest rebal=5 rebal=21",
        "backtest from 2020-01-01 from 2021-01-01",
        "backtest cpcv(n_splits=4) walk_forward(train_years=2)",
    ],
)
def test_what_a_book_says_once_is_not_said_twice(line: str) -> None:
    assert codes(f"portfolio p:\n  weights = rank(prices)\n  {line}\n") == ["E004"]
