"""The daemon of `sigc demo`: a strategy traded through it on paper, its state, its audit, its end.

    demo = DemoDaemon(folder)
    demo.refuse_running()            # before anything in the folder is written over
    demo.write(strategy)             # fresh state, a configuration with ports that are free
    with demo.running(keep=False):
        demo.show(("2023-10-30", "2023-10-31"))

Every step is the command a person would give, as a process of its own, so what is shown is what they see. Nothing is
shared with other daemons of the machine: own name, own places, own ports, and no SIGC_ variable of the caller's.
However it ends, by an error or a signal too, no daemon is left, unless it was wished.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError
from sigc.host.pidfile import read_pid_file
from sigc_cli.starter_files import DEMO_CONFIG

_MARK = DEMO_CONFIG.partition("\n")[0]
_LAST_WAIT_S = 60.0  # for a command that was under way when we were interrupted


class _Signals:
    """Ends the demo on a signal: at once, or where it is held as soon as it is not any more."""

    def __init__(self) -> None:
        self._is_held = False
        self._asked: int | None = None

    def __call__(self, number: int, _: object) -> None:
        self._asked = number
        if not self._is_held:
            self._leave()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold back signals during a block."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        self._leave()

    def _leave(self) -> None:
        asked, self._asked = self._asked, None
        if asked == signal.SIGINT:
            raise KeyboardInterrupt
        if asked is not None:
            raise SystemExit(128 + asked)


@dataclass(frozen=True, slots=True)
class DemoDaemon:
    """The daemon of one demo's folder."""

    folder: Path
    signals: _Signals = field(default_factory=_Signals)

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "sigc.yaml"

    @property
    def work_dir(self) -> Path:
        """Return the folder of its ledger."""
        return self.folder.resolve() / "state"

    @property
    def pid_file(self) -> Path:
        """Return the path of its PID file."""
        return self.folder.resolve() / "sigc.pid"

    def refuse_running(self) -> None:
        """Raise E311 while the demo runs, E200 when its folder holds something else."""
        pid = read_pid_file(self.pid_file)
        if pid is not None:
            hint = f"stop it by `sigc stop --config {self.config}`"
            raise SigcError(Diagnostic("E311", f"the daemon of an earlier demo runs, as PID {pid}", hint=hint))
        ours = self.config.is_file() and self.config.read_text(encoding="utf-8").startswith(_MARK)
        if not ours and (self.config.exists() or self.work_dir.exists()):
            message = f"{self.folder} holds a project that no demo has made"
            raise SigcError(Diagnostic("E200", message, hint="choose another --directory"))

    def write(self, strategy: Path) -> None:
        """Fresh state and a configuration: a session is traded once, and a demo may be shown often."""
        shutil.rmtree(self.work_dir, ignore_errors=True)
        rpc, health, metrics, page = _free_ports(4)
        text = DEMO_CONFIG.format(
            folder=self.folder.resolve(), strategy=strategy.name, rpc=rpc, health=health, metrics=metrics, page=page
        )
        self.config.write_text(text, encoding="utf-8")

    @contextlib.contextmanager
    def running(self, *, keep: bool) -> Iterator[None]:
        """Start the daemon and yield it when ready. It is stopped at the end; with keep=True only after an error."""
        before = {number: signal.signal(number, self.signals) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            name = "demo-" + _address(self.config)["RPC"].rpartition(":")[2]
            self._shown("daemon", "--name", name, "--daemonize")
            yield
            if not keep:
                self._shown("stop")
        except BaseException:
            self._end()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def show(self, dates: Sequence[str]) -> None:
        """Trade the strategy as of each date, and show the results."""
        for date in dates:
            told = self._shown("run", "momentum", "--date", date, captures=True)
            click.echo(told.partition("\n\n")[0])
        self._shown("status")
        click.echo("\n" + _positions(self.work_dir))
        self._shown("audit", "verify")

    def addresses(self) -> str:
        """Return the addresses of the daemon, a line each."""
        return "\n".join(f"{name + ':':<9}{place}" for name, place in _address(self.config).items())

    def _shown(self, *arguments: str, captures: bool = False) -> str:
        """Give a command, which is shown; its output if it is captured. Raises Exit with its exit code."""
        words = [*arguments, "--config", str(self.config)]
        click.echo(f"\n$ sigc {' '.join(words)}")
        process: subprocess.Popen[str] | None = None
        try:
            with self.signals.held():  # one that cut off the making of a process would leave it behind unknown
                process = subprocess.Popen(  # noqa: S603 -- ourselves
                    [sys.executable, "-m", "sigc_cli.main", *words],
                    env=_environment(),
                    stdout=subprocess.PIPE if captures else None,
                    text=True,
                )
            out, _ = process.communicate()
        except BaseException:
            if process is not None:  # so that a daemon that is being started can be found
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=_LAST_WAIT_S)
            raise
        if process.returncode != 0:
            click.echo(f"the demo ends here: exit code {process.returncode}", err=True)
            raise click.exceptions.Exit(process.returncode if process.returncode > 0 else 1)
        return out or ""

    def _end(self) -> None:
        """Leave no daemon, asked nicely or not."""
        command = [sys.executable, "-m", "sigc_cli.main", "stop", "--force", "--config", str(self.config)]
        if read_pid_file(self.pid_file) is not None:
            subprocess.run(command, env=_environment(), check=False, stdout=subprocess.DEVNULL)  # noqa: S603
        pid = read_pid_file(self.pid_file)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Return the caller's environment without variables that change the demo's settings or are meant for the caller
    alone.
    """
    others = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY")
    return {k: v for k, v in os.environ.items() if not k.startswith("SIGC_") and k not in others}


def _free_ports(count: int) -> list[int]:
    """Return free ports of the kernel's own range, far above the default ports of daemons."""
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
    return found


def _address(config: Path) -> dict[str, str]:
    """Return the address of a configuration's daemon, by what is there."""
    from sigc.config.read import read

    found = read(config, {}).data["daemon"]
    pages = {name: f"http://127.0.0.1:{found[name]['port']}/{name}" for name in ("health", "metrics")}
    page = f"http://127.0.0.1:{found['dashboard']['port']}/"
    return {"RPC": found["rpc"]["address"], "Page": page, **{name.title(): at for name, at in pages.items()}}


def _positions(work_dir: Path) -> str:
    """Return every book in a line or two; `sigc positions` has them whole."""
    from contextlib import closing

    from sigc.store.ledger.connection import FILE, connect_reader
    from sigc_cli.text.ledger_view import books_of

    with closing(connect_reader(work_dir / FILE)) as connection:
        found = books_of(connection)
    lines = []
    for one in found:
        long = sum(1 for p in one.positions if p.quantity > 0)
        worth = f", NAV {one.nav.nav:,.2f} at the close of {one.nav.session}" if one.nav else ""
        held = f"{long} long, {len(one.positions) - long} short"
        lines.append(f"  {one.book.key.strategy} ({one.book.key.portfolio}): {held}, cash {one.book.cash:,.2f}{worth}")
    return "\n".join(["Positions:", *lines])
