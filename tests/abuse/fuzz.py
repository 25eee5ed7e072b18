"""Damaged and hostile files by the thousand: python tests/abuse/fuzz.py --minutes 60.

Each input is a valid file that was changed in a few places: bytes, or what they mean (changes.py).
Whatever reads it must give a result or
a SteepestError, within 20 seconds and 2 GiB beyond what the process had: never another exception, a
crash of the interpreter, a hang or an unbounded allocation. Inputs are a function of (seed, number).
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import changes
import numpy as np

SECONDS, BYTES = 20, 2 * 2**30
_BATCH = 150
_INTERESTING = (0, 1, 9, 10, 13, 32, 34, 39, 44, 127, 128, 254, 255)
_WORDS = (
    *(
        b"nan",
        b"inf",
        b"-1",
        b"1e309",
        b"99999999999999999999",
        b"2147483648",
        b"0",
        b'""',
        b"null",
    ),
    *(b"[", b"{", b"\xff\xfe", b"\xef\xbb\xbf", b"../../x", b"\n", b"\r\n", b'"', b"\x00" * 8),
)


@dataclass(frozen=True)
class Target:
    """A kind of input. files: whose bytes may be changed, below the folder; or what changes them.

    read: what must survive it.
    """

    files: tuple[str, ...]
    read: Callable[[Path], object]
    mend: Callable[[Path, bytes], bytes] = lambda path, content: content
    change: Callable[[Path, np.random.Generator], None] | None = None


def prepared(name: str, **settings: object) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from steepest.recipe import Recipe
        from steepest.training.preparation import prepare

        return prepare(None, folder / name, Recipe(engine="torch", **settings))

    return read


def run_read(folder: Path) -> None:
    import steepest as sp
    from steepest.training.checkpoint import newest

    def look() -> None:
        run = sp.load_run(folder / "run")
        _ = run.history, run.layers, run.intervals, run.info, run.scores, repr(run)
        run.record.table("events")
        run.classifier.predict_proba(np.zeros((3, 4), np.float32))

    try:
        look()
    finally:  # refused or not: the checkpoints have readers of their own
        newest(folder / "run")


def net_read(folder: Path) -> None:
    """A net of layers of many kinds, opened, asked and trained further."""
    import steepest as sp

    X, y = images()
    try:
        sp.load_run(folder / "net").classifier.predict_proba(X[:3])
    finally:
        sp.resume(folder / "net", data=(X, y), epochs=3, progress="none")


def images() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).normal(size=(40, 1, 6, 6)).astype(np.float32), np.arange(40) % 2


def linked_read(folder: Path) -> None:
    """Read and trained further; what lies elsewhere stays as it was."""
    import steepest as sp

    elsewhere = folder / "elsewhere"
    before = contents(elsewhere)
    X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    try:
        try:
            run_read(folder)
        finally:
            sp.resume(folder / "run", data=(X, np.arange(40) % 2), epochs=3, progress="none")
    finally:
        assert contents(elsewhere) == before, "a file outside the run folder was changed"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def recipe_read(folder: Path) -> object:
    from steepest.recipe import Recipe

    return Recipe.read(folder / "recipe.toml")


def zipped_again(path: Path, content: bytes) -> bytes:
    """A member of the archive changed, and the archive's checksums right again."""
    return content if path.suffix not in (".npz", ".gz") else _archive(path, content)


def _archive(path: Path, content: bytes) -> bytes:
    if path.suffix == ".gz":
        return gzip.compress(content, 1)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        half = content.find(b"\x93NUMPY", 6)
        archive.writestr("X.npy", content[:half] if half > 0 else content)
        archive.writestr("y.npy", content[half:] if half > 0 else b"")
    return out.getvalue()


def right_checksum(path: Path, content: bytes) -> bytes:
    """A checkpoint's tensors changed by somebody who can compute the checksum as well."""
    if path.suffix == ".safetensors":
        beside = path.with_suffix(".json")
        described = json.loads(beside.read_text())
        described["sha256"] = hashlib.sha256(content).hexdigest()
        beside.write_text(json.dumps(described))
    return content


