"""The files of a folder as one source: one after the other by date, and the past of many years remembered as one."""

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
    """The files of a folder, all but the last of which are remembered as one: a new day touches the last.

    named: file and the name of its manifest. part: converts one. What was joined goes by the manifests it was made of.
    """
    head = "folder-" + digest(*(name for _, name in named[:-1]))
    before = manifests.recall(head)
    if before is None:
        before = joined(spec, [part(*n) for n in named[:-1]])
        manifests.keep(head, before)
    last = part(*named[-1])
    if before.dates[-1] >= last[1].dates[0]:  # the last by name isn't the last by date
        return joined(spec, [part(*n) for n in named])
    return joined(spec, [(named[0][0], before), last])


def joined(spec: SourceSpec, parts: list[tuple[str, Converted]]) -> Converted:
    """The files of a folder one after the other, by their first date. Raises E201 where they do not follow."""
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
    """The spans of consecutive parts; None where assets of one share its dates."""
    rows = np.cumsum([0, *(len(p.dates) for p in parts)]).tolist()
    known = [(row, p.spans) for row, p in zip(rows, parts, strict=False) if p.spans is not None]
    return joined_spans(known) if len(known) == len(parts) else None
