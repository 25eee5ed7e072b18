"""The lecture's net on real data: 784-100-10 on Fashion-MNIST, or 64-100-10 on the digits.

Run by `make demo`. Prints a table of the result, saves the curves, and tells where the run lies.
"""

import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import Flatten, Linear, Sequential, Tanh

import steepest as sp
from steepest.report import save_curves


def main() -> None:
    try:
        data = sp.load_data("fashion-mnist")
        name, pixels, epochs = "fashion-mnist", 784, 5
    except sp.SteepestError as error:
        print(f"{error}\nTraining on scikit-learn's digits instead.")
        data = sp.load_data("digits")
        name, pixels, epochs = "digits", 64, 20
    recipe = sp.Recipe(
        lr=0.01, momentum=0.9, batch_size=64, epochs=epochs, scaling="standardise", test=0.2
    )
    torch.manual_seed(0)
    model = Sequential(Flatten(), Linear(pixels, 100), Tanh(), Linear(100, 10))

    folder = Path("runs", f"demo-{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    run = sp.train(model, data, recipe, out=folder)

    evaluation = run.evaluate()
    table = Table("class", "precision", "recall", "rows", title=f"Test rows of {name}")
    for score in evaluation.classes:
        table.add_row(
            score.name, f"{score.precision:.3f}", f"{score.recall:.3f}", str(score.support)
        )
    Console().print(table)
    print(f"test accuracy    {evaluation.accuracy:.4f} (loss {evaluation.loss:.4f})")
    print(f"curves           {save_curves(run, folder / 'curves.png')}")
    print(f"run              {folder}  (steepest evaluate {folder} {name})")


if __name__ == "__main__":
    main()
