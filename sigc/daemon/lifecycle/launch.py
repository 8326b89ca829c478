"""The launch of `sigc daemon`: checked in the foreground, then put to the background and supervised if wished.

launch -> start_of               reports every error of the configuration on the terminal, with its exit code
       -> daemonize              returns to the starter when the daemon is ready
          -> supervise           is a small parent that restarts the daemon after a crash
             -> serve            is the daemon
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, MutableMapping

from sigc.daemon.alerting.refused import started, told_if_refused
from sigc.daemon.lifecycle.serve import RESTARTED, serve
from sigc.daemon.lifecycle.start import Start, StartOptions, start_of
from sigc.daemon.runner import DaemonParts
from sigc.host.instance import make_directory
from sigc.host.process import Launched, StartReport, daemonize, run
from sigc.host.redact import Secrets
from sigc.host.supervisor import Recovery, is_needed, supervise


def launch(
    options: StartOptions, parts: DaemonParts, environment: MutableMapping[str, str], say: Callable[[str, bool], None]
) -> int:
    """Launch the daemon and return the exit code. say: called with the text for the starter; True marks an error.

    Raise SigcError for errors found at once.
    """
    with told_if_refused(options, environment):
        start = start_of(options, environment)
    secrets = Secrets()
    secrets.add_all(start.configured.loaded.secrets)
    # After `sigc restart` the process is in the background and has its supervisor already. The PID tells a restart from
    # a variable inherited from another daemon.
    if environment.pop(RESTARTED, "") == str(os.getpid()):
        return run(lambda report: _serve(start, parts, report, environment), StartReport(hide=secrets.hide))
    if not options.is_background:
        return run(lambda report: _supervised(start, parts, report, environment), StartReport(hide=secrets.hide))
    make_directory(start.places.work_dir, "daemon.work_dir")
    launched: Launched = daemonize(
        lambda report: _supervised(start, parts, report, environment), start.log.path, hide=secrets.hide
    )
    if launched.text:
        say(launched.text, launched.code != 0)
    return launched.code


def _supervised(start: Start, parts: DaemonParts, report: StartReport, environment: Mapping[str, str]) -> int:
    wanted = start.config.daemon.recovery
    if not wanted.enabled or not is_needed(os.environ):
        return _serve(start, parts, report, environment)
    recovery = Recovery(wanted.max_restarts, wanted.restart_delay_seconds)

    def again(own: StartReport) -> int:
        """Serve again after a crash, with the configuration as it is now: a reload may have put it in force."""
        with told_if_refused(start.options, environment):
            newest = start_of(start.options, environment)
        return _serve(newest, parts, own, environment)

    return supervise(lambda own: _serve(start, parts, own, environment), report, recovery, again=again)


def _serve(start: Start, parts: DaemonParts, report: StartReport, environment: Mapping[str, str]) -> int:
    """Serve. An error that keeps the daemon from starting, or ends it, is sent over the channels."""

    has_started = threading.Event()

    def ready() -> None:
        has_started.set()
        threading.Thread(target=started, args=(start, environment), daemon=True).start()

    with told_if_refused(start.options, environment, has_started.is_set):
        report.when_ready(ready)
        return serve(start, parts, report)
