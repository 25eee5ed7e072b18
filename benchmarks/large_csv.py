"""A CSV of a million rows and 20 columns: seconds and memory until the first step is done.

python benchmarks/large_csv.py [--rows 1000000]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl


def write(path: Path, rows: int) -> None:
    """15 numbers, 2 booleans, 2 words and the class; one value in fifty is missing."""
    rng = np.random.default_rng(0)
    numbers = {f"x{i}": rng.normal(10 * i, 1 + i, rows).round(4) for i in range(15)}
    frame = pl.DataFrame(
        {
            **{name: np.where(rng.random(rows) < 0.02, np.nan, x) for name, x in numbers.items()},
            "member": rng.random(rows) < 0.5,
            "active": rng.random(rows) < 0.1,
            "city": rng.choice(["Prague", "Brno", "Ostrava", "Plzen"], rows),
            "plan": rng.choice([f"plan {i}" for i in range(30)], rows),
            "churned": np.where(numbers["x1"] + rng.normal(0, 2, rows) > 10, "yes", "no"),
        }
    )
    frame.with_columns(pl.selectors.float().fill_nan(None)).write_csv(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.csv")
        write(path, arguments.rows)
        command = [sys.executable, "-m", "steepest", "train", str(path), "--target", "churned"]
        command += ["--steps", "1", "--progress", "none", "--out", str(Path(folder, "run"))]
        since = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - since
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        size = path.stat().st_size / 2**20
    print(
        f"{arguments.rows} rows, {size:.0f} MiB: {seconds:.1f} s with one step, peak {peak:.2f} GiB"
    )


if __name__ == "__main__":
    main()
