"""How much memory a file may take when it is unpacked: never more than there is."""

import os
from pathlib import Path

from steepest.errors import DataError

_CGROUP = Path("/sys/fs/cgroup")


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
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        return None if limit == "max" else int(limit)
    except (OSError, ValueError):
        return None


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
