"""The PID file: one daemon at a time, by a lock that the kernel drops when its holder dies.

A file without a lock is stale whatever PID it holds, and is taken over; a locked one is refused (E311). The
lock is on the inode, so after taking it the path is checked again: the last holder may have removed it meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sigc.errors import Diagnostic, SigcError
from sigc.host.identity import started

_SETTING = "daemon.pid_file"
_MOST_BYTES = 64
_MOST_LOOKS, _LOOK_S = 10, 0.02
_PID = re.compile(rb"\s*\d{0,20}\s*")


@dataclass(frozen=True, slots=True)
class PidFile:
    """A PID file held by us until `release`, or until this process ends."""

    path: Path
    pid: int
    descriptor: int

    def release(self) -> None:
        """Remove the file if it is still ours, then release the lock. A forked child leaves the file alone."""
        # Removed while still locked: after the lock is gone the path may be the next daemon's file.
        if os.getpid() == self.pid and _is_at(self.descriptor, self.path):
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)

    def __enter__(self) -> PidFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take_pid_file(path: Path) -> PidFile:
    """Take the PID file for this process. Raise E311 if a live process holds it, E402 if it can't be written.

    A reader (`read_pid_file`) holds the lock for a moment too, so a lock is tried several times.
    """
    looked = 0
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last holder removed the file between our open and our lock: try again with the new file.
            if not _is_at(descriptor, path):
                os.close(descriptor)
                continue
            _write(descriptor, path)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            looked += 1
            if looked > _MOST_LOOKS:
                raise SigcError(_in_use(path, holder)) from None
            time.sleep(_LOOK_S)
            continue
        except BaseException:
            os.close(descriptor)
            raise
        return PidFile(path, os.getpid(), descriptor)


def read_pid_file(path: Path) -> int | None:
    """Return the PID of the live process that holds the file, None if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        # A shared lock succeeds only if no daemon holds the file; closing the descriptor drops it.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def lock_holder(path: Path) -> int | None:
    """Return the PID of the live process that holds a lock file, for whoever is about to end that process.

    None if nobody holds it, or if the kernel does not confirm that the process named in the file is the holder.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.pread(descriptor, _MOST_BYTES, 0)
        pid = int(written) if _PID.fullmatch(written) and written.strip() else 0
        return pid if started(pid) is not None and pid in (_locking(descriptor) or {pid}) else None
    finally:
        os.close(descriptor)
    return None


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as failure:
        message = f"the PID file {path} ({_SETTING}) can't be written: {failure.strerror}"
        raise SigcError(Diagnostic("E402", message, hint="give --pid-file a path you may write")) from failure


def _write(descriptor: int, path: Path) -> None:
    found = os.pread(descriptor, _MOST_BYTES + 1, 0)
    if not _PID.fullmatch(found):
        message = f"{path} ({_SETTING}) is not a PID file: it has other contents, which are left alone"
        raise SigcError(Diagnostic("E402", message))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _holder(descriptor: int) -> int | None:
    """Return the PID of the lock's holder: from the file, or from the kernel if the holder has not written it yet."""
    written = os.pread(descriptor, _MOST_BYTES, 0)
    pid = int(written) if _PID.fullmatch(written) and written.strip() else 0
    if started(pid) is not None:
        return pid
    return next(iter(_locking(descriptor)), None)


def _locking(descriptor: int) -> tuple[int, ...]:
    """Return the PIDs that the kernel lists as holders of locks on a file; none where it does not say."""
    at = os.fstat(descriptor)
    # /proc/locks names files by device and inode.
    device = f"{os.major(at.st_dev):02x}:{os.minor(at.st_dev):02x}:{at.st_ino}"
    try:
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return ()
    held = (line.split() for line in locks)
    return tuple(int(f[4]) for f in held if f[1] == "FLOCK" and f[5] == device and f[4] not in ("-1", "0"))


def _in_use(path: Path, holder: int | None) -> Diagnostic:
    who = f"PID {holder}" if holder is not None else "another process"
    message = f"a daemon is already running: {who} holds the PID file {path}"
    return Diagnostic("E311", message, hint="stop it with `sigc stop`, or start this one under another --name")
