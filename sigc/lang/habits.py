"""Hints for habits of pandas, NumPy, Pine and C: the way to write them in this language. Used in errors only.

To add one: a line in the right table, and a case in `tests/lang/test_habits.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sigc.lang.syntax.nodes import Call, Name, Node, Number, Unary

# Characters that do not begin a token; longer ones first.
CHARACTERS: Mapping[str, str] = MappingProxyType(
    {
        "&&": "write 'and'",
        "||": "write 'or'",
        "&": "write 'and'",
        "|": "write 'or'",
        "!": "write 'not'",
        "~": "write 'not'",
        "^": "powers are written with **",
        "?": "write where(cond, a, b)",
        ";": "one statement a line, without ';'",
        "'": "strings take double quotes",
        "`": "strings take double quotes",
        "{": "sections have no braces: 'signal NAME:', then lines",
        "}": "sections have no braces: 'signal NAME:', then lines",
        "@": "there are no decorators and no matrices",
        "$": "parameters are named without a sign",
        "\\": "a statement goes on inside brackets, or after an operator",
        "\N{LEFT DOUBLE QUOTATION MARK}": 'a typographic quote: strings take "',
        "\N{RIGHT DOUBLE QUOTATION MARK}": 'a typographic quote: strings take "',
        "\N{DOUBLE LOW-9 QUOTATION MARK}": 'a typographic quote: strings take "',
        "\N{LEFT SINGLE QUOTATION MARK}": 'a typographic quote: strings take "',
        "\N{RIGHT SINGLE QUOTATION MARK}": 'a typographic quote: strings take "',
        "\N{MINUS SIGN}": "a typographic minus: write -",
        "\N{EN DASH}": "a dash: write -",
        "\N{EM DASH}": "a dash: write -",
        "\N{MULTIPLICATION SIGN}": "write *",
        "\N{DIVISION SIGN}": "write /",
        "\N{LESS-THAN OR EQUAL TO}": "write <=",
        "\N{GREATER-THAN OR EQUAL TO}": "write >=",
        "\N{NOT EQUAL TO}": "write !=",
        "\N{NO-BREAK SPACE}": "a no-break space: write a plain one",
        "\N{ZERO WIDTH SPACE}": "an invisible space: remove it",
        "\N{ZERO WIDTH NO-BREAK SPACE}": "an invisible space: remove it",
    }
)

# Words where a value, or the end of one, is expected.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "True": "write true",
        "False": "write false",
        "TRUE": "write true",
        "FALSE": "write false",
        "None": "write nan, or leave the argument out",
        "null": "write nan",
        "NaN": "write nan",
        "NAN": "write nan",
        "NA": "write nan",
        "np.nan": "write nan",
        "pd.NA": "write nan",
        "math.nan": "write nan",
        "inf": "there is no infinity: leave the bound out",
        "np.inf": "there is no infinity: leave the bound out",
        "if": "write where(cond, a, b)",
        "else": "write where(cond, a, b)",
        "lambda": "write a fn: fn name(x): EXPRESSION",
        "for": "there are no loops: operators work on whole panels",
        "in": "there are no lists: join comparisons with 'or'",
        "is": "write ==, or is_nan(x)",
        "return": "a fn is an expression, a macro and a signal end with emit",
        "AND": "write 'and'",
        "OR": "write 'or'",
        "NOT": "write 'not'",
    }
)

# First words of a line, or of a section.
STATEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "def": "write fn NAME(x): EXPRESSION, or a macro with let and emit",
        "function": "write fn NAME(x): EXPRESSION, or a macro with let and emit",
        "return": "write emit EXPRESSION",
        "yield": "write emit EXPRESSION",
        "output": "write emit EXPRESSION",
        "emits": "write emit EXPRESSION",
        "print": "a strategy prints nothing: emit a signal, see it with 'sigc run' or in a notebook",
        "class": "there are no classes: fn, macro, signal, portfolio",
        "for": "there are no loops: operators work on whole panels",
        "while": "there are no loops: operators work on whole panels",
        "if": "write where(cond, a, b)",
        "elif": "write where(cond, a, b), one inside the other",
        "else": "write where(cond, a, b)",
        "let": "outside of a macro a local is written without let: NAME = EXPRESSION",
        "var": "a local is written NAME = EXPRESSION",
        "const": "numbers stand in params: NAME = NUMBER",
        "from": 'write import "FILE.sig"',
        "import": 'write import "FILE.sig": a file of fns and macros',
        "strategy": "write signal NAME: and portfolio NAME:",
        "indicator": "write signal NAME:",
        "param": "write params: and, below it, NAME = NUMBER",
        "param_grid": "write params: and, below it, NAME: range(a, b, step)",
        "backtest": "backtest stands inside a portfolio",
        "weights": "weights stand inside a portfolio",
        "emit": "emit stands inside a signal or macro: emit EXPRESSION",
        "signal": "a signal has a name and no arguments: signal NAME:",
        "portfolio": "a portfolio has a name and no arguments: portfolio NAME:",
    }
)

# Python modules, whose functions are operators here, or do not exist.
MODULES = frozenset({"np", "numpy", "pd", "pandas", "math", "ta", "talib", "scipy", "pl", "bt", "plt"})

# Unknown functions and methods by name: the way to write them, or (REMARKS) a sentence about them.
FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "tshift": "lag(x, n)",
        "ref": "lag(x, n)",
        "Ref": "lag(x, n)",
        "rolling": "rolling_mean(x, n), rolling_std(x, n), ...",
        "ewm": "ema(x, span)",
        "groupby": "group_mean(x, by), group_rank(x, by), neutralize(x, by)",
        "notna": "not is_nan(x)",
        "notnull": "not is_nan(x)",
        "isnull": "is_nan(x)",
        "nan_to_num": "fill_nan(x, 0)",
        "corr": "rolling_corr(x, y, n)",
        "correlation": "rolling_corr(x, y, n)",
        "cov": "rolling_cov(x, y, n)",
        "covariance": "rolling_cov(x, y, n)",
        "stddev": "rolling_std(x, n)",
        "stdev": "rolling_std(x, n)",
        "returns": "ret(x, n)",
        "log_returns": "log(x / lag(x))",
        "roc": "ret(x, n)",
        "mom": "delta(x, n)",
        "change": "delta(x, n)",
        "ts_delta": "delta(x, n)",
        "ts_delay": "lag(x, n)",
        "ts_decay_linear": "decay_linear(x, n)",
        "highest": "rolling_max(x, n)",
        "lowest": "rolling_min(x, n)",
        "normalize": "zscore(x), or scale(x) for weights",
        "standardize": "zscore(x)",
        "indneutralize": "neutralize(x, by)",
        "group_neutralize": "neutralize(x, by)",
        "qcut": "bucket(x, n)",
        "cut": "bucket(x, n)",
        "argsort": "rank(x)",
        "nlargest": "long_only(x, top=0.2)",
        "head": "long_only(x, top=0.2)",
        "maximum": "max(a, b)",
        "minimum": "min(a, b)",
        "power": "pow(x, n), or x ** n",
        "square": "x ** 2",
        "if": "where(cond, a, b)",
        "iff": "where(cond, a, b)",
        "iif": "where(cond, a, b)",
        "select": "where(cond, a, b), one inside the other",
        "crossover": "x > y and lag(x) <= lag(y)",
        "crossunder": "x < y and lag(x) >= lag(y)",
    }
)
REMARKS: Mapping[str, str] = MappingProxyType(
    {
        "shift": "lag(x, n); a negative shift is lead(x, n), which looks ahead",
        "expanding": "cumsum(x), cummax(x), cummin(x): there are no other windows since the start",
        "apply": "operators work on whole panels; a formula of your own is a fn",
        "map": "operators work on whole panels; a formula of your own is a fn",
        "transform": "operators work on whole panels; a formula of your own is a fn",
        "resample": "rows are those of the data; a book is traded less often by rebal=",
        "asfreq": "rows are those of the data; a book is traded less often by rebal=",
        "dropna": "what is missing stays missing; fill_nan(x, value), ffill(x), mask(x, cond)",
        "bfill": "ffill(x): filling from later rows would look ahead",
        "interpolate": "ffill(x): filling from later rows would look ahead",
        "average": "mean(x) across assets, rolling_mean(x, n) along dates",
        "iloc": "lag(x, n): a row is not picked, a panel is moved",
        "loc": 'x["AAPL"] is one asset\'s column; rows: lag(x, n)',
        "values": "a panel is used as it is",
        "to_numpy": "a panel is used as it is",
        "astype": "numbers are float64; a condition is 1 or 0",
        "len": "count(x): how many assets have a value",
        "range": "a grid stands in params: NAME: range(a, b, step)",
        "print": "a strategy prints nothing: emit it",
    }
)

# Named arguments that operators do not have.
ARGUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "axis": "the operator says it: mean(x) across assets, rolling_mean(x, n) along dates",
        "method": "write ffill(x) to fill forward; ranks are average ranks",
        "center": "a window ends at its row: a centred one would look ahead",
        "inplace": "a value is not changed: give the result a name",
        "ascending": "write rank(-x)",
        "ddof": "deviations have ddof 1",
        "pct": "rank(x) is from 0 to 1, rank_pct(x) from 0 to 100",
    }
)

WINDOWED = ("rolling", "groupby", "ewm")

# A method on a window or group: `.rolling(20).mean()`.
_ROLLED = {
    **{name: f"rolling_{name}" for name in ("mean", "sum", "std", "var", "min", "max", "median", "quantile")},
    **{name: f"rolling_{name}" for name in ("corr", "cov")},
    "skew": "ts_skew",
    "kurt": "ts_kurt",
    "rank": "ts_rank",
}
_GROUPED = {"mean": "group_mean", "rank": "group_rank", "count": "group_count", "transform": "neutralize"}


def of_character(row: str, at: int) -> tuple[str, int]:
    """Return (hint, length) for the character at a position of a line; ("", 1) if unknown."""
    for text, hint in CHARACTERS.items():
        if row.startswith(text, at):
            return hint, len(text)
    return "", 1


def of_function(name: str) -> str:
    """Return the hint for an unknown function or method, '' for none."""
    return f"write {FUNCTIONS[name]}" if name in FUNCTIONS else REMARKS.get(name, "")


def of_call(call: Call) -> str:
    """Return the hint for a call of an unknown function, '' for none."""
    inner = call.args[0].value if call.method and call.args else None
    if isinstance(inner, Call) and inner.func in WINDOWED:
        return _windowed(call, inner)
    if call.func == "shift" and len(call.args) > 1:
        ahead = isinstance(call.args[-1].value, Unary)
        return "write lead(x, n), which looks ahead" if ahead else "write lag(x, n)"
    return of_function(call.func)


def _windowed(call: Call, inner: Call) -> str:
    """Return the hint for `x.rolling(20).mean()` and its like."""
    if inner.func == "ewm":
        return "write ema(x, span)"
    table = _GROUPED if inner.func == "groupby" else _ROLLED
    if call.func not in table:
        return of_function(inner.func)
    given = {a.name or ("x", "n")[at]: _shown(a.value) for at, a in enumerate(inner.args) if a.name or at < 2}
    least = f", min_periods={given['min_periods']}" if "min_periods" in given else ""
    size = given.get("window") or given.get("n") or "n"
    more = [_shown(a.value) for a in call.args[1:]]
    own = [given.get("x") or "x", *([*more, size] if call.func in ("corr", "cov") else [size, *more])]
    return f"write {table[call.func]}({', '.join(own)}{least})"


def _shown(node: Node) -> str:
    return f"{node.value:g}" if isinstance(node, Number) else node.text if isinstance(node, Name) else ""


def of_name(text: str) -> str:
    """Return the hint for an unknown name, '' for none."""
    return NAMES.get(text) or (of_function(text.rpartition(".")[2]) if "." in text else "")


def of_module(call: Call) -> str:
    """Return the hint for `np.log(x)`: the function without its module."""
    return f"{of_function(call.func) or f'write {call.func}(...)'}, without '{_first(call)}.'"


def _first(call: Call) -> str:
    first = call.args[0].value
    return first.text if isinstance(first, Name) else ""


def is_module(call: Call) -> bool:
    """Return True for a method call on the name of a Python module."""
    return call.method and bool(call.args) and _first(call) in MODULES
