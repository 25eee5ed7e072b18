"""Files that are whole or not there: written beside their place, synced, then renamed."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steepest.errors import RunError

# What reading a damaged or hostile file can raise in the code that takes it apart.
DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(OverflowError, RecursionError),
)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash or a full disk leaves the old one, or none, but never a part.

    Raises RunError naming the file and the reason.
    """
    with _reasons(path), _beside(path) as temporary:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)


def make_run_folder(path: Path) -> None:
    """Make a new folder that can be written to; parents are made as well.

    Raises RunError if something is there already or nothing can be written.
    """
    if path.exists() and not is_empty_folder(path):
        raise RunError(
            f"{path} exists already and a run never overwrites; choose another folder or remove it"
        )
    with _reasons(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path):
            pass


def make_folder(path: Path) -> None:
    """Make a folder if it is not there. Raises RunError naming it and the reason."""
    with _reasons(path):
        path.mkdir(exist_ok=True)


def is_empty_folder(path: Path) -> bool:
    if not path.is_dir():
        return False
    with os.scandir(path) as entries:
        return next(entries, None) is None


def require_space(folder: Path, needed: int) -> None:
    """Raise RunError if the disk of this folder has less than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunError(
            f"cannot save the run in {folder}: it needs about {megabytes(needed)}, but the disk "
            f"has {megabytes(free)} free; make room or choose another folder"
        )


def megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A temporary name in the same folder; whatever lies there at the end is removed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(write_failure(path, error)) from error


def write_failure(path: Path, error: OSError) -> str:
    """One line that says what could not be written, why, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot write {path}: the disk is full; make room or choose another folder"
    reason = error.strerror or str(error)
    return f"cannot write {path}: {reason}; choose a folder that you can write to"


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut. Windows cannot open a folder, nor needs to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
