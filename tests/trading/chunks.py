"""A long campaign in chunks: each a history of its own seed, proven against a calm one, and then written down.

    build/soak/kills/SEED-CODE-0007.json    a chunk that is proven: seed, kills, days, orders, points
    build/soak/kills/0007/                  one that is under way, or that failed

A proof holds for the seed and the code it was made with (a digest of the sources is in its name). Several processes
share the work: each takes the next chunk that nobody has.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.killing import Tally
from tests.killing import kills as drawn
from tests.trading.campaign import Campaign, calm_history, verify
from tests.trading.floor import Floor
from tests.trading.script import DAYS, free, written

ROOT = Path(__file__).parent.parent.parent
HEAD = "date,ticker,kind,value,into,ratio,cash,pay_date"
_HERE = tuple(
    f"tests/{name}.py" for name in ("killing", *(f"trading/{n}" for n in ("campaign", "chunks", "floor", "script")))
)
CODE = ("sigc/store", "sigc/failpoint.py", "pipelines/sigc_pipelines", *_HERE)


@dataclass(slots=True)
class Done:
    """What is proven."""

    kills: int = 0
    days: int = 0
    orders: int = 0
    points: Counter[str] = field(default_factory=Counter)


class Chunks:
    """The chunks of a seed, kept in a folder. assets, days: of each chunk."""

    def __init__(self, folder: Path, seed: int, *, assets: int = 40, days: int = 30) -> None:
        self.folder, self.seed, self.assets, self.days = folder, seed, assets, days
        self.name = f"{seed}-{assets}x{days}-{_code()}"
        folder.mkdir(parents=True, exist_ok=True)

    def done(self) -> Done:
        """All that is proven by now."""
        total = Done()
        for path in self.folder.glob(f"{self.name}-*.json"):
            one = json.loads(path.read_text())
            total.kills += one["kills"]
            total.days += one["days"]
            total.orders += one["orders"]
            total.points.update(one["points"])
        return total

    def work(self, *, kills: int, orders: int, processes: int) -> Done:
        """Go on until so many kills and orders are proven. Raises AssertionError when a chunk fails."""
        children = [self._fork(kills, orders) for _ in range(processes)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(codes) == {0}, f"seed {self.seed}: a chunk failed, see the output above, and {self.folder}"
        return self.done()

    def _fork(self, kills: int, orders: int) -> int:
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            self._until(kills, orders)
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _until(self, kills: int, orders: int) -> None:
        for number in count():
            now = self.done()
            if now.kills >= kills and now.orders >= orders:
                return
            if self._proof(number).exists():
                continue
            with self._alone(number) as is_ours:
                if is_ours and not self._proof(number).exists():
                    self._prove(number)

    def _prove(self, number: int) -> None:
        folder = self.folder / f"{number:04}"
        shutil.rmtree(folder, ignore_errors=True)
        seed = self.seed + number
        here = market(folder / "market", seed, self.assets, self.days)
        days, feed = list(DAYS[: self.days]), here.replayed(DAYS[0])
        campaign, tally = Campaign(here, feed, folder / "bad", seed), Tally()
        waiting = drawn(campaign.random, 1_000_000)
        for day in days:
            campaign.day(day, waiting, tally)
        campaign.settled(days[-1])
        calm_history(here, feed, folder / "calm", days)
        orders = verify(campaign, folder / "calm")
        proven = {"seed": seed, "kills": tally.kills, "days": tally.days, "orders": orders, "points": tally.points}
        part = self._proof(number).with_suffix(".part")
        part.write_text(json.dumps(proven, sort_keys=True) + "\n")
        part.replace(self._proof(number))
        shutil.rmtree(folder)
        now = self.done()
        print(f"chunk {number}, seed {seed}: {tally.kills} kills, {orders} orders;", end=" ")
        print(f"in all {now.kills} kills, {now.orders} orders", flush=True)

    def _proof(self, number: int) -> Path:
        return self.folder / f"{self.name}-{number:04}.json"

    @contextmanager
    def _alone(self, number: int) -> Iterator[bool]:
        """Whether this process has the chunk, for as long as it lives."""
        handle = os.open(self.folder / f"{number:04}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(handle)


def market(folder: Path, seed: int, assets: int, days: int) -> Floor:
    """Prices that wander, a book that is turned over every day, volumes that some orders are too large for.

    Every tenth day has a corporate action of every other asset: splits, dividends paid later, spin-offs.
    """
    dice = np.random.default_rng(seed)
    names = [f"S{n:03}" for n in range(assets)]
    shape = (days, assets)
    weights = np.round(dice.normal(0, 0.8 / assets, shape), 4)
    prices = 50 * np.exp(dice.normal(0, 0.02, shape).cumsum(axis=0))
    lines = [line for day in range(5, days, 10) for line in _acted(dice, prices, day, names)]
    prices = np.round(prices, 2)
    volumes = np.round(np.exp(dice.normal(9, 1.5, shape)))
    paper = {
        "slippage_bps": 3.0,
        "commission_per_share": 0.005,
        "borrow_bps": 50.0,
        "max_volume_pct": 0.1,
        "leverage": 20,
    }
    columns = [dict(zip(names, table.T.tolist(), strict=True)) for table in (weights, prices, volumes)]
    return written(folder, *columns, config=free(paper), days=days, actions="\n".join([HEAD, *lines, ""]))


def _acted(dice: np.random.Generator, prices: NDArray[np.float64], day: int, names: Sequence[str]) -> Iterator[str]:
    """Rows of a file of actions of a day, whose prices from there on are changed by them."""
    for place in dice.permutation(len(names))[: len(names) // 2]:
        date, name, last = DAYS[day], names[place], float(prices[day - 1, place])
        ratio, cash = 1.0, 0.0
        match dice.choice(["split", "dividend", "later", "spinoff"]):
            case "split":
                ratio = float(dice.choice([2.0, 1.5, 7.0, 0.25]))
                yield f"{date},{name},split,{ratio},,,,"
            case "dividend":
                cash = round(last * 0.02, 2)
                yield f"{date},{name},dividend,{cash},,,,"
            case "later":
                cash = round(last * 0.01, 2)
                yield f"{date},{name},dividend,{cash},,,,{DAYS[min(day + int(dice.integers(1, 9)), len(DAYS) - 1)]}"
            case _:
                other = (int(place) + 1) % len(names)
                cash = 0.1 * float(prices[day - 1, other])
                yield f"{date},{name},spinoff,,{names[other]},0.1,,"
        prices[day:, place] *= (1.0 - cash / last) / ratio


def _code() -> str:
    """A digest of the sources that a proof is about, and of the campaign itself."""
    digest = hashlib.sha256()
    named = [ROOT / name for name in CODE]
    for path in sorted(p for one in named for p in (one.rglob("*.py") if one.is_dir() else (one,))):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
