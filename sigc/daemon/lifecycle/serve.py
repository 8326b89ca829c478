"""The daemon's process: its files and sockets, the event loop, signals, the end.

PID file, tokens, log, sockets, registry     each refused with its reason before anything is done
HTTP answers `starting`                      before the heavy libraries are imported
boot                                         see `boot.py`; then ready: systemd and the starter are told
SIGTERM, SIGINT, `sigc stop`                 refuse, finish, flush, close, exit 0; a second one cuts runs off
SIGHUP                                       reload; SIGUSR1 reopens the log
`sigc restart`                               the same, then exec: same PID, same arguments
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sigc.clock import Clock, SystemClock
from sigc.daemon.background_tasks import BackgroundTasks
from sigc.daemon.controller import Controller
from sigc.daemon.health_endpoints import PageServer
from sigc.daemon.lifecycle.boot import boot
from sigc.daemon.lifecycle.phase import Ending, Phase
from sigc.daemon.lifecycle.reload import reload
from sigc.daemon.lifecycle.start import DASHBOARD, HEALTH, METRICS, RPC, AccessSettings, Start, open_doors
from sigc.daemon.page import PageOrder, PageProcess
from sigc.daemon.runner import DaemonParts
from sigc.daemon.status import page_of
from sigc.errors import Diagnostic, SigcError
from sigc.host.hung import hung
from sigc.host.instance import make_directory
from sigc.host.instances import RunningDaemon, register, this_process, unregister
from sigc.host.logs import close_log, open_log
from sigc.host.pidfile import PidFile, take_pid_file
from sigc.host.ports import listen
from sigc.host.process import StartReport
from sigc.host.systemd import Notifier, is_manager
from sigc.host.usage import Usage
from sigc.metrics import RPC_REFUSED, RPC_SECONDS, DaemonMetrics
from sigc.modules import modules_of
from sigc.private import make_private
from sigc.rpc.address import address_text
from sigc.rpc.dispatch import CallRecord, Hooks
from sigc.rpc.server import RpcServer, refuse_exposed
from sigc.rpc.verb import Role, Verb, verbs_of
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import meta
from sigc.words import counted

RESTARTED = "SIGC_RESTARTED"  # our own PID after an exec: the process is the same as before
# Allowed while the daemon starts: recovery may take long, and what it sends must be seen, held and stopped. Those that
# need the ledger are refused until it is open.
_LOOKS = frozenset({"status", "whoami", "openapi", "stop"})
_CONTROLS = frozenset(
    {"pause", "resume", "safety/halt", "safety/status", "safety/cancel", "safety/flatten", "runs/cancel"}
)
_RUNS = frozenset({"runs/list", "runs/show", "runs/events", "runs/logs"})
_FROM_THE_START = _LOOKS | _CONTROLS | _RUNS
_ENDS = (signal.SIGTERM, signal.SIGINT)
_LAST_WORDS_S = 2.0  # time for runs to notice their cancellation, replies to be sent, workers to end
log = logging.getLogger("sigc.daemon")
VERBS = verbs_of(*modules_of("sigc.daemon.verbs"))


@dataclass(frozen=True, slots=True)
class ProcessResources:
    """The resources the process holds while it lives and releases at its end."""

    pid_file: PidFile | None
    doors: AccessSettings
    sockets: Mapping[str, socket.socket]
    entry: RunningDaemon
    scratch: Path

    def let_go(self, start: Start) -> None:
        """Release everything except the sockets, which their servers close."""
        unregister(start.places.runtime_dir, self.entry)
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self.pid_file is not None:
            self.pid_file.release()
        close_log()


def serve(start: Start, parts: DaemonParts, report: StartReport, clock: Clock | None = None) -> int:
    """Run the daemon until its end. Return the exit code. Raise SigcError for what keeps it from starting."""
    for number in _ENDS:
        signal.signal(number, _end_early)  # until the loop has its own handlers: exits through `undo`
    with contextlib.ExitStack() as undo:
        held = _hold(start, undo)
        # Blocked between giving up `undo` and entering the `try` that releases the same resources.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        undo.pop_all()
    ending: Ending | None = None
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        ending = asyncio.run(_live(start, parts, held, report, clock or SystemClock()))
    finally:
        held.let_go(start)
    if ending.is_restart:
        start_again()
    return 0


def _end_early(number: int, frame: object) -> None:  # noqa: ARG001
    raise SystemExit(0)


def start_again() -> None:
    """Replace the process by a new one with the same PID and arguments."""
    os.environ[RESTARTED] = str(os.getpid())
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 -- our own command line


def _hold(start: Start, undo: contextlib.ExitStack) -> ProcessResources:
    places = start.places
    make_directory(places.work_dir, "daemon.work_dir")
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)  # else a signal between the two lines would leave the file behind
    try:
        pid_file = _pid_file(start)
        undo.callback(lambda: pid_file.release() if pid_file is not None else None)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    doors = open_doors(start, os.environ)
    sockets: dict[str, socket.socket] = {}
    for port in start.ports:
        if port.setting in (RPC, DASHBOARD):
            has_tls = doors.tls is not None if port.setting == RPC else start.config.daemon.dashboard.tls is not None
            refuse_exposed(port.host, port.number, has_tls, port.setting)
        sockets[port.setting] = listen(port)
        undo.callback(sockets[port.setting].close)
    # After the sockets: a second daemon with the same ports must not write to the first one's log.
    open_log(start.log, doors.secrets)
    undo.callback(close_log)
    ports = {setting: listening.getsockname()[1] for setting, listening in sockets.items()}
    host = next(port.host for port in start.ports if port.setting == RPC)
    address = address_text(host, ports[RPC])
    file = start.configured.loaded.path
    entry = this_process(start.name, address, places.work_dir, ports, doors.tls is not None, file)
    try:
        register(places.runtime_dir, entry)
    except OSError as failure:
        message = f"the runtime directory {places.runtime_dir} can't be written: {failure.strerror}"
        raise SigcError(Diagnostic("E402", message)) from failure
    undo.callback(unregister, places.runtime_dir, entry)
    scratch = places.work_dir / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # what a crash left
    make_private(scratch)
    # Temporary files of all libraries go to the private scratch folder, which the next start empties.
    tempfile.tempdir = str(scratch)
    os.environ["TMPDIR"] = str(scratch)
    return ProcessResources(pid_file, doors, sockets, entry, scratch)


def _pid_file(start: Start) -> PidFile | None:
    try:
        return take_pid_file(start.places.pid_file)
    except SigcError as error:
        # systemd knows the PID, so the file is not needed; with ProtectSystem=strict its usual place is read-only.
        if error.diagnostics[0].code != "E402" or not is_manager(os.environ):
            raise
        log.warning("no PID file: %s", error)
        return None


async def _live(start: Start, parts: DaemonParts, held: ProcessResources, report: StartReport, clock: Clock) -> Ending:
    sys.setswitchinterval(0.001)  # runs compute in threads; with the default the loop would wait 5 ms for each of them
    metrics, notifier = DaemonMetrics(), Notifier.of(os.environ)
    daemon = Controller(start, held.doors, parts, clock, metrics, Usage(), held.scratch, notifier)
    daemon.ports = dict(held.entry.ports)
    server = RpcServer(daemon, VERBS, held.doors.access, _hooks(daemon))
    chores = BackgroundTasks(daemon)
    pages = _pages(start, chores)
    server.start([held.sockets[RPC]], held.doors.tls)
    for setting, served in pages.items():
        served.start(held.sockets[setting])
    _on_signals(daemon)
    status_page = _status_page(start, parts, held)
    chores.begin()
    log.info("starting", extra={"daemon": start.name, "pid": os.getpid(), "address": held.entry.address})
    schedule: asyncio.Task[None] | None = None
    try:
        schedule = await _until_stopped(daemon, chores, lambda: _ready(daemon, held, report, status_page))
    except SigcError as error:
        log.error("the start failed: %s", error)
        daemon.stop(Ending(0.0, is_forced=True))
        await _shut_down(daemon, server, pages, chores, schedule)
        await _end_page(status_page)
        raise
    ending = daemon.ending or Ending(0.0)
    notifier.stopping(f"{counted(len(daemon.under_way()), 'run')} to finish")
    notifier.extend_timeout(ending.timeout_s + 10 * _LAST_WORDS_S)
    is_clean = await _shut_down(daemon, server, pages, chores, schedule)
    await _end_page(status_page)
    ending = daemon.ending or ending
    log.info("ended", extra={"clean": is_clean, "restart": ending.is_restart})
    if not is_clean or hung():
        # Python would wait for ever for a thread that does not end. Its run gets a verdict at the next start.
        held.let_go(start)
        if ending.is_restart:
            start_again()
        # Not `sys.exit`, which would wait for the thread; `finally` blocks are skipped, hence `let_go` above.
        os._exit(0)
    return ending


async def _until_stopped(
    daemon: Controller, chores: BackgroundTasks, ready: Callable[[], None]
) -> asyncio.Task[None] | None:
    """Boot, be ready, wait until the end is asked for. Return the schedule's task if there is one."""
    task = asyncio.ensure_future(boot(daemon, chores.first_checks))
    asked = asyncio.ensure_future(daemon.stop_asked.wait())
    try:
        await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            return None
        schedule = task.result()
        ready()
        await asyncio.wait([schedule, asked], return_when=asyncio.FIRST_COMPLETED)
        if schedule.done() and not asked.done():
            # The schedule never ends by itself: this raises the error that ended it.
            schedule.result()
        return schedule
    finally:
        asked.cancel()


