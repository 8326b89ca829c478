"""How kernels are compiled, where they are kept, what decides whether they can be reused, how numba is loaded.

`prepare` must run before the first kernel: it points numba's cache to a folder named by the digest of the
kernel sources, numba's version and the CPU, so that an edit anywhere in the kernels, or another machine,
never meets old code. (numba itself notices only edits of the file a function stands in.)
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

# For a loop called from Python, and for one called by loops alone, which needs no way in from Python: each way in
# that nothing uses is a function more to compile. A call of an INNER loop from Python would end the process.
OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}
INNER: Final[dict[str, Any]] = OPTIONS | {"no_cpython_wrapper": True}

# What numba looks for when it is loaded, for its users' sake, and no kernel uses: BLAS and foreign functions.
_UNUSED: Final = ("scipy", "scipy.linalg.cython_blas", "cffi")
_ALONE: Final = threading.Event()


def prepare(cache_directory: Path, *, alone: bool = False) -> Path:
    """Keep compiled kernels under `cache_directory`; elsewhere if it can't be written, or others may write it.

    Whoever writes compiled code has this process run it, so its folder must be safe from other users. The next choice
    is the user's own cache, then a fresh temporary folder; that it was taken is told.

    alone: this process runs nothing but sigc, so numba may be loaded without what kernels do not use.

    Returns the folder. Raises SigcError E402 where none is safe. Calling it again with another directory has no effect
    on kernels already compiled.
    """
    if alone:
        _ALONE.set()
    folder = _folder(cache_directory)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder


def load_numba() -> None:
    """Load numba before the first loop is; where sigc is alone, in half the time, as SciPy's linear algebra is not
    loaded with it. Elsewhere numba is left as others expect it."""
    if not _ALONE.is_set() or "numba" in sys.modules:
        return
    hidden: dict[str, Any] = {name: None for name in _UNUSED if name not in sys.modules}
    sys.modules.update(hidden)  # None means that there is no such module
    try:
        import numba.core.typing.cffi_utils
        import numba.np.arraymath  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]


@functools.cache
def _folder(cache_directory: Path) -> Path:
    told = [os.environ.get(f"NUMBA_CPU_{what}", "") for what in ("NAME", "FEATURES")]  # a CPU that it is told to be
    parts = [kernel_sources_digest(), version("numba"), cpu_class(), *(t for t in told if t)]
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    places = [partial(_kept, base / "jit" / name[:16]) for base in dict.fromkeys((cache_directory, _own_cache()))]
    places += [partial(_fresh, base) for base in (tempfile.gettempdir(), "/dev/shm")]  # noqa: S108 it is looked at
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
    """A folder for good, and why it can't be used."""
    try:
        make_private(folder)
        (folder / ".writable").touch()
        strange = None if (why := intruder(folder)) else foreign_file(folder)
    except OSError as failure:
        return folder, f"{folder} can't be written: {failure.strerror}"
    return folder, why if strange is None else f"others may have written {strange}"


def _fresh(base: str) -> tuple[Path, str]:
    """A folder of this process, and why it can't be used."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="sigc-jit-", dir=base))
        return folder, intruder(folder)
    except OSError as failure:
        return Path(base), f"{base} can't be written: {failure.strerror}"


@functools.cache
def is_fresh(folder: Path) -> bool:
    """Whether nothing was compiled there yet when this process first asked."""
    return next(folder.rglob("*.nbi"), None) is None


@functools.cache
def kernel_sources_digest() -> str:
    """A digest over all source files of this package."""
    state = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:16]


@functools.cache
def cpu_class() -> str:
    """The class of CPU within which kernels give equal bits: what numpy dispatches on."""
    try:
        features: dict[str, bool] = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    except AttributeError:
        return "unknown"
    # All AVX-512 levels run the same loops for what kernels call. Where numpy dispatches on the level X86_V4, what the
    # CPU itself has does not count: the level may be off.
    wide = ("X86_V4",) if "X86_V4" in features else ("AVX512_SPR", "AVX512_ICL", "AVX512_SKX")
    if any(features.get(name) for name in wide):
        return "AVX512"
    return next((name for name in ("AVX2", "ASIMD") if features.get(name)), "baseline")


def frozen(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """`x` as a C-ordered read-only view, so that a loop is compiled for one kind of array only."""
    view = np.ascontiguousarray(x, dtype=np.float64).view()
    view.flags.writeable = False
    return view
