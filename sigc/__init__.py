"""sigc: production trading signals from a small pure language.

    import sigc
    s = sigc.compile("momentum.sig")
    s.signals("momentum")
    s.backtest().metrics.sharpe

Names are imported on first use, so that `import sigc` is fast. Type checkers and editors see them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigc.errors import Diagnostic, SigcError
    from sigc.panel import Panel
    from sigc.rpc.client import Client
    from sigc_pipelines.research.notebook import BacktestResult, CompiledStrategy, compile

__version__ = "0.1.0"
__all__ = ["BacktestResult", "Client", "CompiledStrategy", "Diagnostic", "Panel", "SigcError", "compile"]

# The notebook's functions are in the pipelines, a layer above this package: imported lazily, they create no circle.
_HOMES = {
    "BacktestResult": "sigc_pipelines.research.notebook",
    "Client": "sigc.rpc.client",
    "CompiledStrategy": "sigc_pipelines.research.notebook",
    "Diagnostic": "sigc.errors",
    "Panel": "sigc.panel",
    "SigcError": "sigc.errors",
    "compile": "sigc_pipelines.research.notebook",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sigc' has no attribute '{name}'")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
