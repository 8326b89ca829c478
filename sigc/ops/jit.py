"""Compilation of kernels: options, the folder of compiled code, its invalidation, the import of numba.

`prepare` must run before the first kernel: it points numba's cache to a folder named by the digest of the kernel
sources, numba's version and the CPU, so that an edit anywhere in the kernels, or another machine, never uses old code.
(numba itself notices only edits of the file that contains a function.)
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import sys
import tempfile
import threading
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sigc.errors import Diagnostic, SigcError
from sigc.private import foreign_file, intruder, make_private

log = logging.getLogger(__name__)

# OPTIONS: for loops called from Python. INNER: for those called only by other loops, without an entry point for Python:
# each unused entry point is one more function to compile. A call of an INNER loop from Python would crash the process.
OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}
INNER: Final[dict[str, Any]] = OPTIONS | {"no_cpython_wrapper": True}

# Modules that numba imports for its users, and no kernel uses: BLAS and foreign functions.
_UNUSED: Final = ("scipy", "scipy.linalg.cython_blas", "cffi")
_ALONE: Final = threading.Event()


def prepare(cache_directory: Path, *, alone: bool = False) -> Path:
    """Keep compiled kernels under `cache_directory`, or elsewhere if it is not writable, or writable by others.

    Anyone who can write compiled code controls this process, so the folder must be safe from other users. The next
    choice is the user's own cache, then a fresh temporary folder; a change is logged.

    alone: this process runs only sigc, so numba may be loaded without the modules that kernels do not use.

    Return the folder. Raise SigcError E402 if none is safe. A second call with another directory has no effect on
    kernels already compiled.
    """
    if alone:
        _ALONE.set()
    folder = _folder(cache_directory)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder


def load_numba() -> None:
    """Load numba before the first loop.

    If sigc is alone in the process, it takes half the time, as SciPy's linear algebra is not loaded with it. Otherwise
    numba is left as other code expects it.
    """
    if not _ALONE.is_set() or "numba" in sys.modules:
        return
    hidden: dict[str, Any] = {name: None for name in _UNUSED if name not in sys.modules}
    sys.modules.update(hidden)  # None makes the import of that module fail
    try:
        import numba.core.typing.cffi_utils
        import numba.np.arraymath  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]


@functools.cache
def _folder(cache_directory: Path) -> Path:
    # A CPU class that the environment forces on numba.
    told = [os.environ.get(f"NUMBA_CPU_{what}", "") for what in ("NAME", "FEATURES")]
    parts = [kernel_sources_digest(), version("numba"), cpu_class(), *(t for t in told if t)]
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    places = [partial(_kept, base / "jit" / name[:16]) for base in dict.fromkeys((cache_directory, _own_cache()))]
    places += [partial(_fresh, base) for base in (tempfile.gettempdir(), "/dev/shm")]  # noqa: S108 it is checked
    refused = ""
    for place in places:
        folder, why = place()
        if not why:
            if refused:
                log.warning("compiled kernels are kept in %s: %s", folder, refused)
            return folder
        refused = refused or why
    hint = "chmod go-w it, or set XDG_CACHE_HOME to a folder that only you can write"
    raise SigcError(Diagnostic("E402", f"there is no safe folder for compiled kernels: {refused}", hint=hint))


def _own_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sigc"


def _kept(folder: Path) -> tuple[Path, str]:
    """Return a permanent folder, and why it can't be used ('' if it can)."""
    try:
        make_private(folder)
        (folder / ".writable").touch()
        strange = None if (why := intruder(folder)) else foreign_file(folder)
    except OSError as failure:
        return folder, f"{folder} can't be written: {failure.strerror}"
    return folder, why if strange is None else f"others may have written {strange}"


def _fresh(base: str) -> tuple[Path, str]:
    """Return a folder of this process, and why it can't be used ('' if it can)."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="sigc-jit-", dir=base))
        return folder, intruder(folder)
    except OSError as failure:
        return Path(base), f"{base} can't be written: {failure.strerror}"


@functools.cache
def is_fresh(folder: Path) -> bool:
    """Return True if nothing was compiled there yet when this process first asked."""
    return next(folder.rglob("*.nbi"), None) is None


@functools.cache
def kernel_sources_digest() -> str:
    """Return a digest of all source files of this package."""
    state = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:16]


@functools.cache
def cpu_class() -> str:
    """Return the class of CPU within which kernels give equal bits, by numpy's dispatch."""
    try:
        features: dict[str, bool] = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    except AttributeError:
        return "unknown"
    # All AVX-512 levels run the same loops for kernels. If numpy dispatches on the level X86_V4, the features of the
    # CPU itself do not count: the level may be disabled.
    wide = ("X86_V4",) if "X86_V4" in features else ("AVX512_SPR", "AVX512_ICL", "AVX512_SKX")
    if any(features.get(name) for name in wide):
        return "AVX512"
    return next((name for name in ("AVX2", "ASIMD") if features.get(name)), "baseline")


def frozen(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `x` as a C-ordered read-only view, so that a loop is compiled for one kind of array only."""
    view = np.ascontiguousarray(x, dtype=np.float64).view()
    view.flags.writeable = False
    return view
