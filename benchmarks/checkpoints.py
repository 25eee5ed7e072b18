"""What checkpoints cost on workload A (784-100-10): python benchmarks/checkpoints.py.

Runs into a folder with checkpoints at the default interval, beside runs whose checkpoints are never
due, in turn; besides, how long one checkpoint takes. The run is long enough to have a few.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import steepest as sp
from steepest.training.checkpoint import Checkpoints

EPOCHS, PAIRS = 60, 3


def seconds(data: sp.Dataset, every: float, place: Path) -> float:
    since = time.perf_counter()
    sp.train(
        None, data, hidden=(100,), activation="tanh", lr=0.1, batch_size=32, epochs=EPOCHS,
        checkpoint_every=every, out=place, progress="none",
    )  # fmt: skip
    return time.perf_counter() - since


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=float, default=sp.Recipe().checkpoint_every)
    every = parser.parse_args().every
    data = sp.load_data("fashion-mnist")
    written: list[float] = []
    write = Checkpoints.write

    def timed(*arguments: object) -> None:
        since = time.perf_counter()
        write(*arguments)  # type: ignore[arg-type]
        written.append(time.perf_counter() - since)

    Checkpoints.write = timed  # type: ignore[assignment]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(PAIRS):
            never = seconds(data, 1e9, Path(folder, f"never-{pair}"))
            count = len(written)
            with_them = seconds(data, every, Path(folder, f"with-{pair}"))
            ratios.append(with_them / never)
            print(
                f"{EPOCHS} epochs: {never:.1f} s with the first and last checkpoint, "
                f"{with_them:.1f} s with {len(written) - count}"
            )
    print(
        f"ratio {statistics.median(ratios):.3f}; one checkpoint takes "
        f"{1000 * statistics.median(written):.0f} ms, {statistics.median(written) / every:.2%} of "
        f"{every:g} s"
    )


if __name__ == "__main__":
    main()
