"""How much memory a file may take when it is unpacked: never more than there is."""

import os
from pathlib import Path

from steepest.errors import DataError

_CGROUPS = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that this process can still take, by the system and by its container; None: unknown."""
    found = [limit for limit in (_of_system(), _of_container()) if limit is not None]
    return min(found, default=None)


def require_memory(needed: int, source: object, advice: str) -> None:
    """Raise DataError if what a file promises would not fit in memory, before it is unpacked."""
    there = available_memory()
    if there is not None and needed > there:
        raise DataError(
            f"{source} would take {_gibibytes(needed)} of memory, and {_gibibytes(there)} are "
            f"there; {advice}"
        )


def _of_system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):
            return None
    kibibytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kibibytes is None else 1024 * int(kibibytes)


def _of_container() -> int | None:
    """The limit of the control group that this process is in, of either version."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers == "":
            limits += _limits(_CGROUPS, place, "memory.max")
        elif controllers == "memory":
            limits += _limits(_CGROUPS / "memory", place, "memory.limit_in_bytes")
    return min(limits, default=None)


def _limits(root: Path, place: str, name: str) -> list[int]:
    """Of the group and of the root, as a container sees itself."""
    texts = []
    for folder in (root / place.lstrip("/"), root):
        try:
            texts.append((folder / name).read_text().strip())
        except OSError:
            continue
    return [int(text) for text in texts if text.isdigit()]


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
