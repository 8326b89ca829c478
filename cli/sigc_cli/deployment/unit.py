"""The systemd unit of a project: conf/systemd/sigc.service with its user, its sigc and its folders."""

from __future__ import annotations

import grp
import pwd
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc_cli.deployment.project import Project
from sigc_cli.shipped import shipped

_SAFE = re.compile(r"[\w@/.,:=+-]+", re.ASCII)
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 -- compared with, not written to
_CREDENTIAL = re.compile(r"\bcredential:([\w.-]+)", re.ASCII)


def executable() -> Path:
    """Return the `sigc` of this installation, absolute. Raises E200 where its interpreter has none beside it."""
    found = Path(sys.executable).parent / "sigc"
    if not found.is_file():
        hint = "install sigc-daemon into this environment, and run its own sigc"
        raise SigcError(Diagnostic("E200", f"{found} does not exist", hint=hint))
    return found


def unit(project: Project, sigc: Path) -> str:
    """Return the text of the unit. It runs as the owner of the folder, and may write its work dir and cache only.

    sigc: the executable. Raises E402 for a path that a unit can't name.
    """
    user, group = _owner(project.folder)
    config, line = _word(project.config), _argument(sigc)
    values = {
        "User": user,
        "Group": group,
        "ExecStart": f"{line} daemon --config {_argument(project.config)}",
        "ExecReload": f"{line} reload",
        "ExecStop": f"{line} stop",
        "WorkingDirectory": _escaped(project.folder),
        "Environment": f"{_quoted(f'SIGC_CONFIG={config}')} XDG_CACHE_HOME=/var/cache",
        "LoadCredential": _credentials(project.config),
        **(wider := _visible([project.folder, sigc, Path(sys.executable), *project.data, *project.written])),
    }
    places = [*project.written, *(_TEMPORARY if "PrivateTmp" in wider else ())]  # /tmp too is else read-only
    written = " ".join(_quoted(_word(path)) for path in places)
    head = f"# Made by `sigc init --systemd` for {project.folder}. For changes: systemctl edit sigc"
    return _filled(shipped("conf/systemd/sigc.service"), head, values, {"ProtectSystem": f"ReadWritePaths={written}"})


def _owner(folder: Path) -> tuple[str, str]:
    """Return user and group of whoever owns a folder; numbers where they have no name."""
    uid, gid = folder.stat().st_uid, folder.stat().st_gid
    with suppress(KeyError):
        found = pwd.getpwuid(uid)
        return found.pw_name, grp.getgrgid(found.pw_gid).gr_name
    return str(uid), str(gid)


def _visible(paths: Iterable[Path]) -> dict[str, str]:
    """Return the settings that would hide the project, wider: it is in a home or a temporary folder."""
    places = {form for path in paths for form in (path, path.resolve())}
    found = {}
    if any(path.is_relative_to(home) for path in places for home in _HOMES):
        found["ProtectHome"] = "read-only"
    if any(path.is_relative_to(folder) for path in places for folder in _TEMPORARY):
        found["PrivateTmp"] = "false"
    return found


def _credentials(config: Path) -> str:
    """Return the credentials that the configuration names, each expected in /etc/sigc; '' for none."""
    names = sorted(set(_CREDENTIAL.findall(config.read_text(encoding="utf-8"))))
    return "\nLoadCredential=".join(f"{name}:/etc/sigc/{name}" for name in names)


def _filled(template: str, head: str, values: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return a unit with other values, and lines after some; an empty value takes the setting and its comment out."""
    lines: list[str] = [head]
    left = set(values) | set(after)
    for line in template.splitlines()[1:]:
        name, is_setting, _ = line.partition("=")
        left.discard(name)
        if not is_setting or name not in {*values, *after}:
            lines.append(line)
        elif values.get(name) == "":
            while lines[-1].startswith("#"):
                lines.pop()
        else:
            lines.append(f"{name}={values[name]}" if name in values else line)
            lines += [after[name]] if name in after else []
    if left:
        raise ValueError(f"conf/systemd/sigc.service has no {', '.join(sorted(left))}")
    return "\n".join(lines) + "\n"


def _escaped(path: Path) -> str:
    """Return a path as a whole value: `%` begins a specifier."""
    return _word(path).replace("%", "%%")


def _argument(path: Path) -> str:
    """Return a path as a word of a command line, where `$` begins a variable."""
    return _quoted(_word(path).replace("$", "$$"))


def _quoted(text: str) -> str:
    r"""Return one word of a unit's value.

    >>> print(_quoted("/srv/sigc"), _quoted('/srv/a "b" 5%'))
    /srv/sigc "/srv/a \"b\" 5%%"
    """
    if _SAFE.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _word(path: Path) -> str:
    """Return a path as text. Raises E402 for one with a control character, which no unit can name."""
    if any(not char.isprintable() for char in str(path)):
        raise SigcError(Diagnostic("E402", f"a unit can't name the path {str(path)!r}", hint="move the project"))
    return str(path)
