"""The lecture's numbers worked out again, each beside the one that the slides print."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn, tensor

from steepest.explain.backprop.ledger import Ledger, backprop
from steepest.explain.backprop.text import verdict
from steepest.nn import LinearLayer
from steepest.objective import binary_cross_entropy, cross_entropy

# The worked example (L3, L5): four samples of five numbers, and their classes.
X = (
    (-8.0, 1.0, -3.0, 5.0, 2.0),
    (-2.0, 2.0, -1.0, 5.0, 2.0),
    (7.0, 1.0, 9.0, -5.0, -2.0),
    (3.0, 1.0, 9.0, 5.0, 2.0),
)
CLASSES = (2, 0, 1, 2)
# The slides draw the weights with torch.rand and do not say from which seed; from this one they
# are the slides' own, to every printed digit.
SEED = 0

A3 = ".4358 .2137 .3505 .4785 .1890 .3325 .4795 .1882 .3324 .4797 .1880 .3323"
DA3 = "0 0 -.7133 -.5224 0 0 0 -1.3285 0 0 0 -.7523"
DZ3 = ".1090 .0534 -.1624 -.1304 .0473 .0831 .1199 -.2030 .0831 .1199 .0470 -.1669"

# What our page `docs/lecture.md` calls each slide, and the title that it has.
_MULTINOMIAL = "L2, Cross-Entropy Loss (Multinomial Logistic Regression)"
_BINARY_DEMO = "L4, Cross entropy loss: Demo with PyTorch"
_BACKPROP = "L3 and L5, Backprop in pytorch"
_GRAPH = "L6, Backpropagation graph"
_SEQUENTIAL = "L7, torch.nn.Sequential"
_PREFERENCES = "L20, Regularization: Expressing Preferences"

SLIPS = (
    f"slide {_BACKPROP}: one cell computes the loss as 1/N sum(Y * A3) = 0.3374: the logarithm and "
    "the minus sign are missing. The loss is -1/N sum(Y * log A3) = 1.1394, as two cells later.",
    f"slide {_GRAPH}: the formula labelled df/dx2 is df/dx0. df/dx2 is -sin(x0 + x2).",
)


@dataclass(frozen=True)
class SlideCheck:
    """One number of the slides.

    slide: which one, by the number in `docs/lecture.md` and its title. topic: what it is about.
    printed: as the slide has it. ours: as we compute it.
    """

    slide: str
    topic: str
    quantity: str
    printed: str
    ours: float

    @property
    def rounded(self) -> str:
        """Ours with as many decimals as the slides print."""
        decimals = len(self.printed.partition(".")[2])
        return f"{round(self.ours, decimals) + 0.0:.{decimals}f}"  # no -0

    @property
    def equal(self) -> bool:
        """Whether ours is the slides' number at the precision that they print."""
        return float(self.rounded) == float(self.printed)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "slide": self.slide,
            "topic": self.topic,
            "quantity": self.quantity,
            "slides": self.printed,
            "ours": self.ours,
            "equal": self.equal,
        }


def worked_example() -> tuple[nn.Sequential, Tensor, Tensor]:
    """The 5-7-4-3 net with the slides' weights, its four samples and their classes."""
    generator = torch.Generator().manual_seed(SEED)
    layers = [nn.Linear(fan_in, out) for fan_in, out in ((5, 7), (7, 4), (4, 3))]
    with torch.no_grad():
        for layer in layers:  # in the slides' order: W1, b1, W2, b2, W3, b3
            layer.weight.copy_(torch.rand(layer.weight.shape, generator=generator))
            layer.bias.copy_(torch.rand(layer.bias.shape, generator=generator))
    first, second, third = layers
    model = nn.Sequential(first, nn.Sigmoid(), second, nn.Sigmoid(), third)
    return model, tensor(X), tensor(CLASSES)


def lecture_ledger() -> Ledger:
    """The worked example, every step of it."""
    return backprop(*worked_example())


