"""How many processors this process may use: its affinity, and the quota of its control groups."""

import math
import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_threads() -> int:
    """How many threads this process may run at once, at least 1.

    The processors that it may run on (`taskset`), and no more than its quota of their time,
    rounded up: a container with a limit of 1.5 has 2.
    """
    affine = hasattr(os, "sched_getaffinity")
    processors = len(os.sched_getaffinity(0)) if affine else os.cpu_count() or 1
    return max(1, math.ceil(min(processors, _quota(_OWN, _ROOT))))


def _quota(own: Path, root: Path) -> float:
    """Processors' worth of time by Linux's control groups, of either version; inf for no limit.

    own: The file that says which groups this process is in. root: Where they are mounted.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            for mount in (root, root / "unified"):
                quotas += (_second(at) for at in _upwards(mount, group))
        elif "cpu" in controllers.split(","):
            for mount in (root / "cpu", root / controllers):
                quotas += (_first(at) for at in _upwards(mount, group))
    return min(quotas)


def _upwards(mount: Path, group: str) -> list[Path]:
    """The folders of a group and of those that it is in: each has its limit.

    A container sees its own group as the mount, whatever its name is outside.
    """
    parts = [part for part in group.split("/") if part not in ("", "..")]
    return [mount.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _second(folder: Path) -> float:
    """By version 2: "150000 100000", or "max 100000"."""
    return _share((folder / "cpu.max",))


def _first(folder: Path) -> float:
    """By version 1: -1 for no limit."""
    return _share((folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"))


def _share(files: tuple[Path, ...]) -> float:
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
        return float(quota) / float(period) if float(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no such limit, "max", or no such file
        return math.inf
