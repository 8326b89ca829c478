"""View of cluster and cache: workers, throughput, and blocks that need no computation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sigc.rpc.messages.history import CacheReply, Stored
from sigc.rpc.messages.requests import Details, RunStatus, WorkerStatus
from sigc_dashboard.daemon_feed import DETAILS, Ask
from sigc_dashboard.html import Html, join, tag
from sigc_dashboard.parts.tiles import TableRow, badge, meter, nothing, table, tile, tiles
from sigc_dashboard.parts.trail import TRACE, blocks_plot, memory_plot, processor_plot, rates
from sigc_dashboard.view_api import Look, Part, Plot, Where
from sigc_dashboard.words import CLUSTERS, NOTHING, count, moment, share, size

CACHE = Ask("cache/status", CacheReply, every_s=5.0)


class ClusterView:
    """Workers, throughput, queue, Dask's own page; the cache."""

    name, title, is_listed, has_frames = "cluster", "Cluster and cache", True, True
    place = 5

    def asks(self, where: Where) -> Sequence[Ask[Any]]:
        """Ask for the status in full and the last hour."""
        del where
        return (DETAILS, TRACE, CACHE)

    def parts(self, look: Look) -> Sequence[Part]:
        """Return the figures, then their details."""
        found = look.get(DETAILS)
        details = found.detailed if found is not None else None
        return (
            Part("figures", "", _figures(look, details)),
            Part("workers", "Workers", _workers(details), 8),
            Part("queue", "Under way", _queue(look, details), 4),
            Part("cache", "Cache of blocks", _cache(look)),
            Part("dask", "Dask's own dashboard", _dask(details)),
        )

    def plots(self, where: Where) -> Sequence[Plot]:
        """Return the plots of the last hour."""
        del where
        return (blocks_plot("figures", 4), memory_plot("figures", 4), processor_plot("figures", 4))


def _figures(look: Look, details: Details | None) -> Html:
    if details is None:
        return nothing(look.refusal(DETAILS) or "Waiting for the daemon.")
    workers, trace = details.workers, look.get(TRACE)
    used, limit = sum(w.memory_bytes for w in workers), sum(w.memory_limit_bytes for w in workers)
    rate = rates(trace.at, trace.computed)[-20:] if trace is not None else []
    check = details.checks.get("cluster", "ok")
    cache = look.get(CACHE)
    hits, misses = (cache.hits, cache.misses) if cache is not None else (0, 0)
    rate_text = f"{sum(rate) / len(rate):.0f} / min" if rate else NOTHING
    return tiles(
        [
            tile("Cluster", details.cluster, more=check if check != "ok" else CLUSTERS.get(details.cluster, ""),
                 tone="" if check == "ok" else "bad"),
            tile("Workers", sum(not w.refused for w in workers), more=count(sum(w.threads for w in workers), "thread")),
            tile("Memory of workers", size(used) if workers else NOTHING,
                 more=f"of {size(limit)}" if limit else "none open", bar=share(used, limit) if limit else None),
            tile("Throughput", rate_text, more="blocks, last minute"),
            tile("Queue", sum(w.tasks for w in workers), more=count(len(details.queue), "run") + " under way"),
            tile("Cache hits", f"{share(hits, hits + misses):.0f} %" if hits + misses else NOTHING,
                 more=f"of {count(hits + misses, 'look-up')}"),
        ]
    )  # fmt: skip


def _workers(details: Details | None) -> Html:
    if details is None:
        return nothing("Waiting for the daemon.")
    if not details.workers:
        return nothing("No worker is open. A local cluster opens for the first large piece of work, and rests after.")
    heads = ("Worker", "Memory", "Limit", "Threads", "Processor", "Tasks")
    return table("Workers", heads, [_worker(w) for w in details.workers], range(2, 6))


def _worker(worker: WorkerStatus) -> TableRow:
    if worker.refused:
        return TableRow(worker.address, (f"{worker.address} does not compute: it {worker.refused}", *[NOTHING] * 5))
    full = share(worker.memory_bytes, worker.memory_limit_bytes)
    memory = join([size(worker.memory_bytes), meter("memory", full)], " ")
    cells = (worker.address, memory, size(worker.memory_limit_bytes), worker.threads, f"{worker.cpu_pct:.0f} %")
    return TableRow(worker.address, (*cells, worker.tasks))


def _queue(look: Look, details: Details | None) -> Html:
    if details is None:
        return nothing("Waiting for the daemon.")
    if not details.queue:
        return nothing("No run is under way.")
    zone = look.status.zone if look.status is not None else ""
    return tag("ol", *(_run(run, zone) for run in details.queue), class_="list")


def _run(run: RunStatus, zone: str) -> Html:
    done = (
        join([f"{run.done}/{run.total} blocks", meter("blocks", share(run.done, run.total))], " ") if run.total else ""
    )
    said = tag("span", run.stage or run.state, " ", done)
    return tag("li", tag("b", run.strategy or run.job), said, moment(run.asked, zone, "about"), data_key=run.id)


def _cache(look: Look) -> Html:
    cache = look.get(CACHE)
    if cache is None:
        return nothing(look.refusal(CACHE) or "Waiting for the daemon.")
    if not cache.is_enabled:
        return nothing("The cache is switched off (daemon.cache.enabled).")
    asked, full = cache.hits + cache.misses, share(cache.bytes, cache.limit_bytes)
    facts = [
        ("Size", join([f"{size(cache.bytes)} of {size(cache.limit_bytes)}", meter("cache", full)], " ")),
        ("Answered", f"{cache.hits:,} of {asked:,} look-ups ({share(cache.hits, asked):.1f} %)"),
        ("Directory", cache.directory),
    ]
    rows = [_stored(one, cache.bytes) for one in cache.by_source]
    top = tag("table", *(tag("tr", tag("th", k, scope="row"), tag("td", v)) for k, v in facts), class_="facts")
    heads = ("Source or signal", "Kind", "Blocks", "Size", "Share")
    return join([top, table("The cache by source", heads, rows, (2, 3, 4))]) if rows else top


def _stored(one: Stored, whole: int) -> TableRow:
    cells = (one.name, one.kind, f"{one.blocks:,}", size(one.bytes), f"{share(one.bytes, whole):.0f} %")
    return TableRow(f"{one.kind} {one.name}", cells)


def _dask(details: Details | None) -> Html:
    link = details.cluster_dashboard if details is not None else ""
    if not link.startswith(("http://", "https://")):
        return nothing("It is there while a cluster is open.")
    words = tag("p", tag("a", link, href=link, target="_blank", rel="noreferrer noopener"), " ", badge("open", "good"))
    frame = tag("iframe", src=link, title="Dask's dashboard", loading="lazy", data_near=True, data_own=True)
    return join([words, tag("details", tag("summary", "Show it here"), frame, class_="frame", data_key=link)])
