"""Labels and loss from the logits and their gradient, where the loss is a function out of sight.

The gradient of cross entropy is dL/dz_i = c_i (p_i - y_i), with c_i = 1/N for the mean. Labels y
are right if the gradient is such a multiple in every row; other losses fail that test and are not
read. The function itself is not called on the loop's own tensors: it may draw random numbers, count
or print. (The check of copies calls it, and puts back what it encloses.) A loss that is a module is
seen with its targets, and asked by a copy where the sign of its gradient is in doubt.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from steepest.health.foreign import foreign
from steepest.health.replay.untouched import deep, untouched

_OPPOSITE = -0.9  # cosine of two gradients
_ROUNDING = 100  # units of the last place: what a right c (p - y) may differ by


@dataclass(frozen=True)
class Reading:
    """target: (N,) long, or float for one output. ascending: the gradient's sign is turned."""

    target: Tensor
    loss: float
    ascending: bool


def cross_entropy_of(z: Tensor, gradient: Tensor) -> Reading | None:
    """What a step of cross entropy says of itself; None if the loss is another.

    z, gradient: (N, C) logits, or (N,) or (N, 1) of one output.
    """
    z, g = z.detach(), gradient.detach()
    if z.shape != g.shape or z.ndim not in (1, 2) or not bool(torch.isfinite(g).all()):
        return None
    single = z.ndim == 1 or z.shape[1] == 1
    if single:
        z, g = z.reshape(-1), g.reshape(-1)
    size = float(g.square().sum())
    if not size:
        return None
    fits = [(_misfit(z, sign * g, size, single), sign) for sign in (1, -1)]
    (misfit, target), sign = min(fits, key=lambda one: one[0][0])
    if misfit > min((_ROUNDING * torch.finfo(g.dtype).eps) ** 2, 1e-3):
        return None
    # Near p = 1/2 both signs of a two-way loss fit: then it descends, as losses do.
    if sign < 0 and fits[0][0][0] < 10 * max(misfit, 1e-8):
        (misfit, target), sign = fits[0]
    if single:
        loss = nn.functional.binary_cross_entropy_with_logits(z, target.to(z.dtype))
    else:
        loss = nn.functional.cross_entropy(z, target)
    return Reading(target, float(loss), sign < 0)


def turned_round(loss_fn: nn.Module, z: Tensor, target: Any, gradient: Tensor) -> bool:
    """Whether the gradient of the logits is that of the loss with the sign turned.

    Asked of a copy of the loss. Other losses beside it, or smoothed labels, may push the true class
    down as well; they do not point the opposite way.
    """
    with untouched(loss_fn):
        clone = deep(loss_fn)
        if clone is None:
            return False
        with torch.enable_grad(), foreign:
            logits = z.detach().clone().requires_grad_()
            (own,) = torch.autograd.grad(clone[0](logits, target).mean(), logits)
    size = float(own.norm() * gradient.norm())
    return size > 0 and float((own * gradient).sum()) < _OPPOSITE * size


def _misfit(z: Tensor, g: Tensor, size: float, single: bool) -> tuple[float, Tensor]:
    """Share of the squared gradient that c (p - y) leaves unexplained, and the best y.

    A row without gradient is one that the net is sure of, and right.
    """
    if single:
        silent = g.abs() <= 1e-7 * g.abs().max()
        y = torch.where(silent, z > 0, g < 0).to(z.dtype)
        d = torch.sigmoid(z) - y
    else:
        silent = g.abs().amax(1) <= 1e-7 * g.abs().max()
        y = torch.where(silent, z.argmax(1), g.argmin(1))
        d = torch.softmax(z, 1)
        d = d.scatter_add(1, y[:, None], -torch.ones_like(d[:, :1]))
    c = float((g * d).sum()) / max(float(d.square().sum()), 1e-30)
    if c <= 0:
        return 1.0, y
    return float((g - c * d).square().sum()) / size, y
