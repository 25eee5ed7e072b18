"""The loss over a plane in the space of weights, and paths of training in that plane."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, vmap

from steepest.engine import Plan, Rows, module_mode, reference_parameter
from steepest.errors import ModelError

_CELLS = 44
_MARGIN = 0.25
_AT_ONCE = 128
# So many of the training rows at most are asked for the loss at each point.
_ROWS = 256

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surface:
    """The loss at origin + u * first + v * second.

    us, vs: (G,) coordinates. losses: (G, G), row by v and column by u. paths: (T, 2) coordinates of
    each path. labels: of the two axes. shares: of the paths' variance along each axis.
    """

    us: Float
    vs: Float
    losses: Float
    paths: tuple[Float, ...]
    labels: tuple[str, str]


def surface(
    plan: Plan, paths: Sequence[NDArray[np.float32]], plane: tuple[str, str] | None = None
) -> Surface | None:
    """The loss around the paths. None if there is only one weight.

    paths: the weights along each, (T, P) as `flat_weights` has them. plane: two weights by their
    names, as ("0.weight[0,0]", "0.bias[0]"), the others being what they are at the end of the first
    path; None for the two weights of a model that has no more, and otherwise for the first two
    principal components of all paths. Raises ModelError for a weight that the model does not have.
    """
    weights = np.concatenate(paths).astype(np.float64)
    names = _weight_names(plan)
    if plane is None and len(names) == 2:
        plane = (names[0], names[1])
    if len(names) < 2:
        return None
    if plane is not None:
        origin = paths[0][-1].astype(np.float64).copy()
        chosen = [_index(names, name) for name in plane]
        origin[chosen] = 0.0
        axes, labels = np.eye(len(names))[chosen], (plane[0], plane[1])
    else:
        origin = weights.mean(axis=0)
        _, sizes, directions = np.linalg.svd(weights - origin, full_matrices=False)
        axes = directions[:2]
        shares = sizes**2 / max(float((sizes**2).sum()), 1e-300)
        labels = (f"first component ({shares[0]:.0%})", f"second component ({shares[1]:.0%})")
    coordinates = tuple((path - origin) @ axes.T for path in paths)
    us, vs = (_span(np.concatenate([c[:, i] for c in coordinates])) for i in range(2))
    grid = np.stack(np.meshgrid(us, vs), axis=-1).reshape(-1, 2)
    losses = _losses(plan, origin + grid @ axes).reshape(len(vs), len(us))
    return Surface(us, vs, losses, coordinates, labels)


def _span(values: Float) -> Float:
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, _CELLS)


def _weight_names(plan: Plan) -> list[str]:
    """Every single trainable weight, as 0.weight[2,1], in the order of `flat_weights`."""
    return [
        f"{name}[{','.join(map(str, index))}]"
        for name, parameter in plan.model.named_parameters()
        if parameter.requires_grad
        for index in np.ndindex(*parameter.shape)
    ]


def _index(names: list[str], name: str) -> int:
    wanted = re.sub(r"\s", "", name)
    if wanted not in names:
        shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        raise ModelError(f"the model has no weight {name!r}; it has {shown}")
    return names.index(wanted)


def _losses(plan: Plan, points: Float) -> Float:
    """The mean loss over the training rows at each of these weights, (K,)."""
    model = plan.model
    like = reference_parameter(model)
    some = np.linspace(0, plan.rows - 1, min(plan.rows, _ROWS)).astype(np.int64)
    inputs = Rows(plan.inputs, like)[torch.from_numpy(some)]
    targets = torch.from_numpy(plan.targets[some])
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    fixed = {n: t.detach() for n, t in model.state_dict(keep_vars=True).items()}

    def loss(flat: Tensor) -> Tensor:
        parts = torch.split(flat, [p.numel() for p in trainable.values()])
        moved = {
            n: part.view(p.shape) for (n, p), part in zip(trainable.items(), parts, strict=True)
        }
        return plan.objective.loss(functional_call(model, fixed | moved, (inputs,)), targets)

    flats = torch.from_numpy(points).to(like.dtype)
    with module_mode(model, training=False), torch.no_grad():
        try:
            losses = vmap(loss, chunk_size=_AT_ONCE)(flats)
        except (RuntimeError, ValueError):  # a module that vmap cannot take
            losses = torch.stack([loss(flat) for flat in flats])
    values: Float = losses.double().numpy()
    return values
