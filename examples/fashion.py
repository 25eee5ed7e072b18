"""The recipe of examples/fashion.toml over three seeds: test accuracy and seconds of each.

python examples/fashion.py
"""

from pathlib import Path
from statistics import mean

import steepest as sp


def main() -> None:
    recipe = sp.Recipe.read(Path(__file__).with_suffix(".toml"))
    found = []
    for seed in range(3):
        run = sp.train(recipe=recipe, seed=seed, progress="none")
        found.append(run.scores["test"].accuracy)
        seconds, engine = run.info["seconds"], run.info["engine"]
        print(f"seed {seed}: {found[-1]:.2%} in {seconds:.0f} s on the {engine} engine", flush=True)
    print(f"mean {mean(found):.2%}")


if __name__ == "__main__":
    main()
