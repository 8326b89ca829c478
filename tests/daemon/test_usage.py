"""What the daemon takes of the machine, as status tells it: of its own processes, and never stale."""

from __future__ import annotations

import mmap
import re
import subprocess
import sys

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from sigc.host.usage import Usage
from sigc_cli.synthetic_universe import business_days
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.trading.floor import TEXT
from tests.world import NAMES, write_wide


def test_a_sample_is_taken_when_the_last_one_is_too_old_and_only_then() -> None:
    usage = Usage()
    first = usage.last
    assert usage.no_older_than(60.0) is first
    with mmap.mmap(-1, 64 << 20) as ballast:  # from the system: the heap may have had as much lying unused
        for page in range(0, 64 << 20, 4096):
            ballast[page] = 1
        again = usage.no_older_than(0.0)
    assert again is usage.last
    assert again.memory_bytes > first.memory_bytes + (48 << 20)
    assert usage.age_s < 3.0


def test_children_count() -> None:
    script = (
        "import sys; a = bytearray(32 << 20); a[::4096] = b'x' * len(a[::4096]); print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"1\n"
        usage = Usage()
        own = psutil.Process().memory_info().rss
        assert usage.last.processes >= 2
        assert usage.last.memory_bytes > own + (30 << 20)
        child.communicate()


def test_what_cannot_fit_into_max_memory_is_refused_with_what_it_needs(site: Site) -> None:
    """A plan whose smallest piece is too large, and a file that is; what fits runs on, and what streams is read."""
    days, names = business_days("2015-01-02", 790), (*NAMES, *(f"A{i:04}" for i in range(1500)))
    values = np.random.default_rng(3).uniform(50, 60, (len(days), len(names)))
    write_wide(site.folder / "broad.parquet", days, values, names)
    long = {"date": np.repeat(days, 100), "ticker": names[:100] * len(days), "close": values[:, :100].ravel()}
    pq.write_table(pa.table(long), site.folder / "long.parquet")
    for name in ("broad", "long"):
        (site.folder / f"{name}.sig").write_text(TEXT.replace("prices.parquet", f"{name}.parquet"))
        site.settings["strategies"].append({"name": name, "file": f"{name}.sig"})
    site.settings["daemon"]["max_memory_mb"] = 1
    site.write()
    with Daemon(site):
        broad = site.run("broad", date=DAYS[0], is_dry=True)
        assert broad.outcome == "failed"
        assert re.search(r"needs [0-9]+ MB at least, for [0-9]+ rows of 1,513 assets", broad.message), broad.message
        assert "1 MB are allowed" in broad.message
        long_one = site.run("long", date=DAYS[0], is_dry=True)
        assert long_one.outcome == "failed"
        assert "long.parquet needs 2 MB, for 79,000 rows of 3 columns to be read; 1 MB are allowed" in long_one.message
        assert site.run(date=DAYS[0], is_dry=True).outcome == "done"
