"""Imports: a body means what it means in its own file; names that clash are errors that name both places."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc.lang.check import CheckedFile, check_file
from sigc.plan.expr import Expr
from sigc.plan.lower import lower

DATA = 'data:\n  prices: load csv from "p.csv"\n  volume: load csv from "v.csv"\n'


def checked(folder: Path, **files: str) -> CheckedFile:
    for name, text in files.items():
        (folder / f"{name}.sig").write_text(text)
    return check_file(folder / "main.sig")


def root(folder: Path, **files: str) -> Expr:
    found = checked(folder, **files)
    assert found.ok, found.diagnostics
    return dict(lower(found).signals)["a"]


def plain(folder: Path, emit: str) -> Expr:
    """The value of an expression that uses no import."""
    (folder / "plain.sig").write_text(f"{DATA}signal a:\n  emit {emit}\n")
    return dict(lower(check_file(folder / "plain.sig")).signals)["a"]


def main(emit: str, *imports: str, more: str = "") -> str:
    return "".join(f'import "{i}.sig"\n' for i in imports) + DATA + more + f"signal a:\n  emit {emit}\n"


A = "fn base(x): x + 1\nfn up(x): base(x)\n"
B = "fn base(x): x * 2\nfn down(x): base(x)\n"


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_libraries_keep_their_own_names(tmp_path: Path, order: tuple[str, str]) -> None:
    """Each library's `base` is its own, whatever is imported beside it and in which order."""
    libs = {"a": 'import "base_a.sig"\nfn up(x): base(x)\n', "b": 'import "base_b.sig"\nfn down(x): base(x)\n'}
    bases = {"base_a": "fn base(x): x + 1\n", "base_b": "fn base(x): x * 2\n"}
    found = root(tmp_path, main=main("up(prices) - down(prices)", *order), **libs, **bases)
    assert found == plain(tmp_path, "(prices + 1) - (prices * 2)")


def test_a_third_library_is_not_changed_by_others(tmp_path: Path) -> None:
    c = 'import "a.sig"\nfn third(x): up(x)\n'
    text = main("third(prices) + base(prices)", "b", "c")
    assert root(tmp_path, main=text, a=A, b=B, c=c) == plain(tmp_path, "(prices + 1) + (prices * 2)")


def test_a_clash_of_two_imports_names_both_places(tmp_path: Path) -> None:
    found = checked(tmp_path, main=main("up(prices)", "a", "b"), a=A, b=B)
    (error,) = found.diagnostics
    assert error.code == "E004"
    assert error.span is not None
    assert (error.span.path, error.span.line) == (str(tmp_path / "main.sig"), 2)
    assert f"{tmp_path / 'a.sig'}, line 1" in error.message
    assert f"{tmp_path / 'b.sig'}, line 1" in error.message


def test_a_clash_with_a_definition_of_the_file_names_both_places(tmp_path: Path) -> None:
    found = checked(tmp_path, main=main("base(prices)", "a", more="fn base(x): x\n"), a=A)
    (error,) = found.diagnostics
    assert error.code == "E004"
    assert error.span is not None
    assert error.span.line == 5
    assert f"{tmp_path / 'a.sig'}, line 1" in error.message


def test_a_clash_inside_a_library_is_told_there(tmp_path: Path) -> None:
    c = 'import "a.sig"\nimport "b.sig"\nfn third(x): up(x)\n'
    (error,) = checked(tmp_path, main=main("third(prices)", "c"), a=A, b=B, c=c).diagnostics
    assert error.code == "E004"
    assert error.span is not None
    assert (Path(error.span.path).name, error.span.line) == ("c.sig", 2)


def test_a_name_that_imports_of_imports_have_twice_is_an_error_where_it_is_used(tmp_path: Path) -> None:
    libs = {"c": 'import "a.sig"\nfn one(x): up(x)\n', "d": 'import "b.sig"\nfn two(x): down(x)\n', "a": A, "b": B}
    assert checked(tmp_path, main=main("one(prices) + two(prices)", "c", "d"), **libs).ok
    (error,) = checked(tmp_path, main=main("base(prices)", "c", "d"), **libs).diagnostics
    assert error.code == "E004"
    assert error.hint == "import the intended file"