def _ready(daemon: Controller, held: ProcessResources, report: StartReport, page: PageProcess | None) -> None:
    start = daemon.start
    if page is not None:
        page.begin()
    log_place = f"; its log is {start.log.path}" if start.log.path else ""
    page_place = f"; its page is {found}" if (found := page_of(daemon)) else ""
    text = f"daemon '{start.name}' is ready: PID {os.getpid()} at {held.entry.address}{page_place}{log_place}"
    log.info("ready", extra={"strategies": len(daemon.configured.strategies), "jobs": len(daemon.configured.jobs)})
    report.ready(text)
    daemon.notifier.ready(f"{len(daemon.configured.strategies)} strategies")


async def _shut_down(
    daemon: Controller,
    server: RpcServer[Controller],
    pages: Mapping[str, PageServer],
    chores: BackgroundTasks,
    schedule: asyncio.Task[None] | None,
) -> bool:
    """Refuse new work, finish runs, flush, close. Return True if everything ended by itself."""
    daemon.phase, daemon.why = Phase.STOPPING, "stopping"
    if schedule is not None:
        schedule.cancel()
        await asyncio.wait([schedule])
    # The server still answers here: clients follow their runs to the end, and may cut them off.
    is_clean = await _finish_runs(daemon)
    # The await comes first: `and` must not skip it.
    is_clean = await chores.end() and is_clean
    await server.stop(_LAST_WORDS_S)
    for page in pages.values():
        await page.stop()
    with contextlib.suppress(SigcError):  # a ledger that was never opened, or can't be written
        await daemon.books.write(meta.ended)
    for name, closing in daemon.closings():
        task = asyncio.ensure_future(closing)
        done, _ = await asyncio.wait([task], timeout=5 * _LAST_WORDS_S)
        if not done or task.exception() is not None:
            log.error("can't close %s", name, extra={"why": str(task.exception()) if done else "it takes too long"})
            is_clean = is_clean and bool(done)
    return is_clean


