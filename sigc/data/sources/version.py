"""The version of a file behind a URL: a text that differs whenever the content may, never a constant.

    etag TAG               a strong ETag
    modified TIME SIZE     Last-Modified with the size, once both are older than their own resolution
    sha256 DIGEST          neither is told: the file is read, and its content is its version

A weak ETag (`W/...`) promises the same meaning, not the same bytes, so it never stands alone: it is one more part of
`modified`. Only what the server tells of the content counts. `fsspec`'s own `ukey` does not: of http it is the digest
of the URL.
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
# Last-Modified counts in seconds, and clocks differ: a file that changed as lately as this may change again unseen.
_SETTLED_S = 60.0
_CHUNK_BYTES = 1 << 20


def version_of(spec: SourceSpec, url: str) -> str:
    """Return the version of a file as its server tells it, else the digest of its content, which is read for it.

    Raises whatever the file system raises.
    """
    import fsspec

    system, path = fsspec.core.url_to_fs(url)

    def ask() -> Mapping[str, Any]:
        system.invalidate_cache()  # some remember listings, and answer from them
        found: Mapping[str, Any] = system.info(path)
        return found

    return told_version(within(spec.timeout_s, ask), time.time()) or _content_version(spec, url)


def told_version(about: Mapping[str, Any], now_s: float) -> str:
    """Return the version that a file system's `info` amounts to; '' when that does not tell one content from another.

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
    """A time in any of the forms that file systems give it in; None for anything else."""
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
