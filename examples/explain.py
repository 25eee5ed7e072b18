"""Gradient descent explained in pictures: those of docs/explain.md.

    python examples/explain.py [FOLDER] [FRAMES]

lecture.html: the worked 5-7-4-3 example, every step. graph.svg, net.svg: computational graphs.
layers.svg: the units of that net.
line.gif, moons.gif: full batch, minibatch and incremental side by side. plane.gif: a linear
classifier over its two weights. initialisation.png: six schemes, raw and standardised inputs.
ratios.png: update-to-weight ratios of a run.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

import steepest as sp
from steepest.explain import (
    backprop,
    descent,
    graph,
    initialisation_spread,
    plot_update_ratios,
    spread_figure,
    toy,
)

X = torch.tensor([[-8.0, 1, -3, 5, 2], [-2, 2, -1, 5, 2], [7, 1, 9, -5, -2], [3, 1, 9, 5, 2]])
CLASSES = torch.tensor([2, 0, 1, 2])


def net() -> nn.Sequential:
    """The lecture's 5-7-4-3 net, with weights of its own."""
    torch.manual_seed(1)
    hidden = (nn.Linear(5, 7), nn.Sigmoid(), nn.Linear(7, 4), nn.Sigmoid())
    return nn.Sequential(*hidden, nn.Linear(4, 3))


def f(x: torch.Tensor) -> torch.Tensor:
    return (x[0] + x[1]) ** 2 + 7 * x[0] + torch.cos(x[0] + x[2])


def formulas(folder: Path) -> Iterator[Path]:
    yield backprop(net(), X, CLASSES).save(folder / "lecture.html")
    yield graph(f, [2.0, 3.0, -2.0]).save(folder / "graph.svg")
    yield graph(net(), X, CLASSES).save(folder / "net.svg")


def layers(folder: Path) -> Iterator[Path]:
    """The net as units and weights, with what goes forward and what comes back."""
    sizes, names = (5, 7, 4, 3), ("X", "A1", "A2", "A3")
    x = [60 + 170 * i for i in range(4)]
    places = [[190 + 40 * (j - (n - 1) / 2) for j in range(n)] for n in sizes]
    parts = []
    for i in range(3):
        parts += [
            f'<path d="M{x[i]} {a}L{x[i + 1]} {b}" stroke="#b8bec7"/>'
            for a in places[i]
            for b in places[i + 1]
        ]
    for i, n in enumerate(sizes):
        parts += [
            f'<circle cx="{x[i]}" cy="{y}" r="12" fill="#f4f6f9" stroke="#1c2430"/>'
            for y in places[i]
        ]
        parts.append(
            f'<text x="{x[i]}" y="24" font-weight="bold">{names[i]}</text>'
            f'<text x="{x[i]}" y="346" font-size="12">N × {n}</text>'
        )
    for i in range(1, 4):
        middle = (x[i - 1] + x[i]) / 2
        parts.append(
            f'<text x="{middle}" y="24" fill="#005a9c">W{i}, b{i} →</text>'
            f'<text x="{middle}" y="374" fill="#b84400">← dL/dW{i}, dL/db{i}</text>'
        )
    parts.append(
        '<text x="650" y="24" font-weight="bold">L</text>'
        '<circle cx="650" cy="190" r="12" fill="#fff" stroke="#1c2430" stroke-width="2"/>'
        + "".join(f'<path d="M{x[3] + 12} {y}L638 190" stroke="#b8bec7"/>' for y in places[3])
    )
    path = folder / "layers.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 710 390" width="710" height="390" '
        'font-family="DejaVu Sans, sans-serif" font-size="14" text-anchor="middle">'
        '<rect width="710" height="390" fill="#fff"/>' + "".join(parts) + "</svg>\n",
        "utf-8",
    )
    yield path


def films(folder: Path, frames: int) -> Iterator[Path]:
    yield descent("line", epochs=40, frames=frames).save(folder / "line.gif")
    yield descent("moons", frames=frames).save(folder / "moons.gif")
    # Two weights, so that the surface is the loss itself and not a section of it.
    x, _ = toy("line")
    classes = (x[:, 0] > 0.4).astype(int)
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, -2.0)
    nn.init.constant_(model.bias, 3.0)
    linear = descent((x, classes), model, lr=1.0, epochs=12, scaling="none", frames=frames)
    yield linear.save(folder / "plane.gif")


def initialisation(folder: Path) -> Iterator[Path]:
    spread_figure(initialisation_spread("digits")).savefig(folder / "initialisation.png", dpi=90)
    yield folder / "initialisation.png"
    run = sp.train(None, "digits", hidden=(64, 64), epochs=10, progress="none")
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    plot_update_ratios(run.layers, figure.subplots())
    figure.savefig(folder / "ratios.png", dpi=90)
    yield folder / "ratios.png"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/explain")
    frames = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    folder.mkdir(parents=True, exist_ok=True)
    for made in (formulas(folder), layers(folder), films(folder, frames), initialisation(folder)):
        for path in made:
            print(path)


if __name__ == "__main__":
    main()
