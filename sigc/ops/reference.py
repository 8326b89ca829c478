"""The reference page of the operators, generated from their declarations."""

from __future__ import annotations

from sigc.ops.declare import Axis, Carry, Default, Operator, Parameter
from sigc.ops.table import operators

_TITLES = {
    Axis.CELL: "Cell by cell",
    Axis.TIME: "Down the dates, per asset",
    Axis.CROSS: "Across the assets of a date",
    Axis.BOTH: "Both ways",
}


def signature(operator: Operator) -> str:
    """Return a signature such as `rolling_mean(x, window=20)`."""
    return f"{operator.name}({', '.join(_parameter(p) for p in operator.params)})"


def _parameter(param: Parameter) -> str:
    if param.default is Default.REQUIRED:
        return f"*{param.name}" if param.variadic else param.name
    if param.default is None or param.default is Default.TRADED:
        return f"[{param.name}]"
    value = param.default
    return f"{param.name}={value:g}" if isinstance(value, float) else f"{param.name}={value}"


def entry(operator: Operator) -> str:
    """Return one operator as text."""
    lines = [signature(operator), "", operator.doc, ""]
    names = [*operator.aliases, *([f"{operator.windowed} with a window"] if operator.windowed else [])]
    if names:
        lines.append(f"also: {', '.join(names)}")
    if isinstance(operator.lookback, Carry):
        lines.append("remembers every row since the first")
    lines.append(f"example: {operator.example}")
    return "\n".join(lines)


def markdown() -> str:
    """Return the page docs/operators.md."""
    lines = ["# Operators", "", "Made from the declarations in `sigc/ops`; do not edit.", ""]
    for axis, title in _TITLES.items():
        lines += [f"## {title}", "", "| operator | also | meaning | example |", "|---|---|---|---|"]
        for op in operators():
            if op.axis is axis:
                also = ", ".join([*op.aliases, *([f"{op.windowed}(x, n)"] if op.windowed else [])])
                doc = " ".join(op.doc.split()).replace("|", "\\|")
                lines.append(f"| `{signature(op)}` | {also} | {doc} | `{op.example}` |")
        lines.append("")
    return "\n".join(lines)
