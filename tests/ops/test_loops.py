"""Compiled loops: what is compiled for a run, how often, by which way in; and rows that need the other way."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sigc.ops import rolling
from sigc.ops.cross import group_rank, rank
from sigc.ops.loops import ranks, sorting
from sigc.ops.weights import long_short

ROOT = Path(__file__).parent.parent.parent
LOOPS = sorted((ROOT / "sigc" / "ops" / "loops").glob("*.py"))
Floats = NDArray[np.float64]
Function = ast.FunctionDef
COLS = 300
WINDOWS = (
    rolling.rolling_mean,
    rolling.rolling_std,
    lambda x, n: rolling.rolling_corr(x, x * x, n),
    rolling.rolling_max,
    rolling.rolling_quantile,
    rolling.ts_argmin,
    rolling.ts_kurt,
    rolling.ts_rank,
    rolling.ts_residual,
    rolling.decay_linear,
)


def kinds() -> dict[str, Floats]:
    """A row of each kind: buckets are enough for some, digits are needed for others."""
    draw = np.random.default_rng(7)
    usual = draw.normal(size=COLS)
    holes = np.where(draw.random(COLS) < 0.3, np.nan, usual)
    few = np.where(np.arange(COLS) < 5, usual, np.nan)
    ties = np.round(usual, 1)
    clusters = np.where(draw.random(COLS) < 0.5, 1.0 + 1e-13 * usual, 1e9 + 1e-3 * usual)
    edges = np.where(draw.random(COLS) < 0.2, np.inf, np.where(draw.random(COLS) < 0.2, -np.inf, 0.0 * usual))
    return {
        "usual": usual,
        "holes": holes,
        "few": few,
        "none": np.full(COLS, np.nan),
        "ties": ties,
        "clusters": clusters,
        "edges": edges,
    }


@pytest.mark.parametrize("seed", range(8))
def test_a_row_has_its_order_whatever_stands_before_it(seed: int) -> None:
    rows = list(kinds().values()) * 2
    np.random.default_rng(seed).shuffle(rows)
    x = np.array(rows)
    by = np.tile(np.arange(COLS) % 7.0, (len(x), 1))
    for made, alone in (
        (rank(x), [rank(row[None]) for row in rows]),
        (long_short(x, 0.2, 0.1), [long_short(row[None], 0.2, 0.1) for row in rows]),
        (group_rank(x, by), [group_rank(row[None], by[:1]) for row in rows]),
    ):
        assert made.tobytes() == np.concatenate(alone).tobytes()


@pytest.mark.parametrize("kind", kinds())
def test_a_rank_is_how_many_are_below_and_half_of_the_equals(kind: str) -> None:
    row = kinds()[kind]
    assert rank(row[None])[0].tobytes() == by_comparing(row).tobytes()


def by_comparing(row: Floats) -> Floats:
    """The ranks of a row."""
    below, level = (row < row[:, None]).sum(axis=1), (row == row[:, None]).sum(axis=1)
    expected = (below + 0.5 * (level - 1)) / max(1, (~np.isnan(row)).sum() - 1)
    return np.where(np.isnan(row), np.nan, expected)


@pytest.mark.parametrize("cols", [2, 15, 16, 17, 63, 64, 65, 130, 1500])
def test_ranks_of_any_width_with_ties_of_any_size(cols: int) -> None:
    draw = np.random.default_rng(cols)
    usual = draw.normal(size=cols)
    for digits in (0, 1, 2, 3, 15):
        for values in (usual, np.exp(3.0 * usual), usual.clip(-0.5, 1.0)):
            row = np.where(draw.random(cols) < 0.05, np.nan, values.round(digits))
            row[0] = 1.0
            if (~np.isnan(row)).sum() > 1:
                assert rank(row[None])[0].tobytes() == by_comparing(row).tobytes()


@pytest.mark.parametrize("cols", [1, 15, 16, 17, 40, 64, 65, 79, 150])
@pytest.mark.parametrize("op", WINDOWS, ids=lambda op: op.__name__)
def test_a_window_of_an_asset_knows_of_no_other(op: Callable[[Floats, int], Floats], cols: int) -> None:
    draw = np.random.default_rng(cols)
    x = draw.normal(size=(60, cols)).cumsum(axis=0)
    x[draw.random(x.shape) < 0.02] = np.nan
    for window in (4, 7, 20):
        whole = op(x, window)
        for at in {0, cols // 2, cols - 1}:
            assert whole[:, at].tobytes() == op(x[:, at : at + 1].copy(), window)[:, 0].tobytes()


def test_the_shorter_loop_stops_where_digits_are_needed() -> None:
    x = np.array(list(kinds().values()))
    x.flags.writeable = False
    room = ranks.room(COLS)
    stopped = ranks._ranks(x, 0, 0.0, np.empty(x.shape), *room, None)
    assert list(kinds())[stopped] == "clusters"
    assert ranks._ranks(x, stopped, 0.0, np.empty(x.shape), *room, sorting.digits_of(COLS)) == len(x)


def functions(path: Path) -> dict[str, tuple[Function, str]]:
    """The functions of a module of loops, each with its options: OPTIONS, INNER, or '' for plain Python."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, Function):
            options = re.findall(r"OPTIONS|INNER", " ".join(ast.unparse(d) for d in node.decorator_list))
            found[node.name] = (node, options[0] if options else "")
    return found


