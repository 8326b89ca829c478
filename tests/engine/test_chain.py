"""A chain gives the bits of its operators' own kernels, whatever the shapes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sigc.engine.kernel.calls import Slice, call_of
from sigc.engine.kernel.chain import Chain, is_chained
from sigc.ops.chained import CLEAN, CODES, PAST, SEGMENT
from sigc.ops.declare import REGISTRY
from sigc.ops.jit import frozen
from sigc.ops.loops import streams
from sigc.ops.table import operators
from sigc.panel import canonical
from sigc.plan.expr import CONSTANT, Expr, source

operators()  # fills the registry
Floats = NDArray[np.float64]
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 5e-324, -1e300, 1e300, 0.1, 3.0, -2.5])
LEAVES = tuple(source(name) for name in "pqr")


def node(name: str, *inputs: Expr) -> Expr:
    """The operator with as many of the inputs as it takes."""
    names = tuple(p.name for p in REGISTRY[name].inputs)
    return Expr(name, inputs[: len(names)], given=names)


def by_kernels(nodes: list[Expr], values: Mapping[str, Floats | float], rows: int) -> Floats:
    """The last of the nodes, one kernel after the other."""
    at = Slice(0, rows, ("A",), (), "a test")
    known = dict(values)
    with np.errstate(all="ignore"):
        for n in nodes:
            known[n.shape] = call_of(n, at)([known[i.shape] for i in n.inputs])
    return np.asarray(known[nodes[-1].shape])


def same_bits(a: Floats, b: Floats) -> bool:
    """Signs of zero too; any NaN is as good as another."""
    missing = np.isnan(a)
    return bool(np.array_equal(missing, np.isnan(b)) and np.array_equal(a[~missing].view("i8"), b[~missing].view("i8")))


@pytest.mark.parametrize("name", sorted(CODES))
def test_each_operator_as_its_kernel(name: str) -> None:
    """On every triple of special values."""
    a, b, c = (m.reshape(1, -1) for m in np.meshgrid(SPECIAL, SPECIAL, SPECIAL))
    values = dict(zip((leaf.shape for leaf in LEAVES), map(np.ascontiguousarray, (a, b, c)), strict=True))
    own = node(name, *LEAVES)
    chain, out = Chain([own], None), np.empty(a.shape)
    chain.run([values[s] for s in chain.inputs], out)
    assert same_bits(out, by_kernels([own], values, 1))


@settings(max_examples=60)
@given_(
    names=st.lists(st.sampled_from(sorted(CODES)), min_size=1, max_size=6),
    rows=st.integers(1, 4),
    assets=st.sampled_from([1, 7, 8, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 3]),
    numbers=st.lists(st.booleans(), min_size=3, max_size=3),
    clean=st.sampled_from([CLEAN, PAST]),
    seed=st.integers(0, 1000),
)
def test_a_chain_as_one_node_after_the_other(
    names: list[str], rows: int, assets: int, numbers: list[bool], clean: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    values: dict[str, Floats | float] = {
        leaf.shape: float(random.choice(SPECIAL)) if is_number else random.choice(SPECIAL, (rows, assets))
        for leaf, is_number in zip(LEAVES, numbers, strict=True)
    }
    nodes = [node(names[0], *LEAVES)]
    for name in names[1:]:
        nodes.append(node(name, nodes[-1], *LEAVES[1:]))
    chain, out = Chain(nodes, clean), np.empty((rows, assets))
    chain.run([values[s] for s in chain.inputs], out)
    expected = np.broadcast_to(by_kernels(nodes, values, rows), (rows, assets))
    assert out.tobytes() == canonical(np.ascontiguousarray(expected)).tobytes()


def test_an_array_of_another_shape_is_refused() -> None:
    chain = Chain([node("add", *LEAVES)], None)
    with pytest.raises(ValueError, match="expected C-contiguous float64"):
        chain.run([np.ones((3, 4)), np.ones((3, 5))], np.empty((3, 4)))
    with pytest.raises(ValueError, match="expected C-contiguous float64"):
        chain.run([np.ones((4, 3)).T, np.ones((3, 4))], np.empty((3, 4)))


def test_a_square_is_chained() -> None:
    """pow(x, 2) as its kernel; another power stands alone."""
    two, three = (Expr(CONSTANT, args=(("value", n),)) for n in (2.0, 3.0))
    square = Expr("pow", (LEAVES[0], two), given=("x", "n"))
    assert is_chained(square)
    assert not is_chained(Expr("pow", (LEAVES[0], three), given=("x", "n")))
    chain, out = Chain([square], None), np.empty((1, len(SPECIAL)))
    chain.run([SPECIAL[None], 2.0], out)
    assert same_bits(out, by_kernels([square], {LEAVES[0].shape: SPECIAL[None], two.shape: 2.0}, 1))


@pytest.mark.parametrize("assets", [1, 7, 8, 9, 800, 803])
def test_results_past_the_caches_are_canonical(assets: int) -> None:
    """From any row of a larger array on, whose rows begin anywhere in a cache line; what is around stays."""
    x = np.random.default_rng(assets).choice(SPECIAL, (3, assets))
    out = np.full((6, assets), 7.0)
    streams.canonical_past(frozen(x), out, 2)
    assert out[2:5].tobytes() == canonical(x).tobytes()
    assert (out[[0, 1, 5]] == 7.0).all()


def test_an_operator_without_one_of_its_inputs_stands_alone() -> None:
    assert is_chained(node("fill_nan", *LEAVES))
    assert not is_chained(Expr("fill_nan", LEAVES[:1], given=("x",)))
    assert not is_chained(node("log", *LEAVES))
