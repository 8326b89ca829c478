"""Run the tests of each module's area against its mutants, and report which were not noticed.

    python -m tests.mutants.campaign                       all; goes on where it stopped
    python -m tests.mutants.campaign --sample 200 --seed 7 as many, over all modules
    python -m tests.mutants.campaign --module sizing       those whose path holds the word
    python -m tests.mutants.campaign --again               those only that survived when they were last run
    python -m tests.mutants.campaign --report              the table of what is known

A mutant is never written to the tree: a forked process loads the changed source in place of the module's file, and runs
pytest, warm with all that does not import the module. Results are kept in build/mutants.jsonl under digests of the module and of its tests, so that only what a change
touches is run again. Mutants that change nothing that can be observed stand in `equivalent.txt` with the reason; those
that nobody notices yet in `survivors.txt`, which may only shrink.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

from tests.mutants.areas import AREAS, LEFT_OUT
from tests.mutants.mutate import Mutant, mutants

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(__file__).parent
KNOWN = ROOT / "build" / "mutants.jsonl"
_LEAST_S, _TIMES = 5.0, 3.0  # a mutant that computes so long, and so many times as long as none, never ends
_WAITS = 8.0  # nor does one that takes so many times that, by the clock
_HEAVY = (
    "numpy", "numba", "pandas", "pyarrow.parquet", "pyarrow.csv", "pydantic", "clarabel", "bokeh.plotting",
    "scipy.sparse", "pytest", "hypothesis.strategies",
)  # fmt: skip
KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"


@dataclass(frozen=True, slots=True)
class Case:
    """A mutant and its name in the lists."""

    mutant: Mutant
    key: str
    digest: str


def cases(words: Sequence[str] = ()) -> list[Case]:
    """The mutants of all modules whose path holds one of the words."""
    found = []
    for module, tests in AREAS.items():
        if words and not any(w in module for w in words):
            continue
        source = _source(module)
        digest = _digest(source, *(_tree(ROOT / t) for t in tests))
        seen: Counter[str] = Counter()
        for mutant in mutants(module, source):
            key = mutant.key(source)
            seen[key] += 1
            found.append(Case(mutant, f"{key}-{seen[key]}", digest))
    return found


@cache
def _source(module: str) -> bytes:
    """A module as it was when the campaign began: it may be worked on meanwhile."""
    return (ROOT / module).read_bytes()


def _tree(path: Path) -> bytes:
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return b"".join(f.read_bytes() for f in files if f.exists())


def _digest(*parts: bytes) -> str:
    state = hashlib.sha256()
    for part in parts:
        state.update(hashlib.sha256(part).digest())
    return state.hexdigest()[:16]


def listed(name: str) -> dict[str, str]:
    """The mutants of `equivalent.txt` or `survivors.txt`: key and what is said of it."""
    path = FOLDER / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {key: rest for key, _, rest in (line.partition(" ") for line in lines if line and line[0] != "#")}


def known() -> dict[tuple[str, str], str]:
    """What is known of (key, digest)."""
    if not KNOWN.exists():
        return {}
    records = [json.loads(line) for line in KNOWN.read_text(encoding="utf-8").splitlines()]
    return {(r["key"], r["digest"]): r["outcome"] for r in records}


def latest() -> dict[str, str]:
    """What each mutant came to when it was last run, whatever the module and its tests were then."""
    return {key: outcome for (key, _), outcome in known().items()}


def run(wanted: Sequence[Case], jobs: int) -> Iterator[tuple[Case, str, float]]:
    """The outcome of each case as it comes, and the seconds it took; module after module."""
    for name in _HEAVY:
        importlib.import_module(name)
    for module in dict.fromkeys(c.mutant.module for c in wanted):
        yield from _run_module([c for c in wanted if c.mutant.module == module], jobs)


def _run_module(wanted: Sequence[Case], jobs: int) -> Iterator[tuple[Case, str, float]]:
    """In a process that is warm for the module: it has run the tests once, and forgot what the module is part of."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        _serve(wanted, jobs, write)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as lines:
        for number, outcome, seconds in map(json.loads, lines):
            yield wanted[number], outcome, seconds
    if os.waitpid(pid, 0)[1]:
        raise SystemExit(f"the campaign of {wanted[0].mutant.module} broke off")


def _serve(wanted: Sequence[Case], jobs: int, write: int) -> NoReturn:
    try:
        begun = time.process_time()
        _warm(wanted[0].mutant.module)
        limit = max(_LEAST_S, _TIMES * (time.process_time() - begun))
        waiting, running = list(enumerate(wanted)), dict[int, tuple[int, float]]()
        while waiting or running:
            while waiting and len(running) < jobs:
                number, case = waiting.pop(0)
                running[_forked(case, limit)] = number, time.monotonic()
            pid, status = os.wait()
            number, begun = running.pop(pid)
            outcome = SURVIVED if status == 0 else KILLED
            os.write(write, f"{json.dumps([number, outcome, time.monotonic() - begun])}\n".encode())
    except BaseException as failure:
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def _warm(module: str) -> None:
    """Import all that tests of a module need and load their kernels; leave out what imports the module, or a test.

    So is what the module declares itself to: the list in `declare.py` beside it takes each name once.
    """
    _silenced(lambda: _tested(module))
    files = {name: getattr(of, "__file__", None) or "" for name, of in sys.modules.items()}
    own = {n: f for n, f in files.items() if f.startswith(f"{ROOT}/") and not f.startswith(f"{ROOT}/.venv/")}
    left_out = {str(ROOT / module), str((ROOT / module).with_name("declare.py"))}
    gone = {n for n, f in own.items() if f in left_out or f.startswith(f"{ROOT}/tests/")}
    imports = {n: _imports(Path(f)) for n, f in own.items()}
    while more := {n for n, of in imports.items() if n not in gone and not of.isdisjoint(gone)}:
        gone |= more
    for name in gone:
        del sys.modules[name]
        parent, _, last = name.rpartition(".")
        if last in vars(sys.modules.get(parent, object)):
            delattr(sys.modules[parent], last)


