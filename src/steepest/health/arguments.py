"""What `check` and `watch` are called with, in the order in which both take it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


def optimizers_in(optimizer: Any) -> tuple[Any, ...]:
    """One optimizer, or those of a collection; None for none."""
    if optimizer is None:
        return ()
    given = optimizer.values() if isinstance(optimizer, dict) else optimizer
    is_collection = isinstance(given, Iterable) and not hasattr(optimizer, "param_groups")
    each = given if is_collection else (optimizer,)
    return tuple(inner for one in each for inner in _unwrapped(one))


def _unwrapped(optimizer: Any) -> tuple[Any, ...]:
    """Those within one that only passes on what it is asked, as accelerate's or a joined one."""
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, torch.optim.Optimizer):
        return (inner,)
    several = getattr(optimizer, "optimizers", None)
    if hasattr(optimizer, "param_groups") or not isinstance(several, (list, tuple)) or not several:
        return (optimizer,)
    joined = all(isinstance(one, torch.optim.Optimizer) for one in several)
    return tuple(several) if joined else (optimizer,)


def require_arguments(model: Any, loss_fn: Any, optimizers: tuple[Any, ...]) -> None:
    """Something in another's place would be looked at as what it is not.

    Raises:
        TypeError: The first that cannot be what its place is for.
    """
    order = "the order is model, loss_fn, optimizer, train_loader"
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, but is a {type(model).__name__}; {order}"
        )
    if not callable(loss_fn):
        raise TypeError(
            "loss_fn must be a criterion or a function of (outputs, targets), but is a "
            f"{type(loss_fn).__name__}; {order}"
        )
    for one in optimizers:
        if not callable(getattr(one, "step", None)):
            raise TypeError(
                "optimizer must be one of torch's, or any object with step(), but is a "
                f"{type(one).__name__}: leave it out if it is another library's; {order}"
            )
