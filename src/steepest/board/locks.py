"""Who works on a run, by the system's list of locks: taking one would hold up a training."""

import os
from pathlib import Path

_LIST = Path("/proc/locks")


def locked_files() -> set[int] | None:
    """The inodes of all files that a process holds locked; None where the system has no list."""
    try:
        lines = _LIST.read_text().splitlines()
    except OSError:
        return None
    # 1: FLOCK  ADVISORY  WRITE 4321 fe:01:1234 0 EOF
    places = (field for line in lines for field in line.split() if field.count(":") == 2)
    return {int(place.rpartition(":")[2]) for place in places}


def is_locked(lock: Path, held: set[int] | None) -> bool | None:
    """Whether a process works on the folder of this lock; None where that cannot be known."""
    if held is None:
        return None
    try:
        return os.lstat(lock).st_ino in held
    except OSError:
        return False
