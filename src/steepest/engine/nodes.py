"""What a model becomes for the native engine: nodes, and what every reader of modules needs."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from steepest.engine.masks import streams
from steepest.extension import extension
from steepest.nn import overlaps_itself
from steepest.random import Purpose

Dims = tuple[int, ...]


class Obstacle(Exception):  # noqa: N818
    """What the native engine cannot run, in one line."""


@dataclass(frozen=True, eq=False)
class Node:
    """One step of the forward pass.

    Attributes:
        name: Of its module, as in `named_modules`.
        spec: What the extension is to make of it, a `steepest._native.NodeSpec`.
        tensors: Its parameters and buffers by their names in the model, in the engine's order.
        running: Those of the tensors that the forward pass moves, and not the optimizer.
        batches: The counter of minibatches of a batch norm.
        pixels: How many numbers a row has in each channel of a batch norm or a convolution.
    """

    name: str
    spec: Any
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    running: tuple[str, ...] = ()
    batches: torch.Tensor | None = None
    pixels: int = 1

    @property
    def is_measured(self) -> bool:
        """Whether it is a linear layer or a convolution, of which a step gives statistics."""
        return self.spec.kind.name in ("LINEAR", "CONVOLUTION")


class Reader:
    """Keeps the shape of what flows while a model is walked in the order of its forward pass."""

    def __init__(self, model: nn.Module, shape: Dims, trained: bool) -> None:
        self._dims, self._trained = shape, trained
        self._as_images = False  # how what flows lies in the engine: in blocks of images, or rows
        self._members: int | None = None  # behind a view
        self._mean_taken = False
        self._used_again = False  # whether what flows is what a residual block will add to
        self._streams = streams(model)
        self._used: Counter[int] = Counter()
        self._kinds = extension().NodeKind

    @property
    def _width(self) -> int:
        return math.prod(self._dims)

    @_width.setter
    def _width(self, width: int) -> None:
        self._dims = (width,)

    def _batch_norm(
        self, module: nn.Module, name: str, where: str, channels: int | None = None
    ) -> Node:
        """Of columns, or of the channels of images."""
        if module.running_mean is None or module.momentum is None:
            raise Obstacle(f"{where} keeps no running statistics, or their plain mean")
        learned = self._tensors(module, name, ("weight", "bias"), where)
        if len(learned) == 1:
            raise Obstacle(f"{where} has a weight and no bias")
        running = self._tensors(module, name, ("running_mean", "running_var"), where)
        count = len(next(iter(running.values())))
        if channels is None:
            self._check_width(count, where)
        elif count != channels:
            raise Obstacle(f"{where} takes {count} channels, but a row has {channels} there")
        spec = spec_of(
            self._kinds.BATCH_NORM if channels is None else self._kinds.IMAGE_NORM,
            eps=module.eps,
            momentum=module.momentum,
            learned=bool(learned),
        )
        return Node(
            name,
            spec,
            learned | running,
            running=tuple(running),
            batches=module.num_batches_tracked,  # type: ignore[arg-type]
            pixels=1 if channels is None else math.prod(self._dims[1:]),
        )

    def _tensors(
        self, module: nn.Module, prefix: str, names: tuple[str, ...], where: str
    ) -> dict[str, torch.Tensor]:
        """Those of the module's tensors that are there, by their names in the model."""
        found = {}
        for name in names:
            tensor = getattr(module, name)
            if tensor is None:
                continue
            if tensor.device.type != "cpu":
                raise Obstacle(f"{where} has its {name} on {tensor.device}")
            if tensor.dtype != torch.float32:
                raise Obstacle(
                    f"{where} has a {name} of {tensor.dtype}, and the native engine computes in "
                    "float32"
                )
            if overlaps_itself(tensor):
                raise Obstacle(f"{where} has a {name} of which elements share memory")
            if self._trained and isinstance(tensor, nn.Parameter):
                if not tensor.requires_grad:
                    raise Obstacle(f"{where} has a frozen {name}")
                if tensor._backward_hooks or tensor._post_accumulate_grad_hooks:
                    raise Obstacle(f"{where} has hooks on its {name}")
            found[within(prefix, name)] = tensor
        return found

    def _check_width(self, width: int, where: str) -> None:
        if width != self._width:
            raise Obstacle(f"{where} takes {width} numbers, but a row has {self._width} there")

    def _purpose(self, module: nn.Module, purpose: Purpose) -> int:
        stream = self._streams[id(module)] + 256 * self._used[id(module)]
        self._used[id(module)] += 1
        return stream << 8 | purpose


def within(module: str, name: str) -> str:
    """The name, in the whole model, of what a module calls so."""
    return f"{module}.{name}" if module else name


def spec_of(kind: Any, **fields: Any) -> Any:
    """A `steepest._native.NodeSpec`; what is not given has no meaning for nodes of this kind."""
    return extension().NodeSpec(kind, **fields)


def oddity_of(module: nn.Module) -> str | None:
    """What makes a module do other than its class does."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(getattr(module, name, None) for name in hooks):
        return "has hooks"
    return "has a forward of its own" if "forward" in vars(module) else None