async def _finish_runs(daemon: Controller) -> bool:
    if not daemon.under_way():
        return True
    log.info("runs may finish", extra={"runs": [live.order.id for live in daemon.under_way()]})
    finishing, cut = asyncio.ensure_future(daemon.runs.finish(1e9)), asyncio.ensure_future(daemon.cut_off.wait())
    await asyncio.wait([finishing, cut], return_when=asyncio.FIRST_COMPLETED)
    for left in daemon.under_way():
        if left.waiting is not None:  # nothing of it was sent, and the next start goes on
            log.info(
                "orders wait for the open over this end", extra={"of": left.order.id, "orders": left.waiting.planned}
            )
            continue
        log.warning("a run is cut off", extra={"of": left.order.id, "stage": left.stage})
        left.cancelled.set()
    await asyncio.wait([finishing], timeout=_LAST_WORDS_S)
    for task in (finishing, cut):
        task.cancel()
    return not daemon.under_way()


def _status_page(start: Start, parts: DaemonParts, held: ProcessResources) -> PageProcess | None:
    """Return the status page's process, not begun yet; None without a page."""
    listening, settings = held.sockets.get(DASHBOARD), start.config.daemon.dashboard
    if listening is None:
        return None
    if parts.page_command is None:
        listening.close()
        return None
    tls = start.config.daemon.rpc.tls
    ca = Path(tls.ca).expanduser() if tls is not None and tls.ca else None
    order = PageOrder(start.name, held.entry.address, ca, listening.fileno(), os.getpid(), settings)
    return PageProcess(parts.page_command(order), listening, settings.max_memory_mb)