def test_a_diamond_is_one_file(tmp_path: Path) -> None:
    libs = {
        "shared": "fn base(x): x + 1\n",
        "left": 'import "shared.sig"\nfn l(x): base(x)\n',
        "right": 'import "shared.sig"\nfn r(x): base(x)\n',
    }
    text = main("l(prices) + r(volume) + base(prices)", "left", "right", "shared", "left")
    expected = plain(tmp_path, "(prices + 1) + (volume + 1) + (prices + 1)")
    assert root(tmp_path, main=text, **libs) == expected


def test_parameters_of_a_library_are_its_own(tmp_path: Path) -> None:
    lib = "params:\n  days = 5\nfn past(x, n=days): ret(x, n) + lag(x, days)\nmacro m(x: expr):\n  let d = days * 2\n  emit lag(x, d)\n"
    text = main("past(prices) + m(prices) + lag(prices, days)", "lib", more="params:\n  days = 60\n")
    expected = plain(tmp_path, "ret(prices, 5) + lag(prices, 5) + lag(prices, 10) + lag(prices, 60)")
    assert root(tmp_path, main=text, lib=lib) == expected
    overridden = lower(check_file(tmp_path / "main.sig"), {"days": 7})
    assert dict(overridden.signals)["a"] == plain(
        tmp_path, "ret(prices, 5) + lag(prices, 5) + lag(prices, 10) + lag(prices, 7)"
    )


@pytest.mark.parametrize("name", ["days", "prices", "b"])
def test_a_body_sees_nothing_of_who_imports_it(tmp_path: Path, name: str) -> None:
    """Neither parameters, nor sources, nor signals."""
    more = "params:\n  days = 60\nsignal b:\n  emit lag(prices, days)\n"
    found = checked(tmp_path, main=main("f(prices) + b", "lib", more=more), lib=f"fn f(x): x + {name}\n")
    (error,) = found.diagnostics
    assert (error.code, error.hint) == ("E002", "a body sees its own file only: make it an argument")
    assert error.span is not None
    assert Path(error.span.path).name == "lib.sig"
    assert error.via


def test_arguments_are_of_the_caller(tmp_path: Path) -> None:
    """A name in an argument is the caller's, also where the library has one of its own."""
    text = main("f(base(prices), days)", "lib", more="params:\n  days = 60\nfn base(x): x * 3\n")
    lib = 'import "deep.sig"\nparams:\n  days = 5\nfn f(x, n): base(x) + lag(x, n) + lag(x, days)\n'
    expected = plain(tmp_path, "(prices * 3 + 1) + lag(prices * 3, 60) + lag(prices * 3, 5)")
    assert root(tmp_path, main=text, lib=lib, deep="fn base(x): x + 1\n") == expected


def test_built_in_macros_do_not_see_definitions_of_the_file(tmp_path: Path) -> None:
    text = main("momentum(prices, 5)", more="fn zscore(x): x\n")
    assert root(tmp_path, main=text) == plain(tmp_path, "momentum(prices, 5)")


def test_equal_names_are_no_recursion(tmp_path: Path) -> None:
    text = main("f(prices)", "lib", more="fn f(x): g(x)\n")
    lib = 'import "deep.sig"\nfn g(x): h(x)\n'
    assert root(tmp_path, main=text, lib=lib, deep="fn h(x): f(x)\nfn f(x): x + 1\n") == plain(tmp_path, "prices + 1")


def test_the_traded_source_is_that_of_the_strategy(tmp_path: Path) -> None:
    text = main("f(rank(volume))", "lib")
    lib = "fn f(w): scale_vol(w, 0.1)\n"
    assert root(tmp_path, main=text, lib=lib) == plain(tmp_path, "scale_vol(rank(volume), 0.1)")
