"""The place in the inbox up to which fills and charges were reported: by file, how much of it, and a digest of that.

A file that has grown is told from its old end on. One that was renamed, or rewritten, is told whole again: the ledger
knows fills by their ids. One that was moved away is forgotten, and what it told is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sigc_pipelines.brokers.files.inbox import FolderFile
from sigc_pipelines.brokers.protocol import UnreachableError


@dataclass(frozen=True, slots=True)
class FolderCursor:
    """By file: the bytes that were reported, and their digest."""

    told: Mapping[str, tuple[int, str]]

    @staticmethod
    def of(said: str) -> FolderCursor:
        """Return the cursor of a text; '' is the beginning. Raises UnreachableError for the text of another broker."""
        if not said:
            return FolderCursor({})
        try:
            found = json.loads(said)
            return FolderCursor({str(name): (int(size), str(digest)) for name, (size, digest) in found.items()})
        except (ValueError, TypeError, AttributeError) as wrong:
            message = f"the ledger's place in the activities is not of a broker of folders: {said[:40]!r}"
            raise UnreachableError(message) from wrong

    @staticmethod
    def after(files: Sequence[FolderFile]) -> FolderCursor:
        """Return the cursor behind all of these files."""
        return FolderCursor({file.name: (file.size, file.digest(file.size)) for file in files if file.size})

    def __str__(self) -> str:
        return json.dumps({name: list(told) for name, told in self.told.items()}, separators=(",", ":"))

    def rows_told(self, file: FolderFile) -> int:
        """Return the number of rows of a file that were reported."""
        size, digest = self.told.get(file.name, (0, ""))
        is_same = 0 < size <= file.size and file.digest(size) == digest
        return file.rows_within(size) if is_same else 0