def called(node: ast.AST) -> set[str]:
    """Names of functions called within, those of another module of loops too."""
    calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
    modules = {p.stem for p in LOOPS}
    own = {f.id for f in calls if isinstance(f, ast.Name)}
    return own | {f.attr for f in calls if isinstance(f, ast.Attribute) and ast.unparse(f.value) in modules}


def taken(path: Path) -> set[str]:
    """Loops that another module takes: `ranks.NAME`, or imported by name."""
    names, modules = set(), {p.stem for p in LOOPS} | {"loops"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            names.add(node.attr)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sigc.ops.loops."):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", LOOPS, ids=lambda p: p.stem)
def test_inner_loops_are_called_by_loops_alone(path: Path) -> None:
    here = functions(path)
    inner = {name for name, (_, options) in here.items() if options == "INNER"}
    plain = {name for node, options in here.values() if not options for name in called(node)}
    for folder in ("sigc", "pipelines", "cli"):
        plain |= {n for other in (ROOT / folder).rglob("*.py") if other not in LOOPS for n in taken(other)}
    assert not inner & plain
    every = [entry for module in LOOPS for entry in functions(module).values()]
    assert inner <= {name for node, options in every if options for name in called(node)}


TEXT = """data:
  prices: load parquet from "prices.parquet"
signal momentum:
  emit prices.ret(20).zscore().winsor(0.01).rank()
portfolio main:
  weights = momentum.long_short(top=0.2, bottom=0.2)
  backtest rebal=1
"""
ENTRIES = {
    "scans._change",
    "rows._standing",
    "quantiles._clipped",
    "ranks._ranks",
    "picks._long_short",
    "streams.canonical",
    "books._followed",
    "jumps._looked_at",
}


def test_a_run_compiles_what_it_uses_once_and_a_second_loads_little(tmp_path: Path) -> None:
    import pandas as pd

    prices = 100.0 * np.exp(0.01 * np.random.default_rng(3).normal(size=(120, 80)).cumsum(axis=0))
    dates = pd.bdate_range("2020-01-01", periods=len(prices), name="date")
    pd.DataFrame(prices, dates, [f"A{i:02}" for i in range(80)]).to_parquet(tmp_path / "prices.parquet")
    (tmp_path / "momentum.sig").write_text(TEXT, encoding="utf-8")
    assert "distributed" not in loaded(tmp_path)
    made = Counter(".".join(p.name.split("-")[0].split(".")) for p in (tmp_path / "cache").rglob("*.nbc"))
    assert set(made.values()) == {1}, made
    assert set(made) >= ENTRIES
    entries = {
        f"{path.stem}.{n}" for path in LOOPS for n, (_, options) in functions(path).items() if options == "OPTIONS"
    }
    assert set(made) & entries == ENTRIES
    assert "sorting.by_digits" not in made
    assert not loaded(tmp_path) & {"pandas", "distributed", "dask", "scipy", "cffi", "pyarrow.compute", "bokeh"}


def loaded(folder: Path) -> set[str]:
    """The modules that a backtest in a process of its own has loaded."""
    script = (
        "import sys; from sigc_cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('modules', *sys.modules)"
    )
    environment = os.environ | {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join(str(ROOT / p) for p in (".", "cli", "pipelines", "dashboard")),
    }
    done = subprocess.run(
        [sys.executable, "-c", script, "backtest", "momentum.sig"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("alone", [False, True])
def test_others_find_what_numba_was_loaded_without(alone: bool, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sigc.ops import jit\n"
        f"jit.prepare(Path({str(tmp_path)!r}), alone={alone})\n"
        "from sigc.ops.loops import rows\n"
        f"assert 'scipy.linalg' not in sys.modules\n"
        "import numpy as np, numba, cffi, scipy.linalg.cython_blas\n"
        "x = np.eye(3)\n"
        "assert (numba.njit(lambda a: a @ a)(x) == x).all()\n"
    )
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
