"""What one moment of a playground looks like, as plain data: numbers, and bytes of pictures.

Pictures are bytes in base64, row by row from the lowest second coordinate: probabilities are
shares of 255, one picture for each class; what a unit answers is -127 to 127 of its largest
absolute value, shifted by 128.
"""

import base64
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, vmap

from steepest.board.playground.lane import Lane, stacked
from steepest.board.playground.playground import Playground
from steepest.board.playground.view import (
    ALONG,
    ALONG_LINE,
    ALONG_MEAN,
    ALONG_SMALL,
    ALONG_UNIT,
    View,
)
from steepest.engine import module_mode
from steepest.nn import ACTIVATIONS, LinearLayer, Residual

_ACTIVATIONS = (*ACTIVATIONS.values(), Residual)
# A width of digits that the page shows at most.
_DIGITS = 6


def picture(playground: Playground, *, net: bool = True) -> dict[str, Any]:
    """Now: where it is, how good each lane is, and what is drawn.

    Args:
        playground: At any place.
        net: Whether the units and weights of the first lane are wanted.

    Returns:
        samples, total, lanes (scores of each), regions (of one lane, or of the mean of several),
        each (small regions of several lanes), and net and batch of the first lane.
    """
    with playground.lock, torch.inference_mode(False), torch.no_grad():
        lanes, first = playground.lanes, playground.lanes[0]
        asked = _ask(lanes)
        found: dict[str, Any] = {
            "samples": playground.samples,
            "total": playground.total,
            "lanes": _scores(lanes, asked),
            "regions": _regions(asked["regions"]),
            "batch": _indices(first, first.batch).tolist(),
        }
        if len(lanes) > 1:
            found["each"] = _each(asked["small"])
        if net:
            found["net"] = _net(first)
        return found


def points_of(playground: Playground) -> dict[str, Any]:
    """What does not change while it trains: the points and where they lie.

    Returns:
        x, y, classes, columns; part: 0 for rows that are trained on, 1 for the others; axes: the
        coordinates of the picture; sizes of pictures; chance: log C, the loss of a guess (L2).
    """
    points, lane = playground.chosen.points, playground.lanes[0]
    part = np.ones(len(points.y), dtype=np.int64)
    part[_indices(lane, np.arange(lane.plan.rows))] = 0
    along = ALONG if len(playground.lanes) == 1 else ALONG_MEAN
    axes, _ = lane.view.grid(along)
    plane = len(axes) == 2
    return {
        "x": points.x.tolist(),
        "y": points.y.tolist(),
        "part": part.tolist(),
        "classes": list(points.classes),
        "columns": list(points.columns),
        "axes": [[float(axis[0]), float(axis[-1])] for axis in axes],
        "along": along if plane else ALONG_LINE,
        "along_unit": ALONG_UNIT if plane else ALONG_LINE,
        "along_small": ALONG_SMALL if plane else ALONG_LINE,
        "chance": math.log(len(points.classes)),
        "engine": lane.engine,
        "why": lane.view.prepared.choice.reason,
        "rows": lane.plan.rows,
        "steps_per_epoch": lane.plan.steps_per_epoch,
        "parameters": sum(p.numel() for p in lane.model.parameters()),
        "names": [lane.name for lane in playground.lanes],
    }


