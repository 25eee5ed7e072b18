"""How many threads a process may run at once: by affinity, and by quotas in made-up groups."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steepest.processors import _quota, usable_threads


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1.5),
        ("0::/a\n", {"a/cpu.max": "400000 100000", "cpu.max": "50000 100000"}, 0.5),
        ("0::/outside/name\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/../../other\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/\n", {"unified/cpu.max": "300000 100000"}, 3),
        (
            "5:memory:/x\n3:cpu,cpuacct:/docker/1\n0::/\n",
            {
                "cpu,cpuacct/docker/1/cpu.cfs_quota_us": "250000",
                "cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        ("1:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "", "cpu/a/cpu.cfs_period_us": "0"}, math.inf),
        ("1:cpuset:/a\n", {"cpu/a/cpu.max": "1 1"}, math.inf),
        ("0::/a\n", {}, math.inf),
    ],
)
def test_the_quota_is_the_least_of_the_groups(
    tmp_path: Path, own: str, files: dict[str, str], quota: float
) -> None:
    root = written(tmp_path / "groups", files)
    (tmp_path / "own").write_text(own)
    assert _quota(tmp_path / "own", root) == quota


def test_where_there_are_no_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert _quota(tmp_path / "nothing", tmp_path) == math.inf


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_bounds_the_threads() -> None:
    program = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from steepest.processors import usable_threads; print(usable_threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"1"]
    assert usable_threads() >= 1
