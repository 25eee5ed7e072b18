"""Trainings that are killed, again and again: python tests/abuse/kills.py --kills 200.

A run is trained in a forked process, which is killed by SIGKILL at a random moment and forked again
to go on, until it ends; or which a fault of the disk stops in the middle of a write. In the end
the weights and the record must be those of a run that was never stopped.
"""

import argparse
import errno
import hashlib
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

# All that has a state, and checkpoints all the time, so that many kills fall into a write.
SETTINGS: dict[str, Any] = {
    "hidden": (16, 16), "dropout": 0.2, "batch_norm": True, "optimizer": "adamw", "lr": 0.01,
    "schedule": "cosine", "warmup": 5, "mixup": 0.3, "ema": 0.9, "early_stopping": True,
    "patience": 1000, "batch_size": 16, "epochs": 40, "checkpoint_steps": 3, "log_every": 5,
    "threads": 1, "progress": "none",
}  # fmt: skip


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(240) % 3
    return rng.normal(size=(240, 6)).astype(np.float32) + y[:, None], y


def bits(folder: Path) -> str:
    """The weights and the record of a finished run, but for times."""
    import steepest as sp

    run = sp.load_run(folder)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes())
    for frame in (
        run.history.drop("seconds"),
        run.intervals.select("epoch", "batch", "step", "lr"),
    ):
        digest.update(frame.write_csv().encode())
    return f"{run.status} {digest.hexdigest()}"


def begin_or_go_on(folder: Path, **settings: Any) -> None:
    import steepest as sp

    if (folder / "layout.json").exists() and list((folder / "checkpoints").glob("step-*.json")):
        sp.resume(folder, data=rows(), progress="none")
    else:
        # Killed before there was anything to lose: what is there of the folder is taken away.
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        sp.train(None, rows(), out=folder, **{**SETTINGS, **settings})


def in_a_fork(action: Callable[[], None], seconds: float | None = None) -> int:
    """Run it in a process of its own, killed after some seconds; what waitpid says."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
                action()
            status = 0
        finally:
            os._exit(status)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
    return os.waitpid(process, 0)[1]


def killed_until_done(
    folder: Path, rng: np.random.Generator, pace: tuple[float, float], **settings: Any
) -> Counter[str]:
    """Kill at random moments of its life until it ends; how many kills fell where.

    pace: seconds that beginning takes, and that all its steps take.
    """
    counts: Counter[str] = Counter()
    while True:
        seconds = pace[0] * rng.uniform(0.3, 1.0) + pace[1] * rng.uniform(0.0, 0.15)
        seconds *= 1 + counts["kills"] / 8  # a beginning may take longer than was measured
        status = in_a_fork(lambda: begin_or_go_on(folder, **settings), seconds)
        if not os.WIFSIGNALED(status):
            assert status == 0, f"the training failed with status {status}"
            return counts
        counts["kills"] += 1
        counts["inside a write"] += any(folder.rglob("*.part"))
        counts["before the first checkpoint"] += not any(folder.rglob("step-*.json"))


class Fault:
    """Breaks the n-th operation on files: kills the process there, or lets it fail with an error."""

    def __init__(self, number: int, error: int | None) -> None:
        self.left, self.error = number, error

    def wrap(self, name: str) -> None:
        real = getattr(os, name)

        def broken(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left >= 0:
                return real(*args, **kwargs)
            if self.error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(self.error, os.strerror(self.error or 0))

        setattr(os, name, broken)


def with_fault(folder: Path, number: int, error: int | None, **settings: Any) -> None:
    """Train with the n-th sync or rename broken. What is rescued goes beside the run."""
    tempfile.tempdir = str(folder.parent)
    fault = Fault(number, error)
    for name in ("fsync", "replace"):
        fault.wrap(name)
    begin_or_go_on(folder, **settings)


def faults(folder: Path, whole: str, numbers: range, error: int | None, **settings: Any) -> int:
    """Break each of these operations in a run of its own, go on without; how many were reached."""
    reached = 0
    for number in numbers:
        place = folder / f"{error}-{number}"
        status = in_a_fork(partial(with_fault, place, number, error, **settings))
        reached += status != 0
        assert in_a_fork(partial(begin_or_go_on, place, **settings)) == 0
        found = read_in_a_fork(partial(bits, place))
        assert found == whole, f"operation {number}, error {error}: {found} instead of {whole}"
    return reached


def read_in_a_fork(action: Callable[[], str]) -> str:
    """What it returns: the parent starts no threads of torch or polars, which a fork would break."""
    reader, writer = os.pipe()

    def tell() -> None:
        os.write(writer, action().encode())

    status = in_a_fork(tell)
    os.close(writer)
    with os.fdopen(reader) as file:
        assert status == 0, "it could not be read"
        return file.read()


def uninterrupted(folder: Path, **settings: Any) -> tuple[str, tuple[float, float]]:
    """The bits of a run that is left alone, and how long it takes to begin and to carry out."""
    since = time.monotonic()
    assert in_a_fork(lambda: begin_or_go_on(folder, **settings)) == 0
    whole = time.monotonic() - since
    since = time.monotonic()
    assert in_a_fork(lambda: begin_or_go_on(folder, **settings)) == 0  # nothing is left to do
    beginning = time.monotonic() - since
    return read_in_a_fork(lambda: bits(folder)), (beginning, max(0.1, whole - beginning))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="of the operations, which are broken")
    options = parser.parse_args()
    import steepest.training  # noqa: F401  (once, before the forks)

    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for engine in ("native", "torch"):
            whole, pace = uninterrupted(folder / f"{engine}-whole", engine=engine)
            counts: Counter[str] = Counter()
            while counts["kills"] < options.kills / 2:
                counts["runs"] += 1
                place = folder / f"{engine}-{counts['runs']}"
                counts += killed_until_done(place, rng, pace, engine=engine)
                assert read_in_a_fork(partial(bits, place)) == whole
            print(f"{engine} engine: {dict(counts)}; every run ended with the same bits")
        for what, error in (("SIGKILL", None), ("EIO", errno.EIO), ("ENOSPC", errno.ENOSPC)):
            whole, _ = uninterrupted(folder / f"{what}-whole", epochs=2)
            reached = faults(folder, whole, range(0, 60, options.every), error, epochs=2)
            print(
                f"{what} at each of {reached} syncs and renames: every run ended with the same bits"
            )


if __name__ == "__main__":
    main()