def _indices(lane: Lane, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Training rows as rows of all points."""
    train = lane.view.prepared.dataset.train.rows
    return rows if train is None else train[rows]


def _ask(lanes: tuple[Lane, ...]) -> dict[str, Tensor]:
    """What all lanes answer, in evaluation mode.

    Nets of one shape that look at the same are asked together, and each once.

    Returns:
        Probabilities, (K, N, C), at the rows of each part by its name, at the places of the picture
        ("regions") and, of several lanes, at those of small pictures ("small").
    """
    groups: dict[tuple[str, int], list[int]] = {}
    for i, lane in enumerate(lanes):
        groups.setdefault((lane.shape, id(lane.view)), []).append(i)
    found: list[Tensor] = [torch.empty(0)] * len(lanes)
    for group in groups.values():
        places = _places(lanes[group[0]].view, len(lanes))
        models = [lanes[i].model for i in group]
        with module_mode(models[0], training=False):
            outputs = _outputs(models, torch.cat(list(places.values())))
        for i, each in zip(group, outputs, strict=True):
            found[i] = lanes[0].plan.objective.probabilities(each)
    sizes = {name: len(x) for name, x in places.items()}
    parts = torch.split(torch.stack(found), list(sizes.values()), dim=1)
    return dict(zip(sizes, parts, strict=True))


def _places(view: View, lanes: int) -> dict[str, Tensor]:
    """Where lanes of this view are asked, by what it is for; alike in number for all views."""
    places = {name: x for name, (x, _) in view.parts.items()}
    places["regions"] = view.grid(ALONG if lanes == 1 else ALONG_MEAN)[1]
    return places if lanes == 1 else places | {"small": view.grid(ALONG_SMALL)[1]}


def _outputs(models: list[nn.Module], x: Tensor) -> Tensor:
    if len(models) == 1:
        outputs: Tensor = models[0](x)
        return outputs[None]
    asked: Tensor = vmap(lambda state: functional_call(models[0], state, (x,)))(stacked(models))
    return asked


def _scores(lanes: tuple[Lane, ...], asked: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Loss and accuracy of each lane on the rows that are trained on and on the others."""
    scores: list[dict[str, Any]] = [
        {
            "step": lane.step,
            "epoch": round(lane.epoch, 4),
            "samples": lane.samples,
            "rate": lane.rates.rate(min(lane.step, lane.total - 1)),
        }
        for lane in lanes
    ]
    for name, (_, y) in lanes[0].view.parts.items():
        p = asked[name]
        likely = p[:, torch.arange(len(y)), y].double()
        losses = -likely.clamp(min=1e-45).log().mean(1)
        right = (p.argmax(2) == y).double().mean(1)
        for score, loss, accuracy in zip(scores, losses.tolist(), right.tolist(), strict=True):
            finite = math.isfinite(loss)
            score[f"{name}_loss"] = loss if finite else None
            score[f"{name}_accuracy"] = accuracy if finite else None
    return scores


def _regions(p: Tensor) -> dict[str, Any]:
    """The probability of each class over the picture: of the one lane, or the mean of several."""
    mean = p.mean(0)
    return {"probabilities": [_shares(mean[:, c]) for c in range(mean.shape[1])]}


def _each(p: Tensor) -> list[dict[str, str]]:
    """Of each lane the likeliest class, and how likely it is, on a small picture."""
    likely, best = p.max(2)
    shares, decided = _as_shares(likely), best.to(torch.uint8).numpy()
    return [
        {"decided": _bytes(d), "likely": _bytes(share)}
        for d, share in zip(decided, shares, strict=True)
    ]


def _net(lane: Lane) -> dict[str, Any]:
    """The layers of a lane: weights, gradients on the next minibatch, and what units answer."""
    _, h = lane.view.grid(ALONG_UNIT)
    answers = [h]
    with module_mode(lane.model, training=False):
        for module in lane.model.children():
            h = module(h)
            if isinstance(module, _ACTIVATIONS):
                answers.append(h)
    answers.append(h)
    gradients = _gradients(lane)
    return {
        "units": [
            {"count": each.shape[1], "largest": _largest(each), "answers": _signed(each)}
            for each in answers
        ],
        "layers": [
            {
                "name": name,
                "weight": _numbers(weight),
                "bias": None if bias is None else _numbers(bias),
                "gradient": _numbers(gradients[f"{name}.weight"]),
                "bias_gradient": None if bias is None else _numbers(gradients[f"{name}.bias"]),
                "weight_norm": _number(weight.norm()),
                "gradient_norm": _number(gradients[f"{name}.weight"].norm()),
                "update_ratio": lane.update_ratio(name),
            }
            for name, weight, bias in _linear(lane.model)
        ],
    }


def _linear(model: nn.Module) -> list[tuple[str, Tensor, Tensor | None]]:
    return [
        (name, module.weight.detach(), None if module.bias is None else module.bias.detach())
        for name, module in model.named_modules()
        if isinstance(module, LinearLayer)
    ]


def _gradients(lane: Lane) -> dict[str, Tensor]:
    """dL/dW of the data's loss on the next minibatch, in evaluation mode: without dropout."""
    named = {n: p for n, p in lane.model.named_parameters() if p.requires_grad}
    batch = lane.batch
    if not len(batch):
        return {name: torch.zeros_like(p) for name, p in named.items()}
    x, y = lane.view.parts["train"]
    with torch.enable_grad(), module_mode(lane.model, training=False):
        loss = lane.plan.objective.loss(lane.model(x[batch]), y[batch])
        found = torch.autograd.grad(loss, list(named.values()))
    return dict(zip(named, found, strict=True))


def _largest(values: Tensor) -> float:
    largest = float(values.abs().max())
    return largest if math.isfinite(largest) else 0.0


def _shares(values: Tensor) -> str:
    return _bytes(_as_shares(values))


def _as_shares(values: Tensor) -> NDArray[np.uint8]:
    shares: NDArray[np.uint8] = (values.nan_to_num(0.0) * 255).round().clamp(0, 255).byte().numpy()
    return shares


def _signed(values: Tensor) -> str:
    """Values (N, units) as bytes, one unit after the other."""
    scaled = values.nan_to_num(0.0).T / (_largest(values) or 1.0) * 127 + 128
    return _bytes(scaled.round().clamp(1, 255).to(torch.uint8).numpy())


def _bytes(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _number(value: Tensor) -> float | None:
    number = float(value)
    return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None


def _numbers(values: Tensor) -> Any:
    """As lists; what JSON has no number for is None."""
    rounded = values.detach().double().nan_to_num(math.nan, math.nan, math.nan)
    if bool(rounded.isfinite().all()):
        return np.round(rounded.numpy(), _DIGITS).tolist()
    if rounded.ndim > 1:
        return [_numbers(row) for row in rounded]
    return [_number(value) for value in rounded]
