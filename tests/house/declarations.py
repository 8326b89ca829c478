"""What a tree of sources declares, read from its syntax, against what its program has in force.

python -m tests.house.declarations [ROOT]      prints JSON: by kind, what is in force and what is forgotten

A declaration is a function under one of the project's decorators, a class that has the methods of one of its borders,
a metric, a class of settings, a message. It is in force when the program that is imported has it in its registry;
forgotten otherwise. The program that is looked at is the one that PYTHONPATH leads to: that of ROOT.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.util
import json
import sys
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("sigc", "cli/sigc_cli", "pipelines/sigc_pipelines", "dashboard/sigc_dashboard")
Name = tuple[str, str]  # of a module and of what it declares
Places = Callable[[], Iterable[Name]]


@dataclass(frozen=True)
class Source:
    """A module as its text has it. imported: what its names mean that come from elsewhere, by dotted name."""

    module: str
    tree: ast.Module
    imported: Mapping[str, str]

    def meaning(self, node: ast.expr) -> str:
        """The dotted name that an expression means, '' for what is no name."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, f"{self.module}.{node.id}")
        if isinstance(node, ast.Attribute):
            of = self.meaning(node.value)
            return f"{of}.{node.attr}" if of else ""
        return ""


@dataclass(frozen=True)
class Kind:
    """A kind of declaration: how it looks in a module, and what the program has of it in force."""

    name: str
    declared: Callable[[Source], Iterable[str]]
    in_force: Places


@functools.cache
def sources(root: Path) -> list[Source]:
    """Every module of the program under `root`."""
    found = []
    for package in PACKAGES:
        folder = root / package
        for path in sorted(folder.rglob("*.py")):
            words = path.relative_to(folder.parent).with_suffix("").parts
            module = ".".join(words[:-1] if words[-1] == "__init__" else words)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found.append(Source(module, tree, _imported(tree)))
    return found


