"""`sigc daemon` from its command line: judged here, to the background if wished, supervised if nobody else does.

launch -> start_of               every mistake of the configuration, on the terminal, with its exit code
       -> daemonize              returns to the starter when it is ready
          -> supervise           a small parent that starts it again
             -> serve            the daemon
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
    """The exit code. say: told what the starter is told, and whether that is an error.

    Raises SigcError for what is wrong at once.
    """
    with told_if_refused(options, environment):
        start = start_of(options, environment)
    secrets = Secrets()
    secrets.add_all(start.configured.loaded.secrets)
    if environment.pop(RESTARTED, "") == str(os.getpid()):
        return run(
            lambda report: _serve(start, parts, report, environment), StartReport(hide=secrets.hide)
        )  # we are in the background, and supervised
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
        """After a crash: with the configuration as it is by now, which a reload may have put in force."""
        with told_if_refused(start.options, environment):
            newest = start_of(start.options, environment)
        return _serve(newest, parts, own, environment)

    return supervise(lambda own: _serve(start, parts, own, environment), report, recovery, again=again)


def _serve(start: Start, parts: DaemonParts, report: StartReport, environment: Mapping[str, str]) -> int:
    """Serve; what keeps it from starting, or ends it, is told over the channels, and so is a start after that."""

    has_started = threading.Event()

    def ready() -> None:
        has_started.set()
        threading.Thread(target=started, args=(start, environment), daemon=True).start()

    with told_if_refused(start.options, environment, has_started.is_set):
        report.when_ready(ready)
        return serve(start, parts, report)
