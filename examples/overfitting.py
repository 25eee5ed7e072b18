"""The lecture's pictures of overfitting and regularisation (L18 to L20), made by training.

    python examples/overfitting.py [FOLDER]

cliff.png: a linear classifier of two points, without and with L2. spread.png: of two weight vectors
with the same score, L2 prefers the spread one. gap.png: a net on few rows of which a fifth have
labels drawn by chance, and what each regulariser does to the gap between training and test.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

import steepest as sp
from steepest.report import TRAIN, VALIDATION

POINTS = np.array([[-0.5], [0.5]], dtype=np.float32)
CLASSES = np.array([0, 1])
L2_OF_THE_CLIFF = 0.01

FEW_ROWS: dict[str, Any] = {
    "hidden": (128,),
    "epochs": 100,
    "validation": 0.0,
    "scaling": "standardise",
}
ROWS = 400
REGULARISERS: dict[str, dict[str, Any]] = {
    "none": {},
    "l1 = 0.003": {"l1": 3e-3},
    "l2 = 0.01": {"l2": 1e-2},
    "dropout = 0.5": {"dropout": 0.5},
    "batch_norm": {"batch_norm": True},
    "label_smoothing = 0.2": {"label_smoothing": 0.2},
    "mixup = 1": {"mixup": 1.0},
    "cutout = 3": {"cutout": 3},
    "early_stopping": {"early_stopping": True, "validation": 0.15},
}
SEEDS = range(5)


def cliff(l2: float) -> nn.Linear:
    """A linear classifier of two points, one of each class, after 5000 steps on both."""
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    sp.train(
        model,
        (POINTS, CLASSES),
        lr=10.0,
        l2=l2,
        batch_size="full",
        epochs=5000,
        validation=0.0,
        scaling="none",
        log_every=5000,
        progress="none",
    )
    return model


def plot_cliff(ax: Axes) -> Axes:
    x = torch.linspace(-2, 2, 400)[:, None]
    for l2, colour, style in ((0.0, VALIDATION, "-"), (L2_OF_THE_CLIFF, TRAIN, "--")):
        model = cliff(l2)
        with torch.no_grad():
            p = torch.sigmoid(model(x))
        label = f"l2 = {l2:g}: w = {model.weight.item():.1f}"
        ax.plot(x[:, 0], p[:, 0], style, color=colour, label=label)
    ax.plot(POINTS[:, 0], CLASSES, "ko", label="the two samples")
    ax.set_xlabel("x")
    ax.set_ylabel("probability of class 1")
    ax.set_title("Both classify perfectly; one falls off a cliff")
    ax.legend()
    return ax


def spread(steps: int = 1000, l2: float = 0.05) -> np.ndarray:
    """Weights on the way from w1 = [1 0 0 0], when the score of x = [1 1 1 1] is kept at 1.

    Gradient descent on (score - 1)^2 + l2 sum w^2. Returns (steps + 1, 4).
    """
    x, w = torch.ones(4), torch.tensor([1.0, 0, 0, 0], requires_grad=True)
    path = [w.detach().clone()]
    for _ in range(steps):
        (((w @ x) - 1) ** 2 + l2 * w.square().sum()).backward()
        with torch.no_grad():
            w -= 0.05 * w.grad
            w.grad = None
        path.append(w.detach().clone())
    return torch.stack(path).numpy()


def plot_spread(ax: Axes) -> Axes:
    path = spread()
    ax.plot(path[:, 0], color=VALIDATION, label="w[0], from 1")
    ax.plot(path[:, 1], "--", color=TRAIN, label="w[1], w[2], w[3], from 0")
    ax.axhline(0.25, color="grey", lw=0.8)
    ax.set_xlabel("steps")
    ax.set_ylabel("weight")
    ax.set_title("Same score; L2 costs 1 for [1 0 0 0], 0.25 for [.25 .25 .25 .25]")
    ax.legend()
    return ax


def few_rows(seed: int) -> sp.Dataset:
    """Some digits to train on, a fifth of their labels drawn by chance; the others to test."""
    digits = sp.load_data("digits").train
    X = np.asarray(digits.inputs, dtype=np.float32).reshape(-1, 8, 8)
    y = np.asarray(digits.labels)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    seen, unseen = order[:ROWS], order[ROWS:]
    labels = np.where(rng.random(ROWS) < 0.2, rng.permutation(y[seen]), y[seen])
    return sp.Dataset(
        train=sp.Samples(X[seen], labels, "digits"),
        test=sp.Samples(X[unseen], y[unseen], "digits"),
    )


def gaps() -> dict[str, tuple[float, float]]:
    """Training and test accuracy with each regulariser, means over the seeds."""
    found = {}
    for name, own in REGULARISERS.items():
        scores = [
            sp.train(None, few_rows(seed), seed=seed, progress="none", **{**FEW_ROWS, **own}).scores
            for seed in SEEDS
        ]
        parts = ("train", "test")
        found[name] = tuple(float(np.mean([s[p].accuracy for s in scores])) for p in parts)
    return found  # type: ignore[return-value]


def plot_gaps(ax: Axes) -> Axes:
    found = gaps()
    names = list(found)[::-1]
    for i, name in enumerate(names):
        seen, unseen = found[name]
        print(f"{name:24s} train {seen:.1%}  test {unseen:.1%}  gap {seen - unseen:.1%}")
        ax.plot([unseen, seen], [i, i], color="grey", zorder=1)
        ax.plot(seen, i, "o", color=TRAIN, label="training" if i == 0 else None)
        ax.plot(unseen, i, "s", color=VALIDATION, label="test" if i == 0 else None)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("accuracy")
    ax.set_title("64-128-10 on 400 digits, a fifth of their labels wrong; five seeds")
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(0.02, 0.75))
    return ax


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/overfitting")
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in (("cliff", plot_cliff), ("spread", plot_spread), ("gap", plot_gaps)):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        plot(figure.subplots())
        figure.savefig(folder / f"{name}.png", dpi=120)
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main()
