"""The law of rewrite rules: rewritten equals unrewritten, bit for bit, on random DAGs of all operators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.ops.declare import Operator, ValueKind
from sigc.ops.table import operators
from sigc.panel import Floats, canonical
from sigc.plan import rules
from sigc.plan.expr import Expr, source, walk
from sigc.plan.rules import RULES, rewrite
from sigc.plan.rules.declare import DECLARED, Rule
from tests.ops.samples import numbers, run

ROWS, ASSETS, NODES = 14, 5, 24
SEEDS = range(600)
SOURCES = tuple(source(f"p{i}") for i in range(3))
LABELS = source("labels", ValueKind.CATEGORY)
# What rules rewrite is rare among all operators.
OFTEN = tuple(op for op in operators() if op.name in ("neg", "abs", "lag"))


def leaves(seed: int) -> dict[str, Floats]:
    """Data as blocks hold them: one bit pattern of NaN, no negative zero; infinities, ties, denormals, huge values."""
    random = np.random.default_rng(seed)
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 0.1, 5e-324, 1e308, -1e308])
    found = {}
    for at in SOURCES:
        x = random.normal(size=(ROWS, ASSETS))
        strange = random.random(x.shape) < 0.3
        x[strange] = random.choice(odd, strange.sum())
        found[at.shape] = canonical(x)
    codes = random.integers(0, 3, (ROWS, ASSETS)).astype(np.float64)
    codes[random.random(codes.shape) < 0.2] = np.nan
    return found | {LABELS.shape: codes}


def dag(seed: int) -> list[Expr]:
    """Roots of a random DAG: each node of it may be read by others and be wanted itself."""
    random = np.random.default_rng(seed)
    nodes: list[Expr] = list(SOURCES)
    for _ in range(NODES):
        pool = OFTEN if random.random() < 0.5 else operators()
        nodes.append(_node(pool[random.integers(len(pool))], nodes, random))
    return [nodes[i] for i in sorted({int(i) for i in random.integers(len(nodes), size=6)} | {len(nodes) - 1})]


def _node(op: Operator, nodes: list[Expr], random: np.random.Generator) -> Expr:
    def panel() -> Expr:  # a late one mostly, so that operators stand on one another
        back = min(int(random.exponential(2.0)), len(nodes) - 1)
        return nodes[len(nodes) - 1 - back]

    args = numbers(op)
    if "periods" in args:
        args["periods"] = int(random.integers(-2, 4))
    taken = [p for p in op.inputs for _ in range(2 if p.variadic else 1)]
    inputs = tuple(LABELS if p.kind is ValueKind.CATEGORY else panel() for p in taken)
    return Expr(op.name, inputs, tuple(sorted(args.items())), op.result, tuple(p.name for p in taken))


def values(roots: list[Expr], data: dict[str, Floats]) -> list[bytes]:
    """The bytes that blocks of the roots would hold, computed node by node."""
    known = dict(data)
    of = {op.name: op for op in operators()}
    for node in walk(roots):
        if node.shape not in known:
            op = of[node.op]
            names = node.given if not any(p.variadic for p in op.inputs) else map(str, range(len(node.inputs)))
            given_ = {n: known[i.shape] for n, i in zip(names, node.inputs, strict=True)}
            known[node.shape] = run(op, given_, dict(node.args))[0]
    return [canonical(known[r.shape]).tobytes() for r in roots]


def is_kept(seed: int, rules_: tuple[Rule, ...]) -> bool:
    """Return True if the rules leave all values of a DAG as they are."""
    roots, data = dag(seed), leaves(seed)
    return values(rewrite(roots, rules_), data) == values(roots, data)


@pytest.mark.parametrize("part", range(6))
def test_rewritten_equals_unrewritten(part: int) -> None:
    assert [seed for seed in SEEDS if seed % 6 == part and not is_kept(seed, RULES)] == []


@settings(max_examples=30)
@given(st.integers(len(SEEDS), 1 << 40))
def test_rewritten_equals_unrewritten_on_any_dag(seed: int) -> None:
    assert is_kept(seed, RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.__name__)
def test_every_rule_fires(rule: Rule) -> None:
    """On the DAGs of the law, so that the law is about it."""
    assert any([r.shape for r in rewrite(dag(s), [rule])] != [r.shape for r in dag(s)] for s in SEEDS)


def of(name: str, inner: str, made: Callable[[Expr, Expr], Expr]) -> Rule:
    """The rule that makes something of a node of `name` on one of `inner`."""

    def rule(node: Expr) -> Expr:
        at = node.inputs[0] if node.inputs else None
        return made(node, at) if node.op == name and at is not None and at.op == inner else node

    return rule


WRONG = {
    "-(a + b) is a + b": of("neg", "add", lambda _, at: at),
    "lag(abs(x), a) is lag(x, a)": of("lag", "abs", lambda node, at: replace(node, inputs=at.inputs)),
    "abs(lag(x, a)) is abs(x)": of("abs", "lag", lambda node, at: replace(node, inputs=at.inputs)),
    "-(a - b) is a": of("neg", "sub", lambda _, at: at.inputs[0]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_caught(name: str) -> None:
    assert not all(is_kept(seed, (*RULES, WRONG[name])) for seed in SEEDS)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "planted.py").write_text(
        "from sigc.plan.rules.declare import rule\n@rule\ndef unlisted(node):\n    return node\n", encoding="utf-8"
    )
    before = list(DECLARED)
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(tmp_path)])
    yield "unlisted"
    DECLARED[:] = before
    sys.modules.pop(f"{rules.__name__}.planted", None)


def test_a_rule_is_found_by_its_file(planted: str) -> None:
    assert {r.__name__ for r in rules._found()} == {*(r.__name__ for r in RULES), planted}
