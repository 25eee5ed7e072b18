"""What steepest does, in half a minute, on the 1797 handwritten digits that scikit-learn brings.

    python examples/demo.py [DATA]

Run by `make demo`. It trains a 64-100-10 net and shows the result on test rows, trains it again for
the same bits, and finds the fault in a net that does not learn. DATA is other images by name, as
fashion-mnist (784-100-10), where they are on this machine.
"""

import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.report import save_curves, write_report

PIXELS = {"digits": 64, "fashion-mnist": 784, "mnist": 784}
EPOCHS = {"digits": 20}
RECIPE = sp.Recipe(lr=0.01, momentum=0.9, batch_size=64, scaling="standardise", test=0.2)


def make_model(pixels: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 100), nn.Tanh(), nn.Linear(100, 10))


def train(name: str, folder: Path) -> nn.Module:
    """Train, show the scores of each class, save the curves and the report."""
    model = make_model(PIXELS[name])
    run = sp.train(model, sp.load_data(name), RECIPE, epochs=EPOCHS.get(name, 5), out=folder)
    evaluation = run.evaluate()
    table = Table("class", "precision", "recall", "rows", title=f"Test rows of {name}")
    for score in evaluation.classes:
        table.add_row(
            score.name, f"{score.precision:.3f}", f"{score.recall:.3f}", str(score.support)
        )
    Console().print(table)
    print(f"test accuracy    {evaluation.accuracy:.4f} (loss {evaluation.loss:.4f})")
    print(f"engine           {run.info['engine']}, {run.info['seconds']:.2f} s of training")
    print(f"curves           {save_curves(run, folder / 'curves.png')}")
    print(f"report           {write_report(run, folder / 'report.html')}")
    print(f"run              {folder}  (steepest evaluate {folder} {name})")
    return model


def train_again(name: str, first: nn.Module) -> None:
    """The same recipe on the same data gives the same bits."""
    model = make_model(PIXELS[name])
    sp.train(
        model, sp.load_data(name), RECIPE, epochs=EPOCHS.get(name, 5), progress="none", check=False
    )
    pairs = zip(first.parameters(), model.parameters(), strict=True)
    same = all(torch.equal(a, b) for a, b in pairs)
    print(f"\ntrained again    {'every weight has the same bits' if same else 'WEIGHTS DIFFER'}")


def find_the_fault() -> None:
    """A softmax before a loss that has one of its own: the net learns, but slowly and badly."""
    X = torch.randn(600, 64, generator=torch.Generator().manual_seed(0))
    loader = DataLoader(TensorDataset(X, X[:, :3].argmax(1)), 32, shuffle=True)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    print("\nand a net of another program that does not learn, asked why:\n")
    print(sp.check(net, nn.CrossEntropyLoss(), optimizer, loader))


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "digits"
    if name not in PIXELS:
        raise SystemExit(f"the demo trains on {', '.join(PIXELS)}, not on {name!r}")
    try:
        model = train(name, Path("runs", f"demo-{name}-{time.strftime('%Y%m%d-%H%M%S')}"))
    except sp.SteepestError as error:
        raise SystemExit(str(error)) from None
    train_again(name, model)
    find_the_fault()


if __name__ == "__main__":
    main()
