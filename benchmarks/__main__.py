"""`make bench`: the quick workloads, in under ten minutes; `make bench FULL=1`: all. Or some, by name:

    python -m benchmarks momentum cache
    python -m benchmarks --full daily

Prints each figure, and writes `report.json` and `report.html` (`report.py`).
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

from benchmarks.report import machine, shown, write
from sigc.config.daemon_settings import cache_home
from sigc.engine.kernel.heap import keep_blocks
from sigc.ops import jit

QUICK = ("check_speed", "kernels", "cache", "start", "momentum", "factors14", "alphas22", "sweep", "daily", "adjusted")
LARGE = ("backtests", "scaling", "universe", "control", "orders", "session_cost")


def main() -> None:
    """Run the workloads named on the command line, or the quick ones."""
    words = sys.argv[1:]
    is_full = "--full" in words
    chosen = [w for w in words if w != "--full"] or [*QUICK, *(LARGE if is_full else ())]
    unknown = [name for name in chosen if name not in QUICK + LARGE]
    if unknown:
        sys.exit(f"no workload '{unknown[0]}'; there are {', '.join(QUICK + LARGE)}")
    jit.prepare(Path(cache_home()))
    keep_blocks()
    found: dict[str, dict[str, float]] = {}
    for name in chosen:
        begun = time.monotonic()
        print(f"== {name}", flush=True)
        module = importlib.import_module(f"benchmarks.{name}")
        figures: dict[str, float] = module.main()
        if is_full and hasattr(module, "full"):
            figures |= module.full()
        for key, value in figures.items():
            print(f"  {key:<64} {shown(value):>12}", flush=True)
        print(f"  ({time.monotonic() - begun:.0f} s)", flush=True)
        found[name] = figures
    for path in write(Path(__file__).parent, found, machine()):
        print(f"written: {path}")


if __name__ == "__main__":
    main()
