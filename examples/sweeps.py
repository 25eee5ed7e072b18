"""The pictures of docs/sweeps.md: a sweep of digits at random points, and what seeds tell of it.

    python examples/sweeps.py [FOLDER]

240 runs take some seconds on two cores. The folder gets parallel.png, heatmap.png, importance.png,
curves.png and sweep.html, and the sweep itself; a second call reads it and draws again.
"""

import sys
from pathlib import Path
from typing import Any

import steepest as sp
from steepest.sweeps import choice, integers, log_uniform

RECIPE = sp.Recipe(data="digits", epochs=12, validation=0.2)
SPACE = {
    "lr": log_uniform(1e-3, 10),
    "batch_size": integers(8, 256, log=True),
    "hidden": choice([(16,), (64,), (128, 128)]),
    "momentum": [0.0, 0.9],
    "batch_norm": [False, True],
}
PICTURES: dict[str, dict[str, Any]] = {
    "parallel": {},
    "heatmap": {"x": "lr", "y": "momentum"},
    "importance": {},
    "curves": {"best": 3},
}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/sweeps")
    sweep = sp.sweep(
        RECIPE, SPACE, sampler="random", trials=60, seeds=4, out=folder / "digits", resume=True
    )
    print(sweep.summary().head(5))
    print(sweep.compare())
    print(sweep.importance().settings)
    for kind, arguments in PICTURES.items():
        ax = sweep.plot(kind, **arguments)
        ax.figure.savefig(folder / f"{kind}.png", dpi=80)
        print(folder / f"{kind}.png")
    print(sweep.report(folder / "sweep.html"))


if __name__ == "__main__":
    main()
