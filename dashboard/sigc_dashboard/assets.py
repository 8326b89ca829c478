"""Files of the page: the script, and the stylesheet, which begins with the look of reports."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from sigc_dashboard.reports.style import CSS

_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@cache
def asset(name: str) -> tuple[str, bytes, str] | None:
    """Return content type, bytes and ETag of a file of static/, None for an unknown one."""
    path = files("sigc_dashboard") / "static" / name
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None or "/" in name or not path.is_file():
        return None
    body = path.read_bytes()
    if name == "page.css":
        body = CSS.encode() + body
    return kind, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