def _imported(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


# How declarations look.


def under(*decorators: str) -> Callable[[Source], Iterator[str]]:
    """Functions under one of the decorators, called or plain."""

    def declared(source: Source) -> Iterator[str]:
        for node in source.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
                if any(source.meaning(mark) in decorators for mark in marks):
                    yield node.name

    return declared


def with_methods(within: str, *methods: str) -> Callable[[Source], Iterator[str]]:
    """Classes of a package that have all of the methods, and are no protocol."""

    def declared(source: Source) -> Iterator[str]:
        for node in source.tree.body if source.module.startswith(within) else ():
            if isinstance(node, ast.ClassDef) and "typing.Protocol" not in map(source.meaning, node.bases):
                has = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
                yield from [node.name] if has >= set(methods) else []

    return declared


def made_by(maker: str) -> Callable[[Source], Iterator[str]]:
    """Names of modules that are bound to what a call of `maker` makes."""

    def declared(source: Source) -> Iterator[str]:
        for node in source.tree.body:
            made = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(made, ast.Call) and source.meaning(made.func) == maker:
                yield from _targets(node)

    return declared


def _targets(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return (target.id for target in targets if isinstance(target, ast.Name))


def classes_of(within: str) -> Callable[[Source], Iterator[str]]:
    """Every class of a package that is written with its fields: no error, no enumeration, no alias."""

    def declared(source: Source) -> Iterator[str]:
        for node in source.tree.body if source.module.startswith(within) else ():
            if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(mark) for mark in node.decorator_list):
                yield node.name

    return declared


def sections(source: Source) -> Iterator[str]:
    """Classes of settings, those of which others are made left out."""
    roots = {"sigc.config.section.Section", "sigc.config.alert_settings.ChannelBase"}
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and f"{source.module}.{node.name}" not in roots:
            yield from [node.name] if roots & {*map(source.meaning, node.bases)} else []


# What is in force.


def _of(functions: Iterable[Any]) -> Iterator[Name]:
    for function in functions:
        yield function.__module__, function.__name__


def _operators() -> Iterator[Name]:
    from sigc.ops.table import operators

    return _of(operator.kernel for operator in operators())


def _rewrites() -> Iterator[Name]:
    from sigc.plan.rules import RULES

    return _of(RULES)


def _alert_rules() -> Iterator[Name]:
    from sigc.alerts.rules import RULES

    return _of(rule.judge for rule in RULES.values())


def _channels() -> Iterator[Name]:
    from sigc.alerts.channels import makers

    return _of(makers().values())


def _verbs() -> Iterator[Name]:
    from sigc.daemon.lifecycle.serve import VERBS

    return _of(verb.run for verb in VERBS)


def _checks() -> Iterator[Name]:
    from sigc_pipelines.checks import account, data, orders, weights

    return _of(
        check.measure for check in (*data.CHECKS, *weights.CHECKS, *orders.SOUND, *orders.CHECKS, *account.CHECKS)
    )


def _metrics() -> Iterator[Name]:
    from sigc import metrics

    of_name = {id(value): name for name, value in vars(metrics).items()}
    for metric in metrics.METRICS:
        yield metrics.__name__, of_name[id(metric)]


def _commands() -> Iterator[Name]:
    import click

    from sigc_cli.main import cli

    def walk(command: click.Command) -> Iterator[Any]:
        if command.callback is not None:
            yield command.callback
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from walk(inner)

    return _of(walk(cli))


def _views() -> Iterator[Name]:
    from sigc_dashboard.views import VIEWS

    return _of(type(view) for view in VIEWS)


def _settings() -> Iterator[Name]:
    from sigc.config.settings import Config

    return _of(
        _reached([Config], lambda one: [field.annotation for field in getattr(one, "model_fields", {}).values()])
    )


def _messages() -> Iterator[Name]:
    from sigc.daemon.lifecycle.serve import VERBS
    from sigc.rpc.schema import hints

    roots = [part for verb in VERBS for part in (verb.request, verb.reply)]
    return _of(
        _reached(
            roots,
            lambda one: list(hints(one).values()) if isinstance(one, type) and dataclasses.is_dataclass(one) else [],
        )
    )


def _reached(roots: Iterable[Any], within: Callable[[Any], list[Any]]) -> set[type]:
    """Every class that is a part of the roots, or of a part of them, through unions and containers."""
    found: set[type] = set()
    left = list(roots)
    while left:
        one = left.pop()
        left += typing.get_args(one)
        if isinstance(one, type) and one not in found and not typing.get_args(one):
            found.add(one)
            left += within(one)
    return found


def _imported_by(*modules: str) -> Places:
    """What some modules import by name."""

    def places() -> Iterator[Name]:
        for module in modules:
            spec = importlib.util.find_spec(module)
            assert spec is not None
            assert spec.origin is not None
            for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    yield from ((str(node.module), alias.name) for alias in node.names)

    return places


KINDS = (
    Kind("operator", under("sigc.ops.declare.operator"), _operators),
    Kind("rewrite", under("sigc.plan.rules.declare.rule"), _rewrites),
    Kind("alert rule", under("sigc.alerts.declare.rule"), _alert_rules),
    Kind("channel", under("sigc.alerts.channels.declare.channel"), _channels),
    Kind("verb", under("sigc.rpc.verb.verb"), _verbs),
    Kind("check", under("sigc_pipelines.checks.declare.check"), _checks),
    Kind("command", under("click.command", "click.group"), _commands),
    Kind("view", with_methods("sigc_dashboard", "asks", "parts", "plots"), _views),
    Kind("metric", made_by("sigc.metrics.Metric"), _metrics),
    Kind("settings", sections, _settings),
    Kind("message", classes_of("sigc.rpc.messages"), _messages),
    # A broker is opened by its registry, or makes trouble for the contract's sake; a source of rows is held to its contract.
    Kind(
        "broker",
        with_methods("sigc_pipelines", "submit", "cancel", "orders", "activities"),
        _imported_by(
            "sigc_pipelines.brokers.registry",
            "sigc_pipelines.brokers.alpaca.opening",
            "sigc_pipelines.brokers.files.opening",
            "tests.brokers.benches",
        ),
    ),
    Kind(
        "source",
        with_methods("sigc", "fingerprint", "schema", "rows"),
        _imported_by("tests.data.test_row_sources"),
    ),
)


# What nothing uses.


_MARKS_NO_USE = frozenset(
    {
        *("dataclasses.dataclass", "functools.cache", "functools.lru_cache", "contextlib.contextmanager"),
        *("numba.njit", "typing.runtime_checkable", "numba.extending.intrinsic"),
    }
)


def unused(texts: Iterable[Source]) -> Iterator[str]:
    """Functions, classes and constants of modules, undecorated or under a decorator that uses nothing, whose
    name is written nowhere else in the program: neither read, nor imported, nor given as a text."""
    used, defined = Counter[str](), []
    for source in texts:
        for node in ast.walk(source.tree):
            used.update(_uses(node))
        for node in source.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
                if all(source.meaning(mark) in _MARKS_NO_USE for mark in marks):
                    defined.append((source.module, node.name))
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                defined += [(source.module, name) for name in _targets(node)]
    return (f"{module}.{name}" for module, name in defined if not used[name] and not name.startswith("__"))


def _uses(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
            yield name
        case ast.ImportFrom(names=names):
            yield from (alias.name for alias in names)
        case ast.Constant(value=str(text)) if text.isidentifier():
            yield text


# What is told of a run by name.


def findings(texts: Iterable[Source]) -> Iterator[tuple[str, str]]:
    """Each name that is written where a finding is made, and where that is."""
    for source in texts:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and source.meaning(node.func) == "sigc.store.ledger.records.Finding":
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and part is not getattr(node.args[0], "slice", None):
                        yield str(part.value), f"{source.module}:{node.lineno}"


# What is asked of a daemon by name.


def asked(texts: Iterable[Source]) -> Iterator[tuple[str, str, str]]:
    """Each verb that a client's call or an ask of the page names: where, the verb, the reply it is read as."""
    for source in texts:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            replies = [keyword.value for keyword in node.keywords if keyword.arg == "reply"]
            is_call = isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "post", "events") and replies
            is_ask = source.meaning(node.func) == "sigc_dashboard.daemon_feed.Ask"
            if is_call or is_ask:
                reply = replies[0] if replies else node.args[1]
                yield f"{source.module}:{node.lineno}", str(node.args[0].value), source.meaning(reply)


def judged(root: Path) -> dict[str, dict[str, list[str]]]:
    """By kind: the declarations of the tree that are in force, and those that are forgotten."""
    found, texts, of_kinds = {}, sources(root), set[str]()
    for kind in KINDS:
        declared = [(source.module, name) for source in texts for name in kind.declared(source)]
        in_force = set(kind.in_force())
        found[kind.name] = {
            "in force": [".".join(one) for one in declared if one in in_force],
            "forgotten": [".".join(one) for one in declared if one not in in_force],
        }
        of_kinds |= {".".join(one) for one in declared}
    found["definition"] = {"in force": [], "forgotten": sorted(set(unused(texts)) - of_kinds)}
    return found


if __name__ == "__main__":
    print(json.dumps(judged(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)))
