"""Digests of results of operators on fixed data, on one canonical class of CPU that any x86-64 machine can be told to be.

    python -m tests.ops.digests             records them: for a new operator, or a raised version, on any machine
    python -m tests.ops.digests --print     those of this process, as it is

The class is x86-64-v3. A child process is told to be it: Numba compiles for that CPU and those features, and NumPy's
loops for newer ones are off, with them the vectorised exp, log and pow that it brings for AVX-512 (what remains calls
libm, whose variants are chosen by AVX2 and FMA, which are of the class). Its kernels are kept in a folder of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from sigc.ops import jit
from sigc.ops.declare import Operator
from sigc.ops.table import operators
from sigc.panel import canonical
from tests.ops.samples import inputs, run, variants

CANONICAL = "x86-64-v3"
FILE = Path(__file__).parent / "digests.json"
ROOT = Path(__file__).parent.parent.parent
_FEATURES = (
    "avx,avx2,bmi,bmi2,cmov,cx16,cx8,f16c,fma,fxsr,lzcnt,mmx,movbe,popcnt,sahf,sse,sse2,sse3,sse4.1,sse4.2,ssse3,xsave"
)


def own_digests() -> dict[str, str]:
    """Those of this process, by operator and version."""
    return {
        f"{op.name} {op.version} {way}".strip(): _digest(op, args) for op in operators() for way, args in variants(op)
    }


def _digest(op: Operator, args: dict[str, Any]) -> str:
    made, _ = run(op, inputs(op, seed=3), args)
    return hashlib.sha256(canonical(made).tobytes()).hexdigest()[:16]


def canonical_environment() -> dict[str, str]:
    """The environment of a process that is of the canonical class, whatever this machine is."""
    beyond = [f for f in np._core._multiarray_umath.__cpu_dispatch__ if f == "X86_V4" or f.startswith("AVX512")]  # type: ignore[attr-defined]
    return os.environ | {
        "NUMBA_CPU_NAME": CANONICAL,
        "NUMBA_CPU_FEATURES": ",".join(f"+{f}" for f in _FEATURES.split(",")),
        "NUMBA_DISABLE_INTEL_SVML": "1",
        "NPY_DISABLE_CPU_FEATURES": ",".join(beyond),
        "OPENBLAS_CORETYPE": "Haswell",
    }


def canonical_digests(cache: Path) -> dict[str, str]:
    """Those of the canonical class, from a child process that keeps its kernels below `cache`."""
    command = [sys.executable, "-m", "tests.ops.digests", "--print", str(cache)]
    done = subprocess.run(command, cwd=ROOT, env=canonical_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"this machine can't be of the class {CANONICAL}:\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout)
    if told["numpy"] != "AVX2" or told["numba"] != CANONICAL or "+avx512" in told["features"]:
        raise AssertionError(f"the child process is not of the class {CANONICAL}")
    found: dict[str, str] = told["digests"]
    return found


def record(cache: Path) -> None:
    """Write the digests of the canonical class, and those of this machine's class where it is another."""
    stored = {CANONICAL: canonical_digests(cache)}
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    for name, digests in before.items():  # of operators that are still there, at their version
        if name != CANONICAL:
            stored[name] = {k: v for k, v in digests.items() if k in stored[CANONICAL]}
    if jit.cpu_class() != "AVX2":
        jit.prepare(cache)
        stored[jit.cpu_class()] = own_digests()
    FILE.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Print this process's digests, or record."""
    cache = Path(arguments[-1]) if len(arguments) == 2 else Path(tempfile.gettempdir()) / f"sigc-test-jit-{os.getuid()}"
    if "--print" not in arguments:
        record(cache)
        return
    jit.prepare(cache)
    digests = own_digests()
    from numba.core.registry import cpu_target

    _, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    print(json.dumps({"numpy": jit.cpu_class(), "numba": cpu, "features": features, "digests": digests}))


if __name__ == "__main__":
    main(sys.argv[1:])
