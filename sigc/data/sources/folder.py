"""Folders of files as one source, joined by date; the manifest of all files but the last is kept as one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from sigc.blocks.block import digest
from sigc.data.manifest import Converted, Manifests, SourceBlock
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.data.spans import Spans
from sigc.data.spans import joined as joined_spans


def remembered(
    spec: SourceSpec,
    named: list[tuple[str, str]],
    part: Callable[[str, str], tuple[str, Converted]],
    manifests: Manifests,
) -> Converted:
    """Return the files of a folder as one source; all but the last are kept as one, so a new day touches the last only.

    named: (file, name of its manifest) each. part: converts one. The joint manifest is keyed by the names of its parts.
    """
    head = "folder-" + digest(*(name for _, name in named[:-1]))
    before = manifests.recall(head)
    if before is None:
        before = joined(spec, [part(*n) for n in named[:-1]])
        manifests.keep(head, before)
    last = part(*named[-1])
    if before.dates[-1] >= last[1].dates[0]:  # the last by name is not the last by date
        return joined(spec, [part(*n) for n in named])
    return joined(spec, [(named[0][0], before), last])


def joined(spec: SourceSpec, parts: list[tuple[str, Converted]]) -> Converted:
    """Join the files of a folder by their first date. Raise E201 if they overlap."""
    if len(parts) == 1:
        return parts[0][1]
    parts = sorted(parts, key=lambda p: int(p[1].dates[0].astype("i8")))
    blocks: list[SourceBlock] = []
    at = 0
    for (_, before), (file, after) in pairwise(parts):
        if after.dates[0] <= before.dates[-1]:
            day = str(after.dates[0].astype("datetime64[D]"))
            raise problem(spec, "E201", file, f"begins on {day}, which another file of the source has too")
        if after.events is not None or before.events is not None:
            raise problem(spec, "E201", file, "holds intervals, as one of several files", "say asof=true")
        if after.category != before.category or after.static or before.static:
            raise problem(spec, "E201", file, "is of another kind than the other files of the source")
    for _, part in parts:
        blocks += [SourceBlock(at + b.start, at + b.stop, b.key) for b in part.blocks]
        at += len(part.dates)
    converted = [p for _, p in parts]
    return Converted(
        dates=np.concatenate([p.dates for p in converted]),
        names=tuple(sorted({n for p in converted for n in p.names})),
        digests=b"".join(p.digests for p in converted),
        blocks=tuple(blocks),
        labels=tuple(sorted({t for p in converted for t in p.labels})),
        category=converted[0].category,
        static=False,
        findings=tuple(dict.fromkeys(f for p in converted for f in p.findings)),
        rows=converted[0].rows,
        spans=_spans(converted),
    )


def _spans(parts: list[Converted]) -> Spans | None:
    """Return the spans of consecutive parts; None if the assets of a part share its dates."""
    rows = np.cumsum([0, *(len(p.dates) for p in parts)]).tolist()
    known = [(row, p.spans) for row, p in zip(rows, parts, strict=False) if p.spans is not None]
    return joined_spans(known) if len(known) == len(parts) else None
