"""HTML as values: text is escaped, HTML has its own type.

>>> tag("p", "a < b", tag("b", "!"), class_="note")
'<p class="note">a &lt; b<b>!</b></p>'
>>> tag("button", "Run", disabled=True, data_name='"x"', hidden=False)
'<button disabled data-name="&quot;x&quot;">Run</button>'

Nothing else makes HTML of other people's text: names of strategies and assets, messages, reasons go through here.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
Attribute = str | int | float | bool | None


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()

    def __html__(self) -> str:  # jinja2 and markupsafe ask this
        return self


NONE = Html("")


def text(value: object) -> Html:
    """Return anything as HTML: escaped, unless it is HTML."""
    return value if isinstance(value, Html) else Html(escape(str(value), quote=False))


def join(pieces: Iterable[object], between: object = NONE) -> Html:
    """Return the pieces one after the other."""
    return Html(text(between).join(text(piece) for piece in pieces))


def tag(name: str, /, *inner: object, **attributes: Attribute) -> Html:
    """Return an element. `class_` is class, `data_x` is data-x; True is an attribute alone, False and None are none."""
    said = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{join(inner)}</{name}>")


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
