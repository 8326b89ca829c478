"""The views, in the order of the navigation: every class of this folder that has a view's methods, by its `place`."""

from __future__ import annotations

from collections.abc import Iterator

from sigc.modules import modules_of
from sigc_dashboard.view_api import View

_METHODS = frozenset({"asks", "parts", "plots"})


def _found() -> Iterator[View]:
    for module in modules_of(__name__):
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and vars(value).keys() >= _METHODS:
                yield value()


VIEWS: tuple[View, ...] = tuple(sorted(_found(), key=lambda view: view.place))
