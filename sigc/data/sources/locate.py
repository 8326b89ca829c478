"""The location of a source's files, and permission to read them.

A relative path is searched beside the .sig file, then in the working directory, then in the data directory; two
different files of that name are an error. Files must lie below one of these folders or a configured root, after
symbolic links are resolved. URLs go through fsspec, without chained `::`, under the configured prefixes.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sigc.config.secret import without_url_secrets
from sigc.config.settings import DataSettings
from sigc.data.formats.table import SUFFIXES
from sigc.data.sources.registry import is_outside, open_outside
from sigc.data.sources.spec import SourceSpec
from sigc.data.sources.version import version_of
from sigc.errors import Diagnostic, SigcError, did_you_mean

_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "http", "https", "memory", "file")
EXTRAS = MappingProxyType(  # the extra of pyproject.toml for each scheme, which installs the package for fsspec
    dict.fromkeys(("s3", "s3a"), "s3")
    | dict.fromkeys(("gs", "gcs"), "gcs")
    | dict.fromkeys(("az", "abfs", "abfss"), "azure")
    | dict.fromkeys(("http", "https"), "http")
)


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The location of a source's data. files: local paths or URLs, ordered; several for a folder.

    text: the path for people. versions: of each file, to notice a change: size, time and inode of a local file; for a
    URL see `version`.
    """

    text: str
    files: tuple[str, ...]
    versions: tuple[str, ...]
    remote: bool = False


def locate(spec: SourceSpec, settings: DataSettings, recent: str = "") -> SourceFiles:
    """Locate the file of a source, or each of its list. Raise E200 if there is none, or reading is not allowed.

    recent: the version of a URL that was checked recently; it is not requested again.
    """
    if spec.others:
        return together(spec, [locate(one, settings) for one in spec.each])
    if is_outside(spec):
        return SourceFiles(spec.path, (spec.path,), (open_outside(spec).fingerprint(),))
    if spec.is_url:
        return _remote(spec, settings, recent)
    path = _local(spec, settings)
    if path.is_dir():
        files = _inside(spec, path, settings)
        return SourceFiles(str(path), tuple(str(f) for f in files), tuple(_version(f) for f in files))
    return SourceFiles(str(path), (str(path),), (_version(path),))


def _inside(spec: SourceSpec, folder: Path, settings: DataSettings) -> list[Path]:
    """Return all files of a folder and its subfolders. Raise E200 for one that is not data, or outside of the roots.

    Names that begin with a dot or an underscore are ignored: marks of other programs (`_SUCCESS`, an unfinished file).
    """
    files: list[Path] = []
    strange: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if any(part.startswith((".", "_")) for part in path.relative_to(folder).parts) or path.is_dir():
            continue
        (files if path.name.lower().endswith(tuple(SUFFIXES)) else strange).append(path)
    if strange:
        others = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        message = f"the folder '{spec.path}' holds '{strange[0].relative_to(folder)}'{others}, which is not a data file"
        raise _error(spec, message, hint="move it elsewhere: a folder is read whole")
    if not files:
        raise _error(spec, f"the folder '{spec.path}' has no csv, parquet or arrow file")
    # A link inside an allowed folder must not lead to a file outside of it.
    outside = next((p for p in files if p.is_symlink() and not _is_allowed(p.resolve(), spec, settings)), None)
    if outside is not None:
        message = f"'{outside.relative_to(folder)}' of the folder '{spec.path}' leads outside the data roots"
        raise _error(spec, message, hint="add its folder to data.roots")
    return files


def _is_allowed(path: Path, spec: SourceSpec, settings: DataSettings) -> bool:
    folders = [Path(spec.base), Path.cwd(), Path(settings.directory), *(Path(r) for r in settings.roots)]
    roots = [f.resolve() for f in folders if f.exists()]
    return any(path == r or r in path.parents for r in roots)


