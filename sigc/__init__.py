"""sigc: production trading signals from a small pure language.

    import sigc
    s = sigc.compile("momentum.sig")
    s.signals("momentum")
    s.backtest().metrics.sharpe

Names are imported when they are first used, so that `import sigc` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# The notebook functions put all layers together, as only the command line's package may.
_HOMES = {
    "compile": "sigc_cli.notebooks.notebook",
    "SigcError": "sigc.errors",
    "Panel": "sigc.panel",
    "Client": "sigc.rpc.client",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sigc' has no attribute '{name}'")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