_RUN = tuple(
    f"run/{name}"
    for name in (
        "layout.json",
        "recipe.toml",
        "classifier.json",
        "record.sqlite",
        "model.safetensors",
    )
)
TARGETS = {
    "csv": Target(("table.csv",), prepared("table.csv", target="kind")),
    "quoted csv": Target(("quoted.csv",), prepared("quoted.csv", target="kind")),
    "parquet": Target(("table.parquet",), prepared("table.parquet", target="kind")),
    "npz": Target(("plain.npz",), prepared("plain.npz")),
    "zipped npz": Target(("zipped.npz",), prepared("zipped.npz"), zipped_again),
    "npy": Target(("X.npy", "y.npy"), lambda f: prepared("X.npy", target=str(f / "y.npy"))(f)),
    "idx": Target(
        ("idx/train-images-idx3-ubyte", "idx/train-labels-idx1-ubyte"), prepared("idx")
    ),
    "idx gzip": Target(
        ("idxgz/train-images-idx3-ubyte.gz", "idxgz/train-labels-idx1-ubyte.gz"),
        prepared("idxgz"),
        zipped_again,
    ),
    "images": Target(("images/a/0.png", "images/b/0.jpg", "images/b/1.gif"), prepared("images")),
    "recipe": Target(("recipe.toml",), recipe_read),
    "run": Target(_RUN, run_read),
    "checkpoint": Target(("run/checkpoints/*.json", "run/checkpoints/*.safetensors"), run_read, right_checksum),
    "dotted recipe": Target((), recipe_read, change=changes.recipe),
    "net": Target((), net_read, change=changes.described("net/classifier.json")),
    "net of a checkpoint": Target((), net_read, change=changes.described("net/checkpoints/*.json")),
    "run's description": Target((), run_read, change=changes.described("run/*.json")),
    "record": Target((), run_read, change=changes.record),
    "links": Target((), linked_read, change=changes.something_else),
}  # fmt: skip


def make_corpus(folder: Path) -> None:
    """Small valid files of each kind."""
    import polars as pl
    from PIL import Image

    import steepest as sp

    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 4)).astype(np.float32)
    y = np.arange(40) % 2
    frame = pl.DataFrame({f"x{i}": X[:, i] for i in range(4)}).with_columns(
        pl.Series("word", [f"w{i % 3}" for i in range(40)]),
        pl.Series("kind", ["no", "yes"] * 20),
    )
    frame.write_csv(folder / "table.csv")
    frame.write_csv(folder / "quoted.csv", quote_style="always", separator=";")
    frame.write_parquet(folder / "table.parquet")
    np.savez(folder / "plain.npz", X=X, y=y)
    np.savez_compressed(folder / "zipped.npz", X=X, y=y)
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    pixels = rng.integers(0, 256, (40, 5, 5), dtype=np.uint8)
    for name, opened in (("idx", open), ("idxgz", gzip.open)):
        ending = ".gz" if name == "idxgz" else ""
        (folder / name).mkdir()
        with opened(folder / name / f"train-images-idx3-ubyte{ending}", "wb") as file:
            file.write(struct.pack(">IIII", 0x803, 40, 5, 5) + pixels.tobytes())
        with opened(folder / name / f"train-labels-idx1-ubyte{ending}", "wb") as file:
            file.write(struct.pack(">II", 0x801, 40) + y.astype(np.uint8).tobytes())
    for kind in "ab":
        (folder / "images" / kind).mkdir(parents=True)
        for i, ending in enumerate(("png" if kind == "a" else "jpg", "gif")):
            Image.fromarray(pixels[i]).save(folder / "images" / kind / f"{i}.{ending}")
    sp.train(
        None, (X, y), epochs=2, hidden=(3,), validation=0.2, out=folder / "run", progress="none"
    )
    shutil.copy(folder / "run" / "recipe.toml", folder / "recipe.toml")
    shutil.copytree(folder / "run", folder / "elsewhere")
    sp.train(net(), images(), epochs=2, out=folder / "net", progress="none", check=False)


