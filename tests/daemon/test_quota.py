"""How `max_cpu_pct` is kept: a quota in a control group that is delegated, found and set on real files; else the rest."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sigc.clock import SystemClock
from sigc.host.cgroup import ControlGroup
from sigc.host.cpu_throttle import CpuThrottle
from sigc.host.usage import usable_cpus
from tests.daemon.daemons import Daemon, Site


def tree(folder: Path, *, controllers: str = "cpuset cpu io memory", is_marked: bool = True) -> tuple[Path, Path, Path]:
    """A hierarchy as the kernel shows one: its root, the file that names our group, and the group."""
    group = folder / "system.slice" / "sigc.service"
    group.mkdir(parents=True)
    (group / "cgroup.controllers").write_text(controllers + "\n")
    for name in ("cgroup.procs", "cgroup.subtree_control"):
        (group / name).write_text("")
    if is_marked:
        os.setxattr(group, "user.delegate", b"1")
    own = folder / "own"
    own.write_text("0::/system.slice/sigc.service\n")
    return folder, own, group


def test_a_delegated_group_gets_the_quota(tmp_path: Path) -> None:
    root, own, group = tree(tmp_path)
    quota = ControlGroup.find(root, own)
    assert quota is not None
    assert (group / "sigc" / "cgroup.procs").read_text() == str(os.getpid())
    assert (group / "cgroup.subtree_control").read_text() == "+cpu"
    for share, cpus, limit in ((80, 4, 3.2), (12.5, 2, 0.25), (100, 8, 8.0)):
        quota.set(share, cpus)
        spent, period = map(int, (group / "sigc" / "cpu.max").read_text().split())
        assert spent / period == pytest.approx(limit)
    quota.set(None, 4)
    assert (group / "sigc" / "cpu.max").read_text().split()[0] == "max"


def test_the_same_process_after_an_exec_stays_in_its_group(tmp_path: Path) -> None:
    root, own, group = tree(tmp_path)
    first = ControlGroup.find(root, own)
    own.write_text("0::/system.slice/sigc.service/sigc\n")
    again = ControlGroup.find(root, own)
    assert first == again
    assert not (group / "sigc" / "sigc").exists()


def test_what_is_not_delegated_is_left_alone(tmp_path: Path) -> None:
    for number, (controllers, is_marked) in enumerate((("memory io", True), ("cpu", os.getuid() != 0))):
        root, own, group = tree(tmp_path / str(number), controllers=controllers, is_marked=is_marked)
        if "cpu" in controllers and is_marked:
            continue  # writable for a user who is not root: delegated
        assert ControlGroup.find(root, own) is None
        assert not (group / "sigc").exists()
    assert ControlGroup.find(tmp_path, tmp_path / "absent") is None
    (tmp_path / "v1").write_text("4:cpu,cpuacct:/user.slice\n")
    assert ControlGroup.find(tmp_path, tmp_path / "v1") is None


def test_what_fails_half_way_is_undone(tmp_path: Path) -> None:
    """The kernel refuses to hand a controller down while other processes are in the group."""
    root, own, group = tree(tmp_path)
    (group / "cgroup.subtree_control").unlink()
    (group / "cgroup.subtree_control").mkdir()
    assert ControlGroup.find(root, own) is None
    assert (group / "cgroup.procs").read_text() == str(os.getpid())


def test_status_says_how_the_limit_is_kept(site: Site) -> None:
    site.settings["daemon"]["max_cpu_pct"] = 50
    site.write()
    with Daemon(site):
        found = json.loads(site.sigc("status", "--json", "--detailed").stdout)["detailed"]["cpu_limit"]
        assert found.startswith(f"50% of {usable_cpus()} processors: ")
        assert f"CPU limit: {found}" in site.sigc("status", "--detailed").stdout
        del site.settings["daemon"]["max_cpu_pct"]
        site.write()
        assert site.sigc("reload").returncode == 0
        assert "CPU limit: none" in site.sigc("status", "--detailed").stdout


@pytest.mark.soak
def test_a_real_process_stays_within_ten_points_over_thirty_seconds() -> None:
    """Threads that would take every processor, fed block by block at half speed."""
    cpus, share, seconds = usable_cpus(), 50.0, 30.0
    pace = CpuThrottle(share, cpus, time.process_time, SystemClock())
    end, matrix = time.monotonic() + seconds, np.random.default_rng(0).random((300, 300))

    def work() -> None:
        while time.monotonic() < end:
            pace.wait()
            for _ in range(20):
                np.sort(matrix, axis=0)

    begun = time.process_time()
    threads = [threading.Thread(target=work) for _ in range(cpus)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = 100 * (time.process_time() - begun) / seconds / cpus
    assert taken == pytest.approx(share, abs=10)