async def _end_page(page: PageProcess | None) -> None:
    if page is not None:
        await page.end()


def _hooks(daemon: Controller) -> Hooks:
    async def audit(entry: CallRecord) -> None:
        payload = {"verb": entry.verb, "peer": entry.peer, "key": entry.key, "request": entry.request}
        payload |= {"status": entry.status, "message": entry.message}
        await daemon.books.audit(AuditEvent(f"rpc.{entry.phase}", payload, who=f"{entry.token} ({entry.who})"))

    def gate(asked: Verb[object]) -> str:
        if daemon.phase is Phase.STARTING and asked.name not in _FROM_THE_START:
            return f"the daemon is starting: {daemon.why}"
        if daemon.phase is Phase.STOPPING and asked.role is not Role.READ and asked.name not in ("stop", "runs/cancel"):
            return "the daemon is stopping"
        return ""

    def answered(name: str, seconds: float) -> None:
        daemon.metrics.observe(RPC_SECONDS, seconds, verb=name)
        log.debug("a call is answered", extra={"verb": name, "seconds": round(seconds, 6)})

    return Hooks(
        audit,
        gate,
        answered,
        lambda status: daemon.metrics.add(RPC_REFUSED, status=str(status)),
        daemon.doors.secrets.hide,
    )


def _pages(start: Start, chores: BackgroundTasks) -> dict[str, PageServer]:
    hosts, metrics = start.config.daemon.rpc.hosts, start.config.daemon.metrics
    found = {HEALTH: chores.health_pages(), METRICS: chores.metrics_pages(metrics.path)}
    return {port.setting: PageServer(found[port.setting], hosts) for port in start.ports if port.setting in found}


def _on_signals(daemon: Controller) -> None:
    loop = asyncio.get_running_loop()
    background: set[asyncio.Task[None]] = set()

    def stop(number: signal.Signals) -> None:
        timeout_s = daemon.configured.loaded.config.daemon.shutdown.timeout_seconds
        log.info("asked to stop", extra={"signal": number.name})
        daemon.stop(Ending(timeout_s, is_forced=daemon.ending is not None))

    async def reload_now() -> None:
        try:
            await reload(daemon, "signal SIGHUP")
        except SigcError as error:
            log.error("not reloaded: %s", error)
        except Exception:
            log.exception("not reloaded")

    def hang_up() -> None:
        task = loop.create_task(reload_now())
        background.add(task)
        task.add_done_callback(background.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    loop.add_signal_handler(signal.SIGUSR1, lambda: open_log(daemon.start.log, daemon.doors.secrets))
