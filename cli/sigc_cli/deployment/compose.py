"""Containers of a project: conf/container with an image of this sigc, and the project's own configuration.

The configuration is the project's sigc.yaml; what is of this machine in it (work dir, PID file, cache, ports, data) is
overridden by the environment, with the values of conf/container/sigc.yaml.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc_cli.deployment.project import Project
from sigc_cli.shipped import shipped

_PLACES = {"work_dir": "/var/lib/sigc", "pid_file": "/run/sigc/sigc.pid", "log_file": '""'}
_HOME = "/etc/sigc"  # where sigc.yaml and the strategies are in the container
PACKAGE = "sigc-daemon"
WHEELS = f"""Put wheels here that the package index does not have: this version of {PACKAGE} (`make wheel` in its
checkout), a broker or a data source of your own. Name your own packages in `container/Dockerfile`, behind {PACKAGE}.
"""


def containers(project: Project) -> dict[str, str]:
    """Return the files by path in the project. Raises E402 for strategies outside of it."""
    return {
        "container/Dockerfile": _dockerfile(),
        "container/constraints.txt": _constraints(),
        "container/wheels/README.md": WHEELS,
        "container/compose.yaml": _compose(project),
    }


def _dockerfile() -> str:
    """Return the Dockerfile: this version of sigc from the package index or from wheels, by this version of Python."""
    text = shipped("conf/container/Dockerfile")
    lines = text.splitlines(keepends=True)[1:]
    copied = [line for line in lines if line.startswith("COPY ") and "--from" not in line]
    at = lines.index(copied[0])
    kept = [line for line in lines if line not in copied]
    head = "# From the project's folder:  docker build -t sigc container\n"
    python = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    package = f"--find-links wheels {PACKAGE}=={metadata.version(PACKAGE)}"
    return _replaced(
        "".join([head, *kept[:at], "COPY constraints.txt ./\n", "COPY wheels wheels\n", *kept[at:]]),
        {"python:3.11-slim": python, " -c constraints.txt .\n": f" -c constraints.txt {package}\n"},
    )


def _constraints() -> str:
    """Return the versions of this environment's packages, so that the container runs the tested ones."""
    found = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    pins = [f"{name}=={version}" for name, version in found.items() if name.lower() != PACKAGE and "+" not in version]
    return "\n".join(sorted(pins, key=str.lower)) + "\n"


def _compose(project: Project) -> str:
    head, _, rest = shipped("conf/container/compose.yaml").partition("\n")
    variables = "    environment:   # over sigc.yaml: what is elsewhere in a container\n"
    variables += "".join(f"      {name}: {value}\n" for name, value in _environment(project))
    mounts = "".join(f"      - ../{name}:{_HOME}/{name}:ro\n" for name in _mounted(project))
    return _replaced(
        f"{head}\n{rest}",
        {
            "-f conf/container/compose.yaml": "-f container/compose.yaml",
            "{context: ../.., dockerfile: conf/container/Dockerfile}": "{context: .}",
            "    image: sigc\n": f"    image: sigc\n{variables}",
            "      - ./sigc.yaml:/etc/sigc/sigc.yaml:ro\n": f"      - ../sigc.yaml:{_HOME}/sigc.yaml:ro\n",
            "      - ../strategies:/etc/sigc/strategies:ro\n": mounts,
            "${SIGC_DATA:-./data}": f"${{SIGC_DATA:-{_from_container(project, project.data[0])}}}",
        },
    )


def _environment(project: Project) -> Iterator[tuple[str, str]]:
    """Yield what the container's configuration sets, as variables, and the places that the project's sets."""
    import yaml

    shown = yaml.safe_load(shipped("conf/container/sigc.yaml"))
    shown["daemon"]["metrics"]["port"] = project.metrics_port
    found = dict(_flat({"daemon": shown["daemon"], "data": shown["data"]}, ()))
    found |= {("daemon", key): _PLACES[key] for key in project.placed}
    for keys, value in found.items():
        text = value if isinstance(value, str) else str(value).lower()
        yield "SIGC_" + "__".join(keys).upper(), text if text.startswith('"') else f'"{text}"'


def _flat(data: Mapping[str, object], at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, (*at, key))
        else:
            yield (*at, key), value


def _mounted(project: Project) -> list[str]:
    """Return the entries of the project that its strategies are in. Raises E402 for one that is elsewhere."""
    for path in project.strategies:
        if path.is_absolute() or ".." in path.parts:
            hint = "name it by a path below the folder of sigc.yaml"
            raise SigcError(Diagnostic("E402", f"the strategy {path} is outside of the project", hint=hint))
    return sorted({"strategies", *(path.parts[0] for path in project.strategies)})


def _from_container(project: Project, path: Path) -> str:
    inside = path.is_relative_to(project.folder)
    return f"../{path.relative_to(project.folder)}" if inside else str(path)


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        if old not in text:
            raise ValueError(f"conf/container has no {old!r}")
        text = text.replace(old, new)
    return text
