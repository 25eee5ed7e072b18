"""A model as the native engine sees it: a list of nodes, or what is in the way."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from steepest.engine.masks import streams
from steepest.extension import extension
from steepest.nn import (
    ACTIVATIONS,
    CategoryEmbedding,
    EnsembleMean,
    EnsembleView,
    LinearBatchEnsemble,
    LinearEnsemble,
    LinearLayer,
    ParametricActivation,
    PeriodicEmbedding,
    Residual,
    ScalingLayer,
    overlaps_itself,
    shared_memory,
)
from steepest.random import Purpose

# The members of the extension's enum `Activation`, which have the recipe's names.
_ACTIVATIONS = {
    module: name.upper() for name, module in ACTIVATIONS.items() if module is not nn.Identity
}
_SHAPES_ONLY = (nn.Flatten, nn.Identity)


@dataclass(frozen=True, eq=False)
class Node:
    """One step of the forward pass.

    Attributes:
        name: Of its module, as in `named_modules`.
        spec: What the extension is to make of it, a `steepest._native.NodeSpec`.
        tensors: Its parameters and buffers by their names in the model, in the engine's order.
        running: Those of the tensors that the forward pass moves, and not the optimizer.
        batches: The counter of minibatches of a batch norm.
    """

    name: str
    spec: Any
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    running: tuple[str, ...] = ()
    batches: torch.Tensor | None = None

    @property
    def is_linear(self) -> bool:
        """Whether it is a linear layer, of which a step gives statistics."""
        return bool(self.spec.kind.name == "LINEAR")


class _Obstacle(Exception):  # noqa: N818
    """What the native engine cannot run, in one line."""


def native_nodes(
    model: nn.Module, features: int, *, trained: bool = True
) -> tuple[Node, ...] | str:
    """A model as nodes of the extension, which must have been built.

    Args:
        model: The model, whose tensors the nodes refer to.
        features: How many numbers a row of inputs has.
        trained: Whether it is trained; for outputs alone its parameters may be frozen or shared.

    Returns:
        The nodes in the order of the forward pass, or in one line what is in the way.
    """
    try:
        reader = _Reader(model, features, trained)
        nodes = tuple(reader.read(model, ""))
        reader.require_one_answer()
    except _Obstacle as obstacle:
        return str(obstacle)
    if not any(node.is_linear for node in nodes):
        return "the model has no linear layer"
    # The engine trains a copy of each tensor, and what shares memory would become two.
    shared = shared_memory(item for node in nodes for item in node.tensors.items())
    if trained and shared is not None:
        return f"{shared[0]!r} and {shared[1]!r} share memory"
    return nodes


class _Reader:
    """Walks a model in the order of its forward pass and keeps the width of what flows."""

    def __init__(self, model: nn.Module, features: int, trained: bool) -> None:
        self._width, self._trained = features, trained
        self._members: int | None = None  # behind a view
        self._mean_taken = False
        self._streams = streams(model)
        self._used: Counter[int] = Counter()
        self._kinds = extension().NodeKind

    def read(self, module: nn.Module, name: str) -> Iterator[Node]:
        where = f"module {name or 'model'!r} ({type(module).__name__})"
        if oddity := oddity_of(module):
            raise _Obstacle(f"{where} {oddity}")
        kind = type(module)
        if self._members is not None and kind not in (nn.Sequential, EnsembleMean):
            self._require_by_row(module, where)
        if kind is nn.Sequential:
            for key, child in module._modules.items():
                if child is not None:
                    yield from self.read(child, f"{name}.{key}" if name else key)
        elif kind is Residual:
            yield from self._residual(module, name, where)  # type: ignore[arg-type]
        elif kind in (nn.Linear, LinearLayer):
            yield self._linear(module, name, where)
        elif kind in _ACTIVATIONS:
            yield self._activation(module, name)
        elif kind is ParametricActivation:
            yield self._parametric(module, name, where)  # type: ignore[arg-type]
        elif kind is nn.PReLU:
            yield self._prelu(module, name, where)  # type: ignore[arg-type]
        elif kind is ScalingLayer:
            tensors = self._of_columns(module, name, "scale", where)
            yield Node(name, _spec(self._kinds.SCALING), tensors)
        elif kind is PeriodicEmbedding:
            yield self._periodic(module, name, where)  # type: ignore[arg-type]
        elif kind is CategoryEmbedding:
            yield self._categories(module, name, where)  # type: ignore[arg-type]
        elif kind is EnsembleView:
            self._members = module.members  # type: ignore[assignment]
            yield Node(name, _spec(self._kinds.VIEW, members=self._members))
        elif kind is LinearBatchEnsemble:
            yield from self._batch_ensemble(module, name, where)  # type: ignore[arg-type]
        elif kind is LinearEnsemble:
            yield self._heads(module, name, where)  # type: ignore[arg-type]
        elif kind is EnsembleMean:
            if self._members is None or self._mean_taken:
                raise _Obstacle(f"{where} has no members before it, or their mean already")
            self._mean_taken = True
        elif kind is nn.Dropout:
            if not 0 <= module.p < 1:  # type: ignore[operator]
                raise _Obstacle(f"{where} drops everything")
            if module.p:
                purpose = self._purpose(module, Purpose.DROPOUT)
                p = float(module.p)  # type: ignore[arg-type]
                yield Node(name, _spec(self._kinds.DROPOUT, probability=p, purpose=purpose))
        elif kind is nn.BatchNorm1d:
            yield self._batch_norm(module, name, where)
        elif kind is nn.LayerNorm:
            yield self._layer_norm(module, name, where)
        elif kind is nn.Flatten:
            if (module.start_dim, module.end_dim) != (1, -1):  # type: ignore[comparison-overlap]
                raise _Obstacle(f"{where} flattens other dimensions than 1 to the last")
        elif kind not in _SHAPES_ONLY:
            raise _Obstacle(f"{where} is not among the modules that the native engine knows")

    def _residual(self, module: Residual, name: str, where: str) -> Iterator[Node]:
        width = self._width
        yield Node(name, _spec(self._kinds.BRANCH))
        yield from self.read(module.block, f"{name}.block" if name else "block")
        if self._width != width:
            raise _Obstacle(f"{where} has a block that gives {self._width} numbers for {width}")
        purpose = self._purpose(module, Purpose.STOCHASTIC_DEPTH)
        p = module.stochastic_depth
        yield Node(name, _spec(self._kinds.JOIN, probability=p, purpose=purpose))

    def _linear(self, module: nn.Module, name: str, where: str) -> Node:
        tensors = self._tensors(module, name, ("weight", "bias"), where)
        outputs, inputs = next(iter(tensors.values())).shape
        if inputs != self._width:
            raise _Obstacle(
                f"{where} takes {inputs} numbers at once, but a row has {self._width} there"
            )
        self._width = outputs
        spec = _spec(self._kinds.LINEAR, inputs=inputs, outputs=outputs, learned=len(tensors) > 1)
        return Node(name, spec, tensors)

    def _activation(self, module: nn.Module, name: str) -> Node:
        function = _ACTIVATIONS[type(module)]
        if isinstance(module, nn.GELU) and module.approximate == "tanh":
            function = "GELU_TANH"
        slope = module.negative_slope if isinstance(module, nn.LeakyReLU) else 0.0
        activation = extension().Activation[function]
        return Node(name, _spec(self._kinds.ACTIVATION, activation=activation, slope=slope))

    def _parametric(self, module: ParametricActivation, name: str, where: str) -> Node:
        function = module.activation.upper()
        slope = 0.01 if function == "LEAKY_RELU" else 0.0  # torch's default
        spec = _spec(
            self._kinds.PARAMETRIC, activation=extension().Activation[function], slope=slope
        )
        return Node(name, spec, self._of_columns(module, name, "alpha", where))

    def _prelu(self, module: nn.PReLU, name: str, where: str) -> Node:
        tensors = self._tensors(module, name, ("weight",), where)
        count = module.weight.numel()
        if count > 1:
            self._check_width(count, where)
        spec = _spec(self._kinds.PRELU, learned=count > 1)
        return Node(name, spec, tensors)

    def _batch_ensemble(self, module: LinearBatchEnsemble, name: str, where: str) -> Iterator[Node]:
        """Factors r of the members, one product for all of them, factors s and biases."""
        self._check_members(module.members, where)
        self._check_width(module.in_features, where)
        r, weight, *out = (
            self._tensors(module, name, (own,), where) for own in ("r", "weight", "s", "bias")
        )
        yield Node(name, _spec(self._kinds.MEMBER_SCALING), r)
        self._width = module.out_features
        product = _spec(self._kinds.LINEAR, inputs=module.in_features, outputs=module.out_features)
        yield Node(name, product, weight)
        yield Node(name, _spec(self._kinds.MEMBER_SCALING, learned=True), out[0] | out[1])

    def _heads(self, module: LinearEnsemble, name: str, where: str) -> Node:
        self._check_members(module.members, where)
        self._check_width(module.in_features, where)
        tensors = self._tensors(module, name, ("weights", "bias"), where)
        self._width = module.out_features
        spec = _spec(
            self._kinds.HEADS,
            inputs=module.in_features,
            outputs=module.out_features,
            members=module.members,
        )
        return Node(name, spec, tensors)

    def require_one_answer(self) -> None:
        """The net must have ended in the mean of its members, if it has members."""
        if self._members is not None and not self._mean_taken:
            raise _Obstacle("the members of the net do not end in EnsembleMean")

    def _check_members(self, members: int, where: str) -> None:
        if members != self._members:
            raise _Obstacle(f"{where} has {members} members, but a row has {self._members} there")

    def _require_by_row(self, module: nn.Module, where: str) -> None:
        """Behind a view, where torch has three dimensions, what looks at one row as in two."""
        kind = type(module)
        wrong = kind in (nn.Flatten, nn.BatchNorm1d, EnsembleView, PeriodicEmbedding)
        wrong = wrong or kind is CategoryEmbedding or self._mean_taken
        wrong = wrong or (isinstance(module, nn.PReLU) and module.weight.numel() > 1)
        wrong = wrong or (isinstance(module, Residual) and module.stochastic_depth > 0)
        if wrong:
            raise _Obstacle(f"{where} stands behind EnsembleView")
        # Masks are drawn in fours, and torch's of a row are those of its members one after another.
        if isinstance(module, nn.Dropout) and module.p and self._width % 4:
            raise _Obstacle(f"{where} drops from members of {self._width} numbers, not fours")

    def _periodic(self, module: PeriodicEmbedding, name: str, where: str) -> Node:
        self._check_width(module.features, where)
        tensors = self._tensors(module, name, ("frequency", "phase", "mixing", "bias"), where)
        self._width = module.width
        spec = _spec(
            self._kinds.PERIODIC,
            inputs=module.frequencies,
            outputs=module.outputs,
            columns=module.columns,
        )
        return Node(name, spec, tensors)

    def _categories(self, module: CategoryEmbedding, name: str, where: str) -> Node:
        self._check_width(module.features, where)
        tensors = self._tensors(module, name, ("table",), where)
        self._width = module.width
        columns = [column for span in module.spans for column in span]
        spec = _spec(self._kinds.CATEGORIES, outputs=module.outputs, columns=columns)
        return Node(name, spec, tensors)

    def _of_columns(
        self, module: nn.Module, name: str, tensor: str, where: str
    ) -> dict[str, torch.Tensor]:
        """A parameter that has a number for each column."""
        tensors = self._tensors(module, name, (tensor,), where)
        self._check_width(next(iter(tensors.values())).numel(), where)
        return tensors

    def _batch_norm(self, module: nn.Module, name: str, where: str) -> Node:
        if module.running_mean is None or module.momentum is None:
            raise _Obstacle(f"{where} keeps no running statistics, or their plain mean")
        learned = self._tensors(module, name, ("weight", "bias"), where)
        if len(learned) == 1:
            raise _Obstacle(f"{where} has a weight and no bias")
        running = self._tensors(module, name, ("running_mean", "running_var"), where)
        self._check_width(len(next(iter(running.values()))), where)
        spec = _spec(
            self._kinds.BATCH_NORM,
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
        )

    def _layer_norm(self, module: nn.Module, name: str, where: str) -> Node:
        learned = self._tensors(module, name, ("weight", "bias"), where)
        if len(learned) == 1:
            raise _Obstacle(f"{where} has a weight and no bias")
        shape: tuple[int, ...] = module.normalized_shape  # type: ignore[assignment]
        if len(shape) != 1:
            raise _Obstacle(f"{where} normalises over several dimensions")
        self._check_width(shape[0], where)
        spec = _spec(self._kinds.LAYER_NORM, eps=module.eps, learned=bool(learned))
        return Node(name, spec, learned)

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
                raise _Obstacle(f"{where} has its {name} on {tensor.device}")
            if tensor.dtype != torch.float32:
                raise _Obstacle(
                    f"{where} has a {name} of {tensor.dtype}, and the native engine computes in "
                    "float32"
                )
            if overlaps_itself(tensor):
                raise _Obstacle(f"{where} has a {name} of which elements share memory")
            if self._trained and isinstance(tensor, nn.Parameter):
                if not tensor.requires_grad:
                    raise _Obstacle(f"{where} has a frozen {name}")
                if tensor._backward_hooks or tensor._post_accumulate_grad_hooks:
                    raise _Obstacle(f"{where} has hooks on its {name}")
            found[f"{prefix}.{name}" if prefix else name] = tensor
        return found

    def _check_width(self, width: int, where: str) -> None:
        if width != self._width:
            raise _Obstacle(f"{where} takes {width} numbers, but a row has {self._width} there")

    def _purpose(self, module: nn.Module, purpose: Purpose) -> int:
        stream = self._streams[id(module)] + 256 * self._used[id(module)]
        self._used[id(module)] += 1
        return stream << 8 | purpose


def _spec(kind: Any, **fields: Any) -> Any:
    return extension().NodeSpec(kind, **fields)


def oddity_of(module: nn.Module) -> str | None:
    """What makes a module do other than its class does."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(getattr(module, name, None) for name in hooks):
        return "has hooks"
    return "has a forward of its own" if "forward" in vars(module) else None