def together(spec: SourceSpec, places: list[SourceFiles]) -> SourceFiles:
    """Join the locations of a list. Raise E200 if two of its paths are the same file."""
    files = [f for p in places for f in p.files]
    twice = next((f for at, f in enumerate(files) if f in files[:at]), "")
    if twice:
        raise _error(spec, f"two paths of the list are the same file '{twice}'", hint="remove one")
    versions = tuple(v for p in places for v in p.versions)
    return SourceFiles(", ".join(p.text for p in places), tuple(files), versions, any(p.remote for p in places))


def _local(spec: SourceSpec, settings: DataSettings) -> Path:
    folders = [Path(spec.base), Path.cwd(), Path(settings.directory)]
    wanted = Path(spec.path).expanduser()
    candidates = [wanted] if wanted.is_absolute() else [f / wanted for f in folders]
    found: dict[Path, None] = {}
    for candidate in candidates:
        if candidate.exists():
            found.setdefault(candidate.resolve(), None)
    if not found:
        raise _error(
            spec,
            f"there is no file '{spec.path}'",
            hint=_nearby(wanted, [wanted.parent] if wanted.is_absolute() else folders),
        )
    if len(found) > 1 and len({_content(p) for p in found}) > 1:
        places = " and ".join(str(p) for p in found)
        raise _error(spec, f"'{spec.path}' is ambiguous: {places} differ", hint="write the path out")
    path = next(iter(found))
    if not _is_allowed(path, spec, settings):
        raise _error(spec, f"'{spec.path}' lies outside the data roots", hint="add its folder to data.roots")
    if not os.access(path, os.R_OK):
        raise _error(spec, f"'{path}' can't be read: permission denied")
    return path


def _content(path: Path) -> str:
    return _version(path) if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def _nearby(wanted: Path, folders: list[Path]) -> str:
    names = [p.name for f in folders if f.is_dir() for p in sorted(f.iterdir())[:500]]
    return did_you_mean(wanted.name, names)


def version_now(spec: SourceSpec, file: str) -> str:
    """Return the current version of a file, local or behind a URL. Raise E200 if it is gone."""
    if is_outside(spec):
        return open_outside(spec).fingerprint()
    try:
        return version_of(spec, file) if "://" in file else _version(Path(file))
    except OSError as gone:
        raise _error(spec, f"'{file}' is gone: {gone.strerror}") from gone


def _version(path: Path) -> str:
    about = path.stat()
    return f"{about.st_size}-{about.st_mtime_ns}-{about.st_ino}"


def _remote(spec: SourceSpec, settings: DataSettings, recent: str) -> SourceFiles:
    url = spec.path
    scheme = url.split("://", 1)[0]
    if "::" in url or scheme not in _SCHEMES:
        raise _error(
            spec, f"'{url}' is not a URL that sigc reads", hint=f"one of {', '.join(s + '://' for s in _SCHEMES)}"
        )
    if settings.url_prefixes and not url.startswith(settings.url_prefixes):
        raise _error(spec, f"'{url}' is under none of the allowed prefixes", hint="see data.url_prefixes")
    if scheme == "file":
        return locate_local_url(spec, settings)
    if recent:
        return SourceFiles(without_url_secrets(url), (url,), (recent,), remote=True)
    try:
        version = version_of(spec, url)
    except ImportError as missing:
        hint = f'pip install "sigc-daemon[{EXTRAS[scheme]}]"' if scheme in EXTRAS else ""
        raise _error(spec, f"'{url}' needs a package: {missing}", hint=hint) from missing
    except FileNotFoundError as missing:
        raise _error(spec, f"there is no file '{url}'") from missing
    except Exception as failure:  # every filesystem raises its own errors
        raise _error(spec, f"'{url}' can't be reached: {type(failure).__name__}: {failure}") from failure
    return SourceFiles(without_url_secrets(url), (url,), (version,), remote=True)


def locate_local_url(spec: SourceSpec, settings: DataSettings) -> SourceFiles:
    """Locate `file:///path` as a path, under the same roots as any other."""
    from dataclasses import replace

    return locate(replace(spec, path=spec.path.removeprefix("file://")), settings)


def _error(spec: SourceSpec, message: str, hint: str = "") -> SigcError:
    return SigcError(Diagnostic("E200", f"source '{spec.name}': {without_url_secrets(message)}", spec.span, hint=hint))
