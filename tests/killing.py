"""Processes that are killed on the way: at a fail point that a seed draws, or by SIGKILL from outside at any time."""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from sigc.failpoint import arm


@dataclass(frozen=True, slots=True)
class Kill:
    """When a child dies: at the n-th fail point that it passes, or after so many seconds."""

    point: int = 0
    after_s: float = 0.0


@dataclass(slots=True)
class Tally:
    """What was done so far."""

    kills: int = 0
    days: int = 0
    points: Counter[str] = field(default_factory=Counter)


def child(work: Callable[[], int], kill: Kill | None, tally: Tally) -> int:
    """Fork, work, and be killed as `kill` says; the exit code, or minus the signal."""
    reading, writing = os.pipe()
    forked = os.fork()
    if forked == 0:
        os.close(reading)
        _work(work, kill, writing)
    os.close(writing)
    if kill is not None and kill.after_s:
        handle = os.pidfd_open(forked)
        if not select.select([handle], [], [], kill.after_s)[0]:
            os.kill(forked, signal.SIGKILL)
        os.close(handle)
    with os.fdopen(reading) as pipe:
        point = pipe.read()
    if point:
        tally.points[point] += 1
    return os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])


def _work(work: Callable[[], int], kill: Kill | None, writing: int) -> NoReturn:
    code = 70
    try:
        if kill is not None and kill.point:
            left = [kill.point]

            def die(name: str) -> None:
                left[0] -= 1
                if left[0] == 0:
                    os.write(writing, name.encode())
                    os.kill(os.getpid(), signal.SIGKILL)

            arm(die)
        code = work()
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def kills(random: random.Random, number: int, most_points: int = 70, most_s: float = 0.15) -> Iterator[Kill]:
    """So many kills: two of three at fail points, one at any time."""
    for _ in range(number):
        if random.random() < 2 / 3:
            yield Kill(point=random.randint(1, most_points))
        else:
            yield Kill(after_s=random.uniform(0.005, most_s))
