"""Proof that a process computes the same bits as the controller, into the same cache.

    required = requirement(cache, mark, roots, digests(operators))     on the controller
    unmet(required)                                                    on the computing process: '' or the differences

A requirement is text, so that any version of sigc can read it, and equal requirements are equal strings. A process
proves each once: versions, sources, and the results of its loops on fixed data must agree; and it must see the mark
that the controller put into its cache, which another folder of the same path, or an earlier copy, lacks. From then on
the proof is one look-up.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

from sigc.engine.kernel.chain import Chain, is_chained
from sigc.errors import Diagnostic, SigcError
from sigc.ops import jit
from sigc.ops.chained import CLEAN
from sigc.ops.declare import REGISTRY, ValueKind
from sigc.ops.fingerprint import kernel_digests
from sigc.panel import Floats
from sigc.plan.expr import Expr, source
from sigc.private import make_private

_proved: set[tuple[int, str]] = set()  # with the pid: a forked process must prove for itself
_MARK = "probe-"
_MARK_LASTS_S = 90 * 86400.0  # every run renews it
_MOST_PROVED = 64  # each run has its own requirement
_TOLD = {"kernels": "has other sources of operators", "sources": "has other sources of sigc"}


def versions() -> dict[str, str]:
    """Return the facts that must be equal on controller and workers for equal bits."""
    from sigc import __version__

    return {
        "sigc": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": version("numba"),  # not imported: it may refuse this numpy
        "distributed": version("distributed"),
        "sources": sources_digest(),
        "kernels": jit.kernel_sources_digest(),
        "cpu": jit.cpu_class(),
    }


@functools.cache
def sources_digest() -> str:
    """Return a digest of all source files of sigc on disk."""
    import sigc

    root, state = Path(sigc.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        state.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:16]


def digests(operators: Iterable[str]) -> dict[str, str]:
    """Return digests of results on fixed data: of each operator by its kernel, and in a chain if it can be in one."""
    found = kernel_digests(operators)
    return found | {f"{name} in a chain": made for name in found if (made := _chained(name))}


def put_mark(cache: Path) -> Path:
    """Put a file into the cache that proves access to it; one per process and cache, and return its path.

    Its own process never removes it: a worker that joins while a client ends must not find it missing, and leave. The
    next process of this machine removes it. Raise `SigcError` (E402).
    """
    mark = cache / _mark_name(os.getpid())
    try:
        make_private(cache)
        if not mark.exists():
            _sweep(cache)
        mark.touch(mode=0o600)
    except OSError as failure:
        message = f"the cache {cache} can't be written: {failure.strerror or failure}"
        hint = "workers need a cache that they and this machine can write"
        raise SigcError(Diagnostic("E402", message, hint=hint)) from failure
    return mark


@functools.cache
def _mark_name(pid: int) -> str:
    return f"{_MARK}{_host()}-{pid}-{uuid.uuid4().hex}"


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:12]


def _sweep(cache: Path) -> None:
    """Remove marks of ended processes of this machine, and of any not used for 90 days."""
    for mark in cache.glob(f"{_MARK}*"):
        host, _, rest = mark.name.removeprefix(_MARK).partition("-")
        pid = rest.partition("-")[0]
        with contextlib.suppress(OSError):
            is_over = host == _host() and pid.isdecimal() and not psutil.pid_exists(int(pid))
            if is_over or time.time() - mark.stat().st_mtime > _MARK_LASTS_S:
                mark.unlink()


def requirement(mark: Path, roots: Sequence[Path] = (), kernels: Mapping[str, str] | None = None) -> str:
    """Return a worker's requirement as text. mark: see `put_mark`. roots: folders it must read. kernels: see
    `digests`.
    """
    wanted = {
        "versions": versions(),
        "mark": str(mark),
        "roots": [str(root) for root in roots],
        "kernels": dict(kernels or {}),
    }
    return json.dumps(wanted, sort_keys=True)


def unmet(required: str) -> str:
    """Return the differences to a requirement, in words; '' if it is met, which is remembered."""
    known = (os.getpid(), required)
    if known in _proved:
        return ""
    wanted = json.loads(required)
    found = _unequal(wanted["versions"]) or _unseen(Path(wanted["mark"]), wanted["roots"]) or _other(wanted["kernels"])
    if not found:
        if len(_proved) >= _MOST_PROVED:
            _proved.clear()
        _proved.add(known)
    return found


def _unequal(wanted: Mapping[str, str]) -> str:
    ours = versions()
    return "; ".join(
        _TOLD.get(name, f"has {name} {ours.get(name, 'of unknown version')}, not {value}")
        for name, value in wanted.items()
        if ours.get(name) != value
    )


def _unseen(mark: Path, roots: Collection[str]) -> str:
    found = [f"can't read {root}" for root in roots if not os.access(root, os.R_OK | os.X_OK)]
    if not mark.is_file():
        found.append(f"does not see the cache {mark.parent} of the controller")
    elif not os.access(mark.parent, os.R_OK | os.W_OK | os.X_OK):
        found.append(f"can't write the cache {mark.parent}")
    return "; ".join(found)


def _other(wanted: Mapping[str, str]) -> str:
    ours = digests({name.removesuffix(" in a chain") for name in wanted})
    differs = sorted(name for name, digest in wanted.items() if ours.get(name) != digest)
    return f"computes other bits than the controller: {', '.join(differs)}" if differs else ""


def _chained(name: str) -> str:
    """Return the digest of one cell-wise operator in a chain; '' for others."""
    operator = REGISTRY[name]
    inputs = [p for p in operator.inputs if not p.variadic]
    if not inputs or any(p.kind is not ValueKind.PANEL for p in inputs) or operator.numbers:
        return ""
    leaves = tuple(source(f"x{at}") for at in range(len(inputs)))
    node = Expr(name, leaves, given=tuple(p.name for p in inputs))
    if not is_chained(node):
        return ""
    made = np.empty((41, 9))
    Chain([node], CLEAN).run([_fixed(at, made.shape) for at in range(len(leaves))], made)
    return hashlib.sha256(made.tobytes()).hexdigest()[:16]


def _fixed(at: int, shape: tuple[int, int]) -> Floats:
    row, column = np.indices(shape)
    values = 5.0 + ((row * 7919 + column * 104729 + at * 31) % 1009) / 97.0
    values[(row + column + at) % 13 == 0] = np.nan
    return np.ascontiguousarray(values)
