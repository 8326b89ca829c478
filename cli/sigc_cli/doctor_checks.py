"""Checks of `sigc doctor` on a production: daemon, token, clock, ports, calendar, broker, disk, strategies, alerts.

Each check returns a text; it raises SigcError (or any other error) for what keeps sigc from running, and `DoubtError`
for what an operator should know.
"""

from __future__ import annotations

import ctypes
import shutil
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.errors import SigcError, placed
from sigc.words import counted, local_time
from sigc_cli.assembly.workdir import work_dir as place_of
from sigc_cli.daemon_or_ledger import Target
from sigc_pipelines.assembly.parts import Choices, configuration

if TYPE_CHECKING:
    from sigc.config.check import LoadedConfig
    from sigc.rpc.messages.status import StatusReply

_LITTLE_DISK = 1 << 30
_UNSYNCHRONISED, _STATUS_AT = 0x40, 40  # STA_UNSYNC, and where struct timex has its status


class FaultError(Exception):
    """A check that failed; its text is a sentence for the row."""


class DoubtError(Exception):
    """Not wrong, but to be known."""


class Live:
    """The checks, of one configuration and the daemon that it means."""

    def __init__(self, target: Target, *, with_alerts: bool) -> None:
        self._target, self._with_alerts = target, with_alerts
        self._status: StatusReply | None = None

    def checks(self) -> list[tuple[str, Callable[[], str]]]:
        """Return all checks by name; the daemon first, as others ask it."""
        return [
            ("daemon", self._daemon),
            ("token", self._token),
            ("clock", clock),
            ("ports", self._ports),
            ("calendar", self._calendar),
            ("broker", self._broker),
            ("disk", self._disk),
            ("strategies", self._strategies),
            ("alerts", self._alerts),
        ]

    def _loaded(self) -> LoadedConfig:
        return configuration(Choices(config=self._target[0]))

    def _place(self) -> Path:
        return place_of(self._loaded(), None, self._target[2])

    def _daemon(self) -> str:
        from sigc.rpc.client import NoDaemonError
        from sigc.rpc.messages.status import StatusReply
        from sigc_cli.daemon_call import daemon

        config, address, name = self._target
        try:
            with daemon(config, address, name, timeout_s=10.0) as client:
                found = self._status = client.get("status", {"is_detailed": True}, reply=StatusReply)
        except NoDaemonError as gone:
            if not gone.is_refused:
                raise
            return "none runs: start one by `sigc daemon`"
        checks = found.detailed.checks if found.detailed is not None else {}
        ill = [f"{name}: {said}" for name, said in checks.items() if said != "ok"]
        if ill:
            raise DoubtError(f"{found.name}, PID {found.pid}, {found.status}; {'; '.join(ill)}")
        return f"{found.name}, PID {found.pid}, {found.status}"

    def _token(self) -> str:
        from sigc.rpc.access import TOKEN_FILE

        if self._loaded().config.daemon.rpc.token is not None:
            return "configured (daemon.rpc.token, or $SIGC_RPC_TOKEN)"
        path = self._place() / TOKEN_FILE
        if not path.exists():
            return f"none yet: the daemon makes {path}"
        found = path.stat()
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            raise FaultError(f"{path} has the mode {mode:04o}: others can read it; `chmod 600 {path}`")
        return f"{path}, mode {mode:04o}"

    def _ports(self) -> str:
        if self._status is not None and self._status.detailed is not None:
            return ", ".join(f"{name} {number}" for name, number in self._status.detailed.ports.items())
        from sigc.rpc.client import DEFAULT_ADDRESS

        settings = self._loaded().config.daemon
        _, _, number = (settings.rpc.address or DEFAULT_ADDRESS).rpartition(":")
        wanted = {"daemon.rpc.address": int(number) if number.isdigit() else 0}
        for name in ("health", "metrics", "dashboard"):
            own = getattr(settings, name)
            wanted |= {f"daemon.{name}.port": own.port} if own.enabled and own.port else {}
        taken = [f"{name} {port}" for name, port in wanted.items() if port and not _is_free(port)]
        if taken:
            raise DoubtError(f"taken by another program: {', '.join(taken)}; `ss -ltnp` shows the holder")
        return "free: " + ", ".join(f"{name} {port}" for name, port in wanted.items())

    def _calendar(self) -> str:
        from sigc.calendar.calendar import age_alarm
        from sigc.daemon.configured.calendars import open_calendars
        from sigc.daemon.configured.configured import configured

        now, loaded = datetime.now(UTC), self._loaded()
        calendars = open_calendars(configured(loaded), self._place(), now)
        alarms = [found.message for one in calendars.values() if (found := age_alarm(one, now)) is not None]
        if alarms:
            raise DoubtError("; ".join(alarms))
        return ", ".join(f"{name} until {one.until}" for name, one in sorted(calendars.items()))

    def _broker(self) -> str:
        loaded = self._loaded()
        kind = loaded.config.broker.label
        if self._status is not None and self._status.detailed is not None:
            said = self._status.detailed.connections.get("broker_connection", "")
            if said not in ("", "ok"):
                raise FaultError(f"{kind}: {said}")
            return f"{kind}, {said or 'not asked yet'}"
        if kind == "paper":
            return "paper"
        from sigc.clock import SystemClock
        from sigc_pipelines.brokers.registry import close_broker, open_broker

        config, ways = loaded.config, loaded.config.daemon.connections
        broker = open_broker(config.broker, self._place(), SystemClock(), connections=ways, execution=config.execution)
        try:
            return f"{kind}, cash {broker.account().cash}"
        finally:
            close_broker(broker)

    def _disk(self) -> str:
        place = next(path for path in (self._place(), *self._place().parents) if path.exists())
        free = shutil.disk_usage(place).free
        text = f"{free / (1 << 30):.1f} GB free at {place}"
        if free < _LITTLE_DISK:
            raise DoubtError(text)
        return text

    def _strategies(self) -> str:
        from sigc.daemon.configured.configured import configured
        from sigc_pipelines.assembly.parts import compile_file

        found, wrong = configured(self._loaded()).strategies, []
        for entry in found:
            try:
                compile_file(entry.file, entry.params)
            except SigcError as error:
                wrong.append(f"{entry.name}: {placed(error.diagnostics[0])}")
        if wrong:
            raise FaultError("; ".join(wrong))
        return f"{len(found)} compile" if found else "none are configured"

    def _alerts(self) -> str:
        channels = self._loaded().config.alerts.channels
        if not channels:
            raise DoubtError("no channel is configured (alerts.channels): alerts are sent to nobody")
        if not self._with_alerts:
            return f"{counted(len(channels), 'channel')}; --alerts sends a test message over each"
        if self._status is None:
            raise DoubtError("the test message is sent by the daemon, and none runs")
        from sigc.rpc.messages.alerts import AlertTestReply, AlertTestRequest
        from sigc_cli.daemon_call import daemon

        with daemon(*self._target, timeout_s=310.0) as client:
            said = client.post("alerts/test", AlertTestRequest(None), reply=AlertTestReply).found
        bad = [f"{name}: {text}" for name, text in said.items() if text != "ok"]
        if bad:
            raise FaultError("; ".join(bad))
        return f"{counted(len(said), 'channel')} took the test message"


def clock() -> str:
    """Check with the kernel that the machine's clock is synchronized. Raises DoubtError if not."""
    buffer = ctypes.create_string_buffer(256)
    status = _UNSYNCHRONISED
    with suppress(AttributeError, OSError):
        if ctypes.CDLL(None).adjtimex(buffer) >= 0:
            status = int.from_bytes(buffer.raw[_STATUS_AT : _STATUS_AT + 4], "little")
    now = local_time(datetime.now(UTC), "UTC")
    if status & _UNSYNCHRONISED:
        raise DoubtError(f"{now}; the system does not keep it in step: run chrony or systemd-timesyncd")
    return f"{now}, kept in step by the system"


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
