"""What holds the house together: layers, generated pages that are current, a README in every folder."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from sigc.config.check import reference_yaml
from sigc.lang.check import check_file
from sigc.ops.reference import markdown

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("sigc", "sigc_cli", "sigc_pipelines", "sigc_dashboard")
FOLDERS = [
    p.parent for base in ("sigc", "cli", "pipelines", "dashboard") for p in sorted((ROOT / base).rglob("__init__.py"))
]


def modules() -> list[str]:
    found = []
    for name in PACKAGES:
        package = importlib.import_module(name)
        found += [name, *(m.name for m in pkgutil.walk_packages(package.__path__, f"{name}."))]
    return found


@pytest.mark.parametrize("name", modules())
def test_modules_import_and_their_examples_hold(name: str) -> None:
    if name == "sigc_cli.main":
        assert importlib.import_module(name).cli
        return
    module = importlib.import_module(name)
    assert module.__doc__
    assert doctest.testmod(module).failed == 0


def test_the_reference_of_operators_is_current() -> None:
    assert (ROOT / "docs" / "operators.md").read_text(encoding="utf-8") == markdown()


def test_the_configuration_reference_is_current() -> None:
    assert (ROOT / "conf" / "sigc.yaml").read_text(encoding="utf-8") == reference_yaml()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_folder_has_a_readme(folder: Path) -> None:
    assert (folder / "README.md").is_file()


def test_the_readmes_strategy_checks(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("```sig\n")[1].split("```")[0]
    assert len(block.strip().splitlines()) <= 14
    (tmp_path / "readme.sig").write_text(block)
    checked = check_file(tmp_path / "readme.sig")
    assert not checked.diagnostics


def test_example_strategies_check() -> None:
    examples = sorted((ROOT / "conf" / "strategies").glob("*.sig"))
    assert examples
    for path in examples:
        assert check_file(path).ok, path


def test_no_module_grows_too_large() -> None:
    for folder in FOLDERS:
        for path in folder.glob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 420, path


def test_a_public_class_name_exists_once() -> None:
    """One name, one meaning: else a reader, a search and an error text have to tell two classes apart."""
    homes: dict[str, list[str]] = {}
    for folder in FOLDERS:
        for path in folder.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert not {name: where for name, where in homes.items() if len(where) > 1}


def test_import_of_sigc_is_free() -> None:
    script = "import sys, sigc; print(sorted(m for m in ('numpy', 'numba', 'dask', 'click') if m in sys.modules))"
    paths = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=paths, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