def net() -> object:
    from torch import nn

    import steepest as sp

    inner = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4))
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, stride=1, padding="same"), nn.ReLU(), nn.GroupNorm(2, 4)),
        *(
            sp.Residual(inner, stochastic_depth=0.1),
            nn.AdaptiveAvgPool2d(3),
            nn.AdaptiveMaxPool2d(6),
        ),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.LayerNorm(36), nn.Dropout(0.2)),
        *(nn.Linear(36, 8), nn.PReLU(8), nn.Unflatten(1, (2, 4)), nn.Flatten(), nn.Linear(8, 2)),
    )


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """The content, changed in one to four places."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(data) + 1))
        # Headers matter most: half of the changes are near the beginning or the end.
        if rng.random() < 0.5 and data:
            near = int(rng.integers(0, min(len(data), 160)))
            at = near if rng.random() < 0.7 else len(data) - near
        length = int(rng.integers(1, 9))
        match int(rng.integers(0, 9)):
            case 0 if at < len(data):
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1 if at < len(data):
                data[at] = _INTERESTING[rng.integers(0, len(_INTERESTING))]
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length] * int(rng.integers(1, 40))
            case 4:
                data[at:at] = rng.bytes(length)
            case 5:
                del data[at:]
            case 6:
                data[at : at + length] = _WORDS[rng.integers(0, len(_WORDS))]
            case 7:
                number = int(rng.integers(0, 2**63)) >> int(rng.integers(0, 63))
                data[at : at + 8] = struct.pack("<Q" if rng.random() < 0.5 else ">Q", number)
            case 8:
                data[at : at + length] = b"[" * 100_000 if rng.random() < 0.1 else b"9" * length
    return bytes(data)


def attempt(corpus: Path, work: Path, seed: int, number: int) -> tuple[str, str]:
    """Read one input: its kind, and what came of it. An exception that is no SteepestError rises."""
    from steepest.errors import SteepestError

    rng = np.random.default_rng((seed, number))
    kind = list(TARGETS)[number % len(TARGETS)]
    target = TARGETS[kind]
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(corpus, work)
    if target.change is not None:
        target.change(work, rng)
    else:
        change_bytes(target, work, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            target.read(work)
        except SteepestError:
            return kind, "refused"
    return kind, "read"


def change_bytes(target: Target, work: Path, rng: np.random.Generator) -> None:
    files = [path for pattern in target.files for path in sorted(work.glob(pattern))]
    path = files[rng.integers(0, len(files))]
    content = path.read_bytes()
    if target.mend is zipped_again and rng.random() < 0.7:
        content = target.mend(path, mutate(_unpacked(path, content), rng))
    else:
        content = target.mend(path, mutate(content, rng)) if path.suffix == ".safetensors" else mutate(content, rng)  # fmt: skip
    path.write_bytes(content)


def _unpacked(path: Path, content: bytes) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def child(corpus: Path, scratch: Path, seed: int, numbers: range) -> None:
    """Read these inputs; progress and failures go to files that outlive a crash."""
    work = scratch / "work"
    with open(scratch / "log", "w") as log:
        for number in numbers:
            log.write(f"{number}\n")
            log.flush()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of work; and a dead lock does none
            signal.alarm(10 * SECONDS)
            try:
                log.write(" ".join(attempt(corpus, work, seed, number)) + "\n")
            except BaseException:
                log.write(f"failed {json.dumps(traceback.format_exc())}\n")
            log.flush()
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
    os._exit(0)


def fuzz(corpus: Path, seed: int, numbers: range) -> tuple[Counter[str], list[str]]:
    """Read inputs in a forked process: counts of outcomes, and each failure in words."""
    counts: Counter[str] = Counter()
    failures: list[str] = []
    scratch = Path(tempfile.mkdtemp())
    while len(numbers):
        process = os.fork()
        if process == 0:
            child(corpus, scratch, seed, numbers)
        status = watched(process)
        last = numbers.start
        for line in (scratch / "log").read_text().splitlines():
            if line.isdigit():
                last = int(line)
            elif line.startswith("failed "):
                failures.append(f"input {last}:\n{json.loads(line[7:])}")
            else:
                counts[line] += 1
        if os.WIFSIGNALED(status):
            failures.append(f"input {last}: the process died of signal {os.WTERMSIG(status)}")
        numbers = numbers[last + 1 - numbers.start :]
    shutil.rmtree(scratch, ignore_errors=True)
    return counts, failures


def watched(process: int) -> int:
    """Wait for it, and kill it if it holds too much memory; its status.

    Memory that is held, not address space: allocators and threads reserve far more than they use.
    """
    before = held(process)
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return status
        if held(process) > before + BYTES:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def held(process: int) -> int:
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def corpus_in(folder: Path) -> Path:
    """Made in a process of its own: threads of polars and torch do not survive a fork."""
    process = os.fork()
    if process == 0:
        make_corpus(folder)
        os._exit(0)
    os.waitpid(process, 0)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--inputs", type=int, help="so many inputs, however long they take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one kind of file")
    parser.add_argument("--input", type=int, help="read this one input again, in this process")
    options = parser.parse_args()
    import steepest.classifier
    import steepest.training  # noqa: F401  (imported once, before the forks)

    if options.only:
        for kind in set(TARGETS) - {options.only}:
            del TARGETS[kind]
    with tempfile.TemporaryDirectory() as folder:
        corpus = corpus_in(Path(folder))
        if options.input is not None:
            print(attempt(corpus, Path(folder, "work"), options.seed, options.input))
            return
        end = time.monotonic() + 60 * options.minutes
        counts: Counter[str] = Counter()
        seen: list[str] = []
        number = 0
        while number < options.inputs if options.inputs else time.monotonic() < end:
            batch = range(number, min(number + _BATCH, options.inputs or number + _BATCH))
            found, failures = fuzz(corpus, options.seed, batch)
            number = batch.stop
            counts += found
            for failure in failures:
                print(failure, flush=True)
            seen += failures
        print(f"{number} inputs, {len(seen)} failures")
        for outcome, count in sorted(counts.items()):
            print(f"  {outcome}: {count}")
        sys.exit(bool(seen))


if __name__ == "__main__":
    main()