def _imports(path: Path) -> set[str]:
    """What a file imports, at its head or later."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return found


def _forked(case: Case, limit: float) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        signal.setitimer(signal.ITIMER_PROF, limit)  # a mutant that never ends is noticed, on a busy machine too
        signal.setitimer(signal.ITIMER_REAL, _WAITS * limit)
        _replace(case.mutant)
        code = _silenced(lambda: _tested(case.mutant.module))
    except BaseException as failure:
        print(f"{type(failure).__name__}: {failure}")
    finally:
        sys.stdout.flush()
        os._exit(code and 1)


def _silenced(act: Callable[[], int]) -> int:
    """Without its output, but where MUTANTS_TELL asks for it."""
    if os.environ.get("MUTANTS_TELL"):
        return act()
    kept, sink = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        return act()
    finally:
        sys.stdout.flush()
        for at, of in enumerate(kept, 1):
            os.dup2(of, at)
            os.close(of)
        os.close(sink)


def _tested(module: str) -> int:
    """Run the tests of a module's area; 0 where all pass."""
    import pytest

    options = [
        "-x",
        "-q",
        "--no-header",
        "--assert=plain",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--hypothesis-profile=noticed",
        *(f"--deselect={t}" for t in LEFT_OUT),
    ]
    return int(pytest.main([*options, *(t for t in AREAS[module] if (ROOT / t).exists())]))


def _replace(mutant: Mutant) -> None:
    """Have the module's file read as the mutant of it."""
    path = str(ROOT / mutant.module)
    changed = mutant.apply(_source(mutant.module))
    plain = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if self.path == path:
            return compile(changed, path, "exec")
        return plain(self, fullname)

    setattr(SourceFileLoader, "get_code", get_code)  # noqa: B010  # the base class declares it


def report(found: Sequence[tuple[Case, str]]) -> str:
    """A line a module."""
    by_module: dict[str, Counter[str]] = {}
    for case, outcome in found:
        by_module.setdefault(case.mutant.module, Counter())[outcome] += 1
    lines = [f"{'module':55} {'killed':>7} {'survived':>9} {'equivalent':>11} {'share':>7}"]
    for module, counts in by_module.items():
        real = counts[KILLED] + counts[SURVIVED]
        share = f"{counts[KILLED] / real:7.1%}" if real else "      -"
        lines.append(f"{module:55} {counts[KILLED]:7} {counts[SURVIVED]:9} {counts[EQUIVALENT]:11} {share}")
    return "\n".join(lines)


def outcomes(wanted: Sequence[Case], jobs: int, *, tell: bool = True) -> list[tuple[Case, str]]:
    """Each case with its outcome; those that are not known are run, and kept."""
    done, same = known(), listed("equivalent")
    KNOWN.parent.mkdir(exist_ok=True)
    found = [(c, EQUIVALENT if c.key in same else done.get((c.key, c.digest), "")) for c in wanted]
    todo = [c for c, outcome in found if not outcome]
    _refuse_broken(todo, jobs)
    fresh: dict[str, str] = {}
    with KNOWN.open("a", encoding="utf-8") as file:
        for number, (case, outcome, seconds) in enumerate(run(todo, jobs), 1):
            fresh[case.key] = outcome
            file.write(json.dumps({"key": case.key, "digest": case.digest, "outcome": outcome}) + "\n")
            file.flush()
            if tell and (outcome == SURVIVED or number % 20 == 0):
                print(f"[{number}/{len(todo)}] {outcome} {case.key} {case.mutant} ({seconds:.1f} s)", flush=True)
    return [(c, outcome or fresh[c.key]) for c, outcome in found]


def _refuse_broken(todo: Sequence[Case], jobs: int) -> None:
    """Each area must pass as it is, in the same kind of process. Raises SystemExit."""
    plain = {c.mutant.module: Case(_same(c.mutant), c.key, c.digest) for c in todo}
    broken = [case.mutant.module for case, outcome, _ in run(list(plain.values()), jobs) if outcome == KILLED]
    if broken:
        raise SystemExit(f"these fail without a mutation: {', '.join(broken)}")


def _same(mutant: Mutant) -> Mutant:
    return replace(mutant, now=mutant.was)


def sample(wanted: Sequence[Case], count: int, seed: int) -> list[Case]:
    """So many of them, the same for a seed."""
    return random.Random(seed).sample(list(wanted), min(count, len(wanted)))


def main(arguments: Sequence[str]) -> int:
    """See the head of the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--report", action="store_true")
    chosen: Any = parser.parse_args(arguments)
    wanted = cases(chosen.module)
    if chosen.again:
        before = latest()
        wanted = [c for c in wanted if before.get(c.key) == SURVIVED]
    if chosen.sample:
        wanted = sample(wanted, chosen.sample, chosen.seed)
    if chosen.report:
        done = known()
        wanted = [c for c in wanted if (c.key, c.digest) in done or c.key in listed("equivalent")]
    found = outcomes(wanted, chosen.jobs)
    print(report(found))
    allowed = listed("survivors")
    new = [c for c, outcome in found if outcome == SURVIVED and c.key not in allowed]
    for case in new:
        print(f"{case.key} {case.mutant}")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
