"""The version of a file behind a URL: a text that differs whenever the content may differ, never a constant.

    etag TAG               a strong ETag
    modified TIME SIZE     Last-Modified with the size, once both are older than their own resolution
    sha256 DIGEST          neither is known: the file is read, and the digest is its version

A weak ETag (`W/...`) promises the same meaning, not the same bytes, so it is only one part of `modified`. Only the
server's statements about the content count; `fsspec`'s own `ukey` does not: for http it is the digest of the URL.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from sigc.data.sources.connections import within
from sigc.data.sources.spec import SourceSpec

_TIMES = ("lastmodified", "updated", "mtime")  # of http, s3, azure; of gcs; of file servers
# Last-Modified counts in seconds, and clocks differ: a file changed within this time may change again unnoticed.
_SETTLED_S = 60.0
_CHUNK_BYTES = 1 << 20


def version_of(spec: SourceSpec, url: str) -> str:
    """Return the version of a file as its server states it, else the digest of its content, which is read.

    Raise whatever the file system raises.
    """
    import fsspec

    system, path = fsspec.core.url_to_fs(url)

    def ask() -> Mapping[str, Any]:
        system.invalidate_cache()  # some file systems cache listings
        found: Mapping[str, Any] = system.info(path)
        return found

    return told_version(within(spec.timeout_s, ask), time.time()) or _content_version(spec, url)


def told_version(about: Mapping[str, Any], now_s: float) -> str:
    """Return the version from a file system's `info`; '' if that does not distinguish contents.

    >>> told_version({"ETag": '"5e-1"', "size": 94}, now_s=1.6e9)
    'etag "5e-1"'
    >>> told_version({"ETag": 'W/"5e"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT", "size": 94}, now_s=1.6e9)
    'modified 2015-10-21T07:28:00+00:00 94 W/"5e"'
    >>> told_version({"name": "https://host/prices.csv", "size": 94}, now_s=1.6e9)
    ''
    """
    known = {str(name).lower().replace("-", "").replace("_", ""): value for name, value in about.items()}
    tag = str(known.get("etag") or "")
    if tag and not tag.startswith("W/"):
        return f"etag {tag}"
    modified = next((at for at in (_instant(known.get(name)) for name in _TIMES) if at is not None), None)
    size = known.get("size")
    if modified is None or size is None or now_s - modified.timestamp() < _SETTLED_S:
        return ""
    return f"modified {modified.isoformat()} {size} {tag}".rstrip()


def _instant(value: object) -> datetime | None:
    """Parse a time in any form that file systems use; None for anything else."""
    try:
        match value:
            case datetime():
                at = value
            case int() | float():
                at = datetime.fromtimestamp(value, UTC)
            case str() if "," in value:
                at = parsedate_to_datetime(value)
            case str():
                at = datetime.fromisoformat(value)
            case _:
                return None
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _content_version(spec: SourceSpec, url: str) -> str:
    from sigc.data.formats.table import open_file

    state = hashlib.sha256()
    with open_file(spec, url) as content:
        while piece := content.read(_CHUNK_BYTES):
            state.update(piece)
    return f"sha256 {state.hexdigest()}"
