"""sigc in a notebook: compile a strategy, read its signals as pandas frames, backtest it.

import sigc
s = sigc.compile("momentum.sig")
s.signals("momentum", start="2016-01-01")     # dates x assets
r = s.backtest()
r.metrics.sharpe
sigc.compile("momentum.sig", data={"prices": frame}, cache=False).backtest()     # your own frame, nothing kept
sigc.compile("momentum.sig", engine="cluster").optimize()     # on the cluster of the configuration; else in threads
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sigc.blocks.block import MemoryStore
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc_pipelines.assembly.parts import Choices, Compiled, compile_file, compile_text, configuration, workspace
from sigc_pipelines.backtest.backtest import BacktestRun, pick
from sigc_pipelines.backtest.performance import BenchmarkMetrics, PerformanceMetrics
from sigc_pipelines.backtest.trials import Search, field, search
from sigc_pipelines.backtest.validation import Validated
from sigc_pipelines.compute import Workspace, compute, load, rows_between
from sigc_pipelines.research.backtested import backtested
from sigc_pipelines.research.notebook_errors import reported
from sigc_pipelines.text import results_text as show

if TYPE_CHECKING:
    import pandas as pd

    from sigc.config.settings import Config
    from sigc.data.sources.frame_source import MemoryFrame
    from sigc.panel import Floats, Panel
    from sigc.plan.strategy import Strategy


# Those of the command line are understood too.
_ENGINES = {"threads": "local", "local": "local", "auto": "local", "cluster": "dask", "dask": "dask"}


@reported
def compile(
    source: str | Path,
    params: Mapping[str, float] | None = None,
    data: Mapping[str, object] | None = None,
    *,
    config: str | Path | None = None,
    engine: str = "threads",
    threads: int = 0,
    cache: bool | Literal["memory"] = True,
) -> CompiledStrategy:
    """Check and lower a strategy: a path, or the text itself (anything with a line break).

    data: sources given from memory instead of their files, by the names of the data section: pandas frames (dates x
    assets; long or static as a file may be) or panels. config: a configuration file instead of the one that is found.
    engine: "threads" of this process, or "cluster" for the cluster of the configuration. threads: how many, 0 for all
    processors. cache: whether blocks are kept on disk; "memory" keeps them in memory, for this strategy and those made
    from it. Raises `SigcError` with all errors.
    """
    chosen = _engine(engine)
    text = str(source)
    if isinstance(source, str) and "\n" in text:
        compiled = compile_text(text, params=params)
    else:
        compiled = compile_file(Path(source), params)
    kept = MemoryStore() if cache == "memory" else None
    choices = Choices(
        config=Path(config) if config is not None else None,
        engine=chosen,
        threads=threads,
        cache=kept is None and bool(cache),
    )
    settings = configuration(choices).config
    return CompiledStrategy(compiled, choices, settings, _held(compiled.strategy, data or {}, settings), kept)


def _engine(word: object) -> str:
    """Return the requested engine of `Choices`: never one that starts processes by itself."""
    if word not in _ENGINES:
        raise SigcError(Diagnostic("E002", f"engine={word!r} is not known", hint="there are: 'threads', 'cluster'"))
    return _ENGINES[str(word)]


def _held(strategy: Strategy, data: Mapping[str, object], config: Config) -> dict[str, MemoryFrame]:
    if not data:
        return {}
    from sigc.data.dates.exchange import exchanges_of
    from sigc.data.sources.frame_source import hold

    specs = {spec.name: spec for spec in strategy.data}
    for name in data:
        if name not in specs:
            hint = did_you_mean(name, specs) or f"there are: {', '.join(specs) or 'none'}"
            raise SigcError(Diagnostic("E002", f"the strategy has no source '{name}'", hint=hint))
    exchanges = exchanges_of(config.schedule)
    return {name: hold(specs[name], given, config.data, exchanges) for name, given in data.items()}


class CompiledStrategy:
    """A compiled strategy. Data are read when something is computed; blocks are kept in the cache."""

    def __init__(
        self,
        compiled: Compiled,
        choices: Choices,
        config: Config,
        held: Mapping[str, MemoryFrame] | None = None,
        kept: MemoryStore | None = None,
    ) -> None:
        self._compiled = compiled
        self._choices = choices
        self._config = config
        self._held = held or {}
        self._kept = kept

    @property
    def name(self) -> str:
        """The file's stem."""
        return self._compiled.strategy.name

    @property
    def params(self) -> dict[str, float]:
        """The parameters in force."""
        return dict(self._compiled.strategy.params)

    @reported
    def with_params(self, **params: float) -> CompiledStrategy:
        """Return the same strategy with other parameters."""
        lowered = self._compiled.lower(params)
        changed = Compiled(self._compiled.checked, lowered, self._compiled.lower, self._compiled.warnings)
        return CompiledStrategy(changed, self._choices, self._config, self._held, self._kept)

    @reported
    def append(self, **rows: object) -> CompiledStrategy:
        """Return the same strategy with later rows of in-memory sources: only what they change is computed, if blocks
        are cached. Raises `SigcError` for rows that are not later, or of other assets.
        """
        from sigc.data.dates.exchange import exchanges_of
        from sigc.data.sources.frame_source import grow

        specs = {spec.name: spec for spec in self._compiled.strategy.data}
        for name in rows:
            if name not in self._held:
                hint = did_you_mean(name, self._held) or f"there are: {', '.join(self._held) or 'none'}"
                raise SigcError(Diagnostic("E002", f"'{name}' was not given from memory", hint=hint))
        settings, exchanges = self._config.data, exchanges_of(self._config.schedule)
        grown = {n: grow(specs[n], self._held[n], given, settings, exchanges) for n, given in rows.items()}
        return CompiledStrategy(self._compiled, self._choices, self._config, {**self._held, **grown}, self._kept)

    def _space(self) -> AbstractContextManager[Workspace]:
        return workspace(self._config, self._choices, held=self._held, kept=self._kept)

    @reported
    def signals(self, name: str, start: str | None = None, end: str | None = None) -> pd.DataFrame:
        """Return a signal (or `PORTFOLIO.weights`) as a pandas frame, dates x assets; both dates inclusive."""
        from sigc.engine.core.gather import gather

        strategy = self._compiled.strategy
        roots = strategy.roots
        if name not in roots:
            hint = did_you_mean(name, roots) or f"there are: {', '.join(roots)}"
            raise SigcError(Diagnostic("E002", f"no signal '{name}'", hint=hint))
        with self._space() as space:
            loaded = load(strategy, space)
            first, stop = rows_between(loaded.grid, start or "", end or "")
            computed = compute(loaded, {name: loaded.strategy.roots[name]}, space, first, stop)
            return gather(computed, name, first, stop).to_pandas()

    @reported
    def panels(self, start: str | None = None, end: str | None = None) -> dict[str, Panel]:
        """Return every signal and every `PORTFOLIO.weights` as a panel, computed as one graph; both dates inclusive."""
        from sigc.engine.core.gather import gather

        with self._space() as space:
            loaded = load(self._compiled.strategy, space)
            roots = loaded.strategy.roots
            first, stop = rows_between(loaded.grid, start or "", end or "")
            computed = compute(loaded, roots, space, first, stop)
            return {name: gather(computed, name, first, stop) for name in roots}

    @reported
    def backtest(
        self,
        portfolio: str | None = None,
        start: str | None = None,
        end: str | None = None,
        capital: float | None = None,
    ) -> BacktestResult:
        """Backtest a portfolio (default: the first), and validate it where its line asks for that."""
        overrides = {k: v for k, v in (("start", start), ("end", end)) if v}
        money = self._config.backtest.capital if capital is None else capital
        with self._space() as space:
            made = backtested(self._compiled, space, portfolio or "", money, overrides)
            return BacktestResult(made.result, made.validated)

    @reported
    def optimize(self, portfolio: str | None = None, start: str | None = None, end: str | None = None) -> Search:
        """Backtest every combination of the parameter grid, planned as one graph; `.best("sharpe")` of them."""
        overrides = {k: v for k, v in (("start", start), ("end", end)) if v}
        with self._space() as space:
            loaded = load(self._compiled.strategy, space)
            book = pick(loaded, portfolio or "")
            capital = self._config.backtest.capital
            return search(field(self._compiled.lower, loaded, space, book.name, capital=capital, overrides=overrides))

    @reported
    def explain(self, stage: str = "graph") -> str:
        """Return a stage of the compilation as text: parse, graph, or lookback."""
        from sigc_pipelines.text.stages_text import explain

        return explain(self._compiled, stage)

    def __repr__(self) -> str:
        s = self._compiled.strategy
        signals = ", ".join(n for n, _ in s.signals) or "none"
        return f"Strategy {s.name}: signals {signals}; portfolios {', '.join(p.name for p in s.portfolios) or 'none'}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<b>{escape(self.name)}</b><pre>{escape(self.explain('graph'))}</pre>"


