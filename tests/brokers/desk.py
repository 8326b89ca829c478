"""The order management system of the docs, for tests: under a clock of theirs, in other forms and names of files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.examples.oms import OrderDesk
from sigc.config.broker_settings import FilesSettings


class FormDesk(OrderDesk):
    """The desk with the format and the columns of these settings, one file a row if it is `scattered`; it moves orders
    away once it has answered them, if there is a folder for that.
    """

    def __init__(self, settings: FilesSettings, *given: Any, scattered: bool = False, **more: Any) -> None:
        self.settings, self.scattered, self.number = settings, scattered, 0
        self.ours = {theirs: ours for ours, theirs in settings.columns.items()}
        super().__init__(Path(settings.outbox), Path(settings.inbox), *given, **more)

    def take(self) -> None:
        super().take()
        if self.settings.taken:
            for path in self.outbox.iterdir():
                path.rename(Path(self.settings.taken) / path.name)

    def _file_of(self, id: str) -> Path:
        name = f"order-{id}.{self.settings.format}"
        found = [Path(f) / name for f in (self.settings.outbox, self.settings.taken) if f and (Path(f) / name).exists()]
        return found[0]

    def _read(self, path: Path) -> list[dict[str, str]]:
        if self.settings.format == "csv":
            rows = super()._read(path)
        else:
            rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [{self.ours.get(name, name): value for name, value in row.items()} for row in rows]

    def _written(self, name: str) -> list[dict[str, str]]:
        paths = sorted(self.inbox.glob(f"{name}*.{self.settings.format}"))
        return [row for path in paths for row in self._read(path)]

    def _text(self, columns: tuple[str, ...], rows: list[dict[str, str]], *, with_head: bool) -> str:
        named = [{self.settings.columns.get(c, c): row[c] for c in columns} for row in rows]
        if self.settings.format == "jsonl":
            return "".join(json.dumps(row) + "\n" for row in named)
        head = [tuple(self.settings.columns.get(c, c) for c in columns)] if with_head else []
        return "".join(map(self._line, [*head, *(tuple(row.values()) for row in named)]))

    def _append(self, name: str, columns: tuple[str, ...], row: Mapping[str, str]) -> None:
        self.number += 1
        part = f"-{self.number:06}" if self.scattered else ""
        path = self.inbox / f"{name}{part}.{self.settings.format}"
        with path.open("a") as file:
            file.write(self._text(columns, [dict(row)], with_head=not path.stat().st_size))

    def _replace(self, name: str, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
        part = self.inbox / f"{name}.{self.settings.format}.part"
        part.write_text(self._text(columns, rows, with_head=True))
        part.replace(self.inbox / f"{name}.{self.settings.format}")
