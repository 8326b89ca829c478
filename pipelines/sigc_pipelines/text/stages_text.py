"""Any stage of a strategy's compilation as text, as `sigc explain FILE --stage` prints it."""

from __future__ import annotations

from sigc.plan.expr import Expr, lookback, walk
from sigc_pipelines.assembly.parts import Compiled


def explain(compiled: Compiled, stage: str) -> str:
    """Return the text of a stage that needs no data: parse, format, graph, lookback."""
    match stage:
        case "parse":
            import pprint

            return pprint.pformat(compiled.checked.module, width=110)
        case "format":
            from sigc.lang.syntax.format import format

            return format(compiled.checked.module).rstrip()
        case "lookback":
            lines = []
            for name, root in compiled.strategy.roots.items():
                rows = lookback(root)
                lines.append(f"{name}: {'carried from the first row' if rows is None else f'{rows} rows before'}")
            return "\n".join(lines)
        case _:
            return graph(compiled.strategy.roots)


def graph(roots: dict[str, Expr]) -> str:
    """Return the DAG, a line a node, inputs before their consumers; roots at the end."""
    nodes = walk(roots.values())
    number = {n.shape: i for i, n in enumerate(nodes)}
    lines = [f"%{number[n.shape]} = {_node(n, number)}" for n in nodes]
    lines += [f"{name} <- %{number[root.shape]}" for name, root in roots.items()]
    return "\n".join(lines)


def _node(node: Expr, number: dict[str, int]) -> str:
    match node.op:
        case "source":
            return f"{node.arguments['name']}" + (" (labels)" if node.kind == "category panel" else "")
        case "constant":
            return repr(node.arguments["value"])
        case "column":
            return f"%{number[node.inputs[0].shape]}[{node.arguments['asset']}]"
    inputs = [f"%{number[i.shape]}" for i in node.inputs]
    args = [f"{k}={v:g}" if isinstance(v, float | int) else f"{k}={v}" for k, v in node.args if v is not None]
    place = f"    # line {node.span.line}" if node.span else ""
    carried = " (carried)" if node.carried else ""
    return f"{node.op}({', '.join([*inputs, *args])}){carried}{place}"