class BacktestResult:
    """A backtest: `metrics`, `against` the benchmark, `findings`, and pandas `returns`, `weights`, `equity`.

    left_out: first rows that figures leave out, as no weight is defined on them. validated: windows and out-of-sample
    figures of a walk-forward or cross-validation, None where none was asked for.
    """

    def __init__(self, result: BacktestRun, validated: Validated | None = None) -> None:
        self.result = result
        self.validated = validated
        self.findings: tuple[Diagnostic, ...] = result.findings
        self.left_out: int = result.left_out
        self.metrics: PerformanceMetrics = result.metrics
        self.against: BenchmarkMetrics | None = result.against

    @property
    def returns(self) -> pd.Series[float]:
        """Net returns by date, a pandas series."""
        return self._series(self.result.returns, "return")

    @property
    def equity(self) -> pd.Series[float]:
        """The value of 1 put in, by date."""
        from sigc_pipelines.backtest.performance import equity

        return self._series(equity(self.result.returns), "equity")

    @property
    def weights(self) -> pd.DataFrame:
        """Held weights, dates x assets."""
        return self.result.weights.to_pandas()

    def _series(self, values: Floats, name: str) -> pd.Series[float]:
        import pandas as pd

        return pd.Series(values, index=pd.DatetimeIndex(self.result.dates, name="date"), name=name)

    def __repr__(self) -> str:
        parts = [show.results(self.result)]
        parts += [show.validated(self.validated)] if self.validated is not None else []
        parts += [show.findings(self.findings)] if self.findings else []
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"
