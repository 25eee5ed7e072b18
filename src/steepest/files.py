"""Files that are whole or not there: written beside their place, synced, then renamed."""

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from steepest.errors import RunError

# What reading a damaged or hostile file can raise in the code that takes it apart.
DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(OverflowError, RecursionError),
)


# What a file is called until it is whole. No other name is ever swept away.
PART = re.compile(r"\.steepest-[0-9a-f]{16}\.part")
# Windows has no functions that take an open folder.
_TAKES_FOLDERS = os.rename in os.supports_dir_fd and os.scandir in os.supports_fd


class Folder:
    """A folder that is held open: what is done in it stays in it, whatever takes its name.

    descriptor: of the open folder; None where the system has no functions for it, and paths are
    used instead.
    """

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor

    def files(self) -> list[str]:
        """The names of the plain files in it, sorted."""
        with os.scandir(self._path if self._descriptor is None else self._descriptor) as entries:
            return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))

    def remove(self, name: str) -> None:
        """Remove a file, or a link itself, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self._place(name), dir_fd=self._descriptor)

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is whole or not there, in the place of one or of a link."""
        temporary = f".steepest-{secrets.token_hex(8)}.part"
        # Exclusive: a link that lies under this name is not followed.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        opened = os.open(self._place(temporary), flags, 0o666, dir_fd=self._descriptor)
        try:
            with open(opened, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(
                *(self._place(temporary), self._place(name)),
                src_dir_fd=self._descriptor,
                dst_dir_fd=self._descriptor,
            )
        finally:
            self.remove(temporary)
        if self._descriptor is not None:
            os.fsync(self._descriptor)  # makes the rename last through a power cut

    def _place(self, name: str) -> str | Path:
        return self._path / name if self._descriptor is None else name


@contextmanager
def open_folder(path: Path, *, follow: bool = True) -> Iterator[Folder]:
    """The folder, open within the block. follow: whether its name may be a symbolic link.

    Raises OSError if it is no folder, or such a link.
    """
    if not _TAKES_FOLDERS:
        yield Folder(path, None)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | (0 if follow else os.O_NOFOLLOW))
    try:
        yield Folder(path, descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes, *, follow: bool = True) -> None:
    """Write a file so that a crash or a full disk leaves the old one, or none, but never a part.

    follow: whether the name of its folder may be a symbolic link; the file's own is never followed.
    Raises RunError naming the file and the reason.
    """
    with write_errors(path), open_folder(path.parent, follow=follow) as folder:
        folder.write(path.name, content)


def make_run_folder(path: Path) -> None:
    """Make a new folder that can be written to; parents are made as well.

    Raises RunError if something is there already or nothing can be written.
    """
    with write_errors(path):
        if path.exists() and not is_empty_folder(path):
            raise RunError(
                f"{path} exists already and a run never overwrites; choose another folder or "
                "remove it"
            )
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path):
            pass


def make_folder(path: Path) -> None:
    """Make a folder if it is not there. Raises RunError naming it and the reason."""
    with write_errors(path):
        path.mkdir(exist_ok=True)


def require_plain_file(path: Path, *, one_name: bool = False) -> None:
    """Raise RunError if something lies there that is not a plain file: a link, a pipe, a folder.

    one_name: nor one that is known by another name as well (a hard link), which is for files that
    are written in place.
    """
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return  # nothing is there: whoever reads it says so
    if stat.S_ISLNK(found.st_mode):
        raise RunError(
            f"{path} is a symbolic link, and nothing in a run folder may lead out of it; put a "
            "copy of what it leads to in its place"
        )
    if not stat.S_ISREG(found.st_mode):
        raise RunError(f"{path} is not a plain file; remove it")
    if one_name and found.st_nlink > 1:
        raise RunError(
            f"{path} has another name as well (a hard link), whose content would change with it; "
            "put a copy in its place"
        )


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
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """What cannot be written at this path, as a RunError that says why."""
    try:
        yield
    except (OSError, ValueError) as error:  # the latter by a name with a NUL
        raise RunError(write_failure(path, error)) from error


def is_full(error: BaseException | None) -> bool:
    """Whether it says that a disk has no room: by itself, or by what a RunError comes from."""
    if isinstance(error, RunError):
        error = error.__cause__
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_failure(path: Path, error: OSError | ValueError) -> str:
    """One line that says what could not be written, why, and what to do."""
    if isinstance(error, ValueError):
        return f"cannot write {path}: {error}; choose another name"
    if is_full(error):
        return f"cannot write {path}: the disk is full; make room or choose another folder"
    reason = error.strerror or str(error)
    return f"cannot write {path}: {reason}; choose a folder that you can write to"
