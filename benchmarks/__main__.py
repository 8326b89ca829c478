"""`make bench`: run every workload, print its figures, write benchmarks/report.json.

    python -m benchmarks            all but the largest
    python -m benchmarks scale      one by name

Medians; a peer is timed in the same run, so that ratios hold on noisy machines.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
from pathlib import Path

from sigc.config_daemon import cache_home
from sigc.ops import jit

WORKLOADS = ("check_speed", "kernels", "backtests", "daily")
LARGE = ("scale", "control")


def main() -> None:
    """Run the workloads named on the command line, or all but the large ones."""
    chosen = sys.argv[1:] or list(WORKLOADS)
    jit.prepare(Path(cache_home()))
    report: dict[str, object] = {"python": platform.python_version(), "machine": platform.machine()}
    for name in chosen:
        if name not in WORKLOADS + LARGE:
            sys.exit(f"no workload '{name}'; there are {', '.join(WORKLOADS + LARGE)}")
        print(f"== {name}", flush=True)
        figures = importlib.import_module(f"benchmarks.{name}").main()
        for key, value in figures.items():
            print(f"  {key:<52} {value:>12.4g}", flush=True)
        report[name] = figures
    path = Path(__file__).parent / "report.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
