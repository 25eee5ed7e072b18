"""Train on data of four times the memory that this process may use: array|parquet FOLDER LIMIT.

The data are made in FOLDER by another process. This one puts itself into a control group with that
limit (bytes) before it imports anything large, trains, and prints how many times the limit they are and how well
it learned. A process that holds more than the limit is killed by the system.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

FEATURES, TIMES = 400, 4


@contextmanager
def limited(limit: int):
    """A control group of either version; needs root."""
    roots = {"v1": Path("/sys/fs/cgroup/memory"), "v2": Path("/sys/fs/cgroup")}
    kind = "v1" if roots["v1"].is_dir() else "v2"
    name = {"v1": "memory.limit_in_bytes", "v2": "memory.max"}[kind]
    group = roots[kind] / f"steepest-{os.getpid()}"
    group.mkdir()
    (group / name).write_text(str(limit))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (roots[kind] / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def blocks(rows: int):
    """Small integers, (b, FEATURES) uint8, and classes that depend on the first two features."""
    import numpy as np

    rng = np.random.default_rng(0)
    for start in range(0, rows, 20_000):
        x = rng.integers(0, 8, (min(20_000, rows - start), FEATURES), dtype=np.uint8)
        yield x, (x[:, 0] > x[:, 1]).astype(np.int64)


def make_array(folder: Path, rows: int):
    import numpy as np

    X = np.lib.format.open_memmap(
        folder / "X.npy", mode="w+", dtype=np.float32, shape=(rows, FEATURES)
    )
    labels, done = [], 0
    for x, y in blocks(rows):
        X[done : done + len(x)] = x
        labels.append(y)
        done += len(x)
    X.flush()
    np.save(folder / "y.npy", np.concatenate(labels))
    return (folder / "X.npy", folder / "y.npy")


def make_parquet(folder: Path, rows: int):
    import polars as pl

    (folder / "parts").mkdir()
    for i, (x, y) in enumerate(blocks(rows)):
        frame = pl.DataFrame({f"x{j}": x[:, j] for j in range(FEATURES)})
        frame.with_columns(pl.Series("y", y)).write_parquet(folder / "parts" / f"{i:04d}.parquet")
    return folder / "parts"


def main() -> None:
    kind, folder, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.environ["TMPDIR"] = str(folder)
    rows = TIMES * limit // (4 * FEATURES)
    make = {"array": make_array, "parquet": make_parquet}[kind]
    with ProcessPoolExecutor(1) as pool:  # whose memory is its own
        data = pool.submit(make, folder, rows).result()
    with limited(limit):
        import steepest as sp

        run = sp.train(
            None,
            sp.load_data(data, target="y" if kind == "parquet" else None),
            hidden=(8,),
            epochs=1,
            momentum=0.9,
            lr=0.01,
            sampling="blocks",
            validation=0.02,
            progress="none",
        )
    print(rows * 4 * FEATURES / limit, run.scores["validation"].accuracy)


if __name__ == "__main__":
    main()