def lecture_function(x: Tensor) -> Tensor:
    """f(x) = (x0 + x1)² + 7 x0 + cos(x0 + x2), as the slides write it."""
    return (x[0] + x[1]) ** 2 + 7 * x[0] + torch.cos(x[0] + x[2])


def checks() -> list[SlideCheck]:
    """Every number of the slides beside ours."""
    parts = (_softmax, _fresh, _shapes, _example, _graph, _layers, _binary, _penalties)
    numbers: list[SlideCheck] = []
    for part in parts:
        numbers += part()
    return numbers


def print_lecture(ledger: Ledger, checks: Sequence[SlideCheck]) -> None:
    """The result; then the slides' numbers in a table, slide by slide; then the worked example."""
    console = Console(highlight=False)
    different = sum(not check.equal for check in checks)
    result = f"{different} of them differ" if different else "all equal at the printed precision"
    console.print(Text(f"{len(checks)} numbers of the slides: {result}", style="bold"))
    console.print(Text(f"worked example: {verdict(ledger.entries)}", style="bold"))
    for slip in SLIPS:
        console.print(Text(f"a slip of {slip}"))
    table = Table("the slides' numbers", "slides", "ours", "", title_justify="left", expand=False)
    for slide, on_slide in groupby(checks, key=lambda check: check.slide):
        table.add_section()
        table.add_row(Text(f"slide {slide}", style="bold"))
        for topic, group in groupby(on_slide, key=lambda check: check.topic):
            table.add_row(Text(f"  {topic}"))
            for check in group:
                table.add_row(
                    Text(f"    {check.quantity}"), check.printed, check.rounded, _mark(check)
                )
    console.print(table)
    console.print(ledger)


def _mark(check: SlideCheck) -> Text:
    return Text("equal", style="green") if check.equal else Text("DIFFERS", style="bold red")


def _row(slide: str, topic: str, names: str, printed: str, ours: Any) -> Iterator[SlideCheck]:
    """Several numbers at once. names: what each is, with the numbers of its place after it."""
    values = np.asarray(ours, dtype=np.float64)
    for place, (text, value) in enumerate(zip(printed.split(), values.ravel(), strict=True)):
        where = np.unravel_index(place, values.shape) if values.ndim else ()
        index = f"[{', '.join(str(i) for i in where)}]" if where else ""
        yield SlideCheck(slide, topic, names + index, text, float(value))


def _softmax() -> Iterator[SlideCheck]:
    topic = "scores of cat, car, frog (3.2, 5.1, -1.7)"
    scores = tensor([[3.2, 5.1, -1.7]], dtype=torch.float64)
    p = torch.softmax(scores, 1)[0]
    yield from _row(_MULTINOMIAL, topic, "exp", "24.5 164.0 0.18", scores[0].exp())
    yield from _row(_MULTINOMIAL, topic, "softmax", "0.13 0.87 0.00", p)
    yield SlideCheck(
        _MULTINOMIAL, topic, "loss of cat", "2.04", float(cross_entropy(scores, tensor([0])))
    )
    truth = tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    kl = torch.special.xlogy(truth, truth / p).sum()
    yield SlideCheck(_MULTINOMIAL, topic, "KL divergence to the one-hot truth", "2.04", float(kl))


def _fresh() -> Iterator[SlideCheck]:
    scores = 1e-4 * torch.randn(1000, 10, generator=torch.Generator().manual_seed(SEED))
    loss = cross_entropy(scores.double(), torch.arange(1000) % 10)
    yield SlideCheck(_MULTINOMIAL, "ten classes, tiny random scores", "loss", "2.303", float(loss))
    yield SlideCheck(
        _MULTINOMIAL, "ten classes, tiny random scores", "log 10", "2.303", math.log(10)
    )


def _shapes() -> Iterator[SlideCheck]:
    ledger, topic = lecture_ledger(), "shapes of the 5-7-4-3 net, N = 4"
    for name, printed in (("A1", "4 7"), ("A2", "4 4"), ("A3", "4 3")):
        yield from _row(_BACKPROP, topic, f"shape of {name}", printed, ledger[name].shape)
    for name, printed in (("dL/dW1", "7 5"), ("dL/dW2", "4 7"), ("dL/dW3", "3 4")):
        yield from _row(_BACKPROP, topic, f"shape of {name}", printed, ledger[name].shape)


