"""Which file a source means, and whether it may be read.

A relative path is looked for beside the .sig file, then in the working directory, then in the data directory;
two different files of that name are an error. Files must lie below one of these folders or a configured root,
symbolic links resolved. URLs go through fsspec, without chained `::`, under the configured prefixes.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from sigc.config import DataSettings
from sigc.data.connections import within
from sigc.data.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.secret import without_passwords

_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq", ".arrow", ".feather", ".ipc")
_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "http", "https", "memory", "file")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source's data are. files: local paths or URLs, ordered; several for a folder.

    text: the path for people. version: a digest of size and time of each file, by which a change is noticed.
    """

    text: str
    files: tuple[str, ...]
    versions: tuple[str, ...]
    remote: bool = False


def locate(spec: SourceSpec, settings: DataSettings, recent: str = "") -> Place:
    """Find the file of a source, or each of its list. Raises E200 when there is none, or it may not be read.

    recent: the version of a URL that was looked at lately enough; it is not asked again.
    """
    if spec.others:
        return together(spec, [locate(one, settings) for one in spec.each])
    if spec.is_url:
        return _remote(spec, settings, recent)
    path = _local(spec, settings)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and p.name.lower().endswith(_SUFFIXES))
        if not files:
            raise _error(spec, f"the folder '{spec.path}' has no csv, parquet or arrow file")
        return Place(str(path), tuple(str(f) for f in files), tuple(_version(f) for f in files))
    return Place(str(path), (str(path),), (_version(path),))


def together(spec: SourceSpec, places: list[Place]) -> Place:
    """The places of a list as one. Raises E200 for a file that two of its paths mean."""
    files = [f for p in places for f in p.files]
    twice = next((f for at, f in enumerate(files) if f in files[:at]), "")
    if twice:
        raise _error(spec, f"two paths of the list mean the file '{twice}'", hint="remove one")
    versions = tuple(v for p in places for v in p.versions)
    return Place(", ".join(p.text for p in places), tuple(files), versions, any(p.remote for p in places))


def _local(spec: SourceSpec, settings: DataSettings) -> Path:
    folders = [Path(spec.base), Path.cwd(), Path(settings.directory)]
    wanted = Path(spec.path).expanduser()
    candidates = [wanted] if wanted.is_absolute() else [f / wanted for f in folders]
    found: dict[Path, None] = {}
    for candidate in candidates:
        if candidate.exists():
            found.setdefault(candidate.resolve(), None)
    if not found:
        raise _error(spec, f"there is no file '{spec.path}'", hint=_nearby(wanted, folders))
    if len(found) > 1 and len({_content(p) for p in found}) > 1:
        places = " and ".join(str(p) for p in found)
        raise _error(spec, f"'{spec.path}' is ambiguous: {places} differ", hint="write the path out")
    path = next(iter(found))
    roots = [f.resolve() for f in (*folders, *(Path(r) for r in settings.roots)) if f.exists()]
    if not any(path == r or r in path.parents for r in roots):
        raise _error(spec, f"'{spec.path}' lies outside the data roots", hint="add its folder to data.roots")
    if not os.access(path, os.R_OK):
        raise _error(spec, f"'{path}' can't be read: permission denied")
    return path


def _content(path: Path) -> str:
    return _version(path) if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def _nearby(wanted: Path, folders: list[Path]) -> str:
    names = [p.name for f in folders if f.is_dir() for p in sorted(f.iterdir())[:500]]
    return did_you_mean(wanted.name, names)


def _version(path: Path) -> str:
    about = path.stat()
    return f"{about.st_size}-{about.st_mtime_ns}-{about.st_ino}"


def _remote(spec: SourceSpec, settings: DataSettings, recent: str) -> Place:
    url = spec.path
    scheme = url.split("://", 1)[0]
    if "::" in url or scheme not in _SCHEMES:
        raise _error(spec, f"'{url}' is no URL sigc reads", hint=f"one of {', '.join(s + '://' for s in _SCHEMES)}")
    if settings.url_prefixes and not url.startswith(settings.url_prefixes):
        raise _error(spec, f"'{url}' is under none of the allowed prefixes", hint="see data.url_prefixes")
    if scheme == "file":
        return locate_local_url(spec, settings)
    if recent:
        return Place(without_passwords(url), (url,), (recent,), remote=True)
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
        about = within(spec.timeout_s, lambda: system.info(path))
        version = str(about.get("ETag") or about.get("etag") or system.ukey(path))
    except ImportError as missing:
        raise _error(spec, f"'{url}' needs a package: {missing}") from missing
    except FileNotFoundError as missing:
        raise _error(spec, f"there is no file '{url}'") from missing
    except Exception as failure:  # every filesystem has errors of its own
        raise _error(spec, f"'{url}' can't be reached: {type(failure).__name__}: {failure}") from failure
    return Place(without_passwords(url), (url,), (version,), remote=True)


def locate_local_url(spec: SourceSpec, settings: DataSettings) -> Place:
    """`file:///path` is a path, under the same roots as any other."""
    from dataclasses import replace

    return locate(replace(spec, path=spec.path.removeprefix("file://")), settings)


def _error(spec: SourceSpec, message: str, hint: str = "") -> SigcError:
    return SigcError(Diagnostic("E200", f"source '{spec.name}': {without_passwords(message)}", spec.span, hint=hint))
