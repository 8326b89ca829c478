"""Folders that other users can't change: checks of existing ones, and creation of ours.

    intruder(path)               a sentence about another user who may change the path; '' for none
    make_private(path)           create a folder and its missing parents, mode 0700
    keep_private(path, setting)  the same; one of ours that is open to others is closed, with a log message
    is_foreign(status)           True if another user may write a file or folder that they can reach
    is_of_another(status)        True if it belongs to another user

"Another user" is every user but this process's own and root, which may do anything anyhow. A group counts as another
user unless it is the private group that Linux gives each user. Whoever may write a folder may replace what is in it, so
a path is checked from / down, and each symbolic link both where it is and where it leads.
"""

from __future__ import annotations

import grp
import logging
import os
import pwd
import stat
from functools import lru_cache
from pathlib import Path

log = logging.getLogger(__name__)
_MOST_LINKS = 40  # the kernel's own limit
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ACL = "system.posix_acl_access"


def intruder(path: Path) -> str:
    """Return who else may change the path, as a clause of an error, or '' if nobody may.

    Raise OSError for a path that does not exist.
    """
    here = Path("/")
    links = 0
    ahead = [part for part in reversed(Path(os.path.abspath(path)).parts) if part != "/"]  # noqa: PTH100 as written
    found = _folder_intruder(here, is_last=not ahead)
    while ahead and not found:
        step = here / ahead.pop()
        status = step.lstat()
        if status.st_uid not in _trusted():
            return f"{step} belongs to {_name(status.st_uid)}"
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                return f"{step} is a chain of links"
            target = step.readlink()
            here = Path("/") if target.is_absolute() else here
            ahead += [part for part in reversed(target.parts) if part != "/"]
        # Only in a link's target: `abspath` has removed those of the path itself.
        elif step.name == "..":
            here = here.parent
        else:
            here = step
            found = _folder_intruder(here, is_last=not ahead)
    return found


def is_foreign(status: os.stat_result) -> bool:
    """Return True if another user may write a file or folder of this status."""
    if status.st_uid not in _trusted() or status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private_group(status.st_gid)


def is_of_another(status: os.stat_result) -> bool:
    """Return True if a file belongs to another user. In a closed folder its mode does not matter: nobody reaches it."""
    return status.st_uid not in _trusted()


def foreign_file(folder: Path) -> Path | None:
    """Return the first file in a tree that another user may have written, None if there is none."""
    is_bad = is_foreign if folder.stat().st_mode & _OTHERS else is_of_another
    for path in folder.rglob("*"):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) or is_bad(status):
            return path
    return None


def make_private(path: Path) -> None:
    """Create a folder and its missing parents, each with mode 0700. An existing one stays as it is.

    Raise OSError.
    """
    if not path.is_dir():
        if path.parent != path:
            make_private(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def keep_private(path: Path, setting: str) -> None:
    """Create a folder as `make_private` does; close it to others if it is open, and log that. Raise OSError.

    setting: named in the message. A folder of another user is logged too; only they can close it.
    """
    make_private(path)
    status = path.stat()
    if status.st_uid == os.geteuid():
        if status.st_mode & _OTHERS:
            path.chmod(0o700)
            log.warning("%s (%s) was open to others (mode %04o); it is 0700 now", path, setting, status.st_mode & 0o777)
    elif status.st_uid not in _trusted() or is_foreign(status):
        why = f"it belongs to {_name(status.st_uid)}, mode {status.st_mode & 0o777:04o}"
        log.warning("%s (%s) can be written by others: %s; chown it and chmod 700 it", path, setting, why)


def _folder_intruder(path: Path, *, is_last: bool) -> str:
    """Return who else may change the contents of a folder, '' for nobody.

    With the sticky bit others may replace only their own files: such a folder may be passed through (`/tmp`), but the
    last one must not have it.
    """
    status = path.stat()
    if status.st_uid not in _trusted():
        return f"{path} belongs to {_name(status.st_uid)}"
    if not status.st_mode & _OTHERS_WRITE or (status.st_mode & stat.S_ISVTX and not is_last):
        return ""
    is_ours = not status.st_mode & stat.S_IWOTH and _is_private_group(status.st_gid) and not _has_acl(path)
    return "" if is_ours else f"others may write {path} (mode {stat.S_IMODE(status.st_mode):04o})"


def _trusted() -> tuple[int, int]:
    return (0, os.geteuid())


@lru_cache(maxsize=64)
def _is_private_group(gid: int) -> bool:
    """Return True if a group has no member but a trusted user: it has that user's name and is its first group."""
    for uid in _trusted():
        try:
            user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
        except KeyError:
            continue
        if user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}:
            return True
    return False


def _has_acl(path: Path) -> bool:
    """Return True if there is an ACL: the bits of the group are then only its mask."""
    try:
        return bool(os.getxattr(path, _ACL))
    except OSError:
        return False


def _name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