def _example() -> Iterator[SlideCheck]:
    ledger, topic = lecture_ledger(), "worked example, 5-7-4-3"
    a3, y = ledger["A3"].value, ledger["Y"].value
    yield from _row(_BACKPROP, topic, "A3", A3, a3)
    yield SlideCheck(
        _BACKPROP, topic, "1/N sum(Y * A3), the slip", "0.3374", float((y * a3).sum() / len(y))
    )
    yield SlideCheck(_BACKPROP, topic, "loss", "1.1394", ledger.loss)
    yield from _row(_BACKPROP, topic, "dL/dA3", DA3, ledger["dL/dA3"].value)
    yield from _row(_BACKPROP, topic, "dL/dZ3", DZ3, ledger["dL/dZ3"].value)


def _graph() -> Iterator[SlideCheck]:
    topic = "f(x) = (x0+x1)^2 + 7 x0 + cos(x0+x2) at (2, 3, -2)"
    x = tensor([2.0, 3.0, -2.0], dtype=torch.float64, requires_grad=True)
    value = lecture_function(x)
    (gradient,) = torch.autograd.grad(value, x)
    yield SlideCheck(_GRAPH, topic, "f", "40", value.item())
    yield from _row(_GRAPH, topic, "df/dx", "17 10 0", gradient)
    x0, x1, x2 = x.detach()
    by_hand = [2 * (x0 + x1) + 7 - torch.sin(x0 + x2), 2 * (x0 + x1), -torch.sin(x0 + x2)]
    yield from _row(_GRAPH, topic, "df/dx by the formulas", "17 10 0", by_hand)


def _layers() -> Iterator[SlideCheck]:
    topic = "Sequential(Flatten, Linear(28*28, 100), Tanh, Linear(100, 10))"
    linear: tuple[Callable[[int, int], nn.Module], ...] = (nn.Linear, LinearLayer)
    for make in linear:
        model = nn.Sequential(nn.Flatten(), make(28 * 28, 100), nn.Tanh(), make(100, 10))
        shapes = torch.cat([tensor(p.shape) for p in model.parameters()])
        name = f"parameter shapes with {type(model[1]).__name__}"
        yield from _row(_SEQUENTIAL, topic, name, "100 784 100 10 100 10", shapes)


def _binary() -> Iterator[SlideCheck]:
    """L4 prints one number for both losses; its data are not given, so the two are compared."""
    generator = torch.Generator().manual_seed(SEED)
    logits = torch.randn(20, dtype=torch.float64, generator=generator)
    truth = torch.arange(20) % 2
    apart = nn.BCELoss()(logits.sigmoid(), truth.double()) - binary_cross_entropy(logits, truth)
    topic = "binary loss (both 0.4485 on the slides, of data that they do not give)"
    yield SlideCheck(
        _BINARY_DEMO, topic, "BCELoss - BCEWithLogitsLoss", "0.0000", abs(float(apart))
    )


def _penalties() -> Iterator[SlideCheck]:
    topic = "x = [1 1 1 1], w1 = [1 0 0 0], w2 = [.25 .25 .25 .25]"
    x, w1, w2 = torch.ones(4), tensor([1.0, 0, 0, 0]), torch.full((4,), 0.25)
    yield from _row(_PREFERENCES, topic, "w1 x and w2 x", "1 1", [float(w1 @ x), float(w2 @ x)])
    squares = [float(w.square().sum()) for w in (w1, w2)]
    yield from _row(_PREFERENCES, topic, "L2: sum of w squared", "1 .25", squares)
    sizes = [float(w.abs().sum()) for w in (w1, w2)]
    yield from _row(_PREFERENCES, topic, "L1: sum of |w|", "1 1", sizes)
