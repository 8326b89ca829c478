"""How fast a 40-line file is checked and lowered, and how long `sigc check` takes from the shell."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import median_s
from sigc.lang.check import check_text
from sigc.plan.lower import lower

_SIGNAL = """signal s{n}:
  past = ret(lag(prices, skip), lookback + {n})
  smooth = ema(past, 5) / rolling_std(ret(prices), 60)
  emit winsor(smooth, 0.01).zscore().neutralize(by=sectors)
"""


def text(signals: int = 6) -> str:
    """A file of about 40 lines."""
    head = 'data:\n  prices: load parquet from "p.parquet"\n  sectors: load sector from "s.csv"\nparams:\n  lookback = 231\n  skip = 21\n'
    body = "".join(_SIGNAL.format(n=n) for n in range(signals))
    total = " + ".join(f"s{n}" for n in range(signals))
    return f"{head}{body}portfolio main:\n  weights = ({total}).long_short(top=0.2)\n  costs = tc.bps(5)\n  backtest rebal=21 from 2012-01-03 to 2018-12-31\n"


def main() -> dict[str, float]:
    """Milliseconds."""
    source = text()
    checked = check_text(source, "bench.sig")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.sig"
        path.write_text(source, encoding="utf-8")

        def shell(*words: str) -> None:
            subprocess.run([sys.executable, "-m", "sigc_cli.main", *words], check=True, capture_output=True)

        return {
            "lines": len(source.splitlines()),
            "parse and check, ms": 1e3 * median_s(lambda: check_text(source, "bench.sig"), 21),
            "lower, ms": 1e3 * median_s(lambda: lower(checked), 21),
            "sigc check, cold start, ms": 1e3 * median_s(lambda: shell("check", str(path))),
            "sigc --help, ms": 1e3 * median_s(lambda: shell("--help")),
            "python -c pass, ms": 1e3 * median_s(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)),
        }
