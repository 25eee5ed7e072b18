"""A model as the native engine sees it: a list of nodes, or what is in the way."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from steepest.engine.forwards import Part, Step, Sum, steps_of
from steepest.engine.images import OF_IMAGES, ImageReader, image_of
from steepest.engine.nodes import Dims, Node, Obstacle, oddity_of, spec_of, within
from steepest.engine.tracing import is_own
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
    shared_memory,
)
from steepest.random import Purpose

# The members of the extension's enum `Activation`, which have the recipe's names.
_ACTIVATIONS = {
    module: name.upper() for name, module in ACTIVATIONS.items() if module is not nn.Identity
}
# What may give the very tensor that it was given, or a view of it.
_PASSING_ON = (nn.Sequential, nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout2d)
# What takes rows, whichever way torch may read an image.
_BY_ROW = (
    *(nn.Linear, LinearLayer, nn.BatchNorm1d, nn.LayerNorm, nn.PReLU, ParametricActivation),
    *(ScalingLayer, PeriodicEmbedding, CategoryEmbedding, EnsembleView),
)


def native_nodes(model: nn.Module, shape: Dims, *, trained: bool = True) -> tuple[Node, ...] | str:
    """A model as nodes of the extension, which must have been built.

    Args:
        model: The model, whose tensors the nodes refer to.
        shape: Of a row of inputs.
        trained: Whether it is trained; for outputs alone its parameters may be frozen or shared.

    Returns:
        The nodes in the order of the forward pass, or in one line what is in the way.
    """
    try:
        reader = _Reader(model, shape, trained)
        nodes = tuple(reader.read(model, ""))
        reader.require_one_answer()
    except Obstacle as obstacle:
        return str(obstacle)
    if not any(node.is_measured for node in nodes):
        return "the model has no linear layer"
    learned = {name for node in nodes for name in node.tensors}
    idle = (n for n, p in model.named_parameters() if p.requires_grad and n not in learned)
    if trained and (unused := next(idle, None)) is not None:
        return f"the parameter {unused!r} takes no part in the forward pass"
    # The engine trains a copy of each tensor, and what shares memory would become two.
    shared = shared_memory(item for node in nodes for item in node.tensors.items())
    if trained and shared is not None:
        return f"{shared[0]!r} and {shared[1]!r} share memory"
    return nodes


class _Reader(ImageReader):
    """Walks a model in the order of its forward pass and keeps the shape of what flows."""

    def read(self, module: nn.Module, name: str) -> Iterator[Node]:
        where = f"module {name or 'model'!r} ({type(module).__name__})"
        if oddity := oddity_of(module):
            raise Obstacle(f"{where} {oddity}")
        kind = type(module)
        if self._members is not None and kind not in (nn.Sequential, EnsembleMean):
            self._require_by_row(module, where)
        if len(self._dims) > 1 and kind in _BY_ROW:
            raise Obstacle(f"{where} has rows of shape {self._dims} before it, and no Flatten")
        if self._used_again and getattr(module, "inplace", False) and kind in _ACTIVATIONS:
            raise Obstacle(f"{where} changes in place what a residual block adds to")
        if kind not in _PASSING_ON and not is_own(module):
            self._used_again = False
        if kind is nn.Sequential:
            for key, child in module._modules.items():
                if child is not None:
                    yield from self.read(child, within(name, key))
        elif kind in OF_IMAGES:
            yield from self._image_layer(module, name, where)
        elif kind in _ONE_NODE:
            yield _ONE_NODE[kind](self, module, name, where)
        elif kind in _SOME_NODES:
            yield from _SOME_NODES[kind](self, module, name, where)
        elif is_own(module):
            yield from self._steps(steps_of(module, self._dims, where), name, where)
        elif kind is not nn.Identity:
            raise Obstacle(f"{where} is not among the modules that the native engine knows")

    def _steps(self, steps: tuple[Step, ...], name: str, where: str) -> Iterator[Node]:
        """Those of a module's own forward."""
        for step in steps:
            if isinstance(step, Sum):
                yield from self._sum(
                    self._steps(step.block, name, where),
                    name,
                    where,
                    shortcut=self._steps(step.shortcut, name, where) if step.shortcut else None,
                )
                continue
            if isinstance(step, Part):
                yield from self.read(step.module, within(name, step.name))
            if math.prod(step.dims) != self._width:
                raise Obstacle(f"{where} has a forward that gives {step.dims} for {self._dims}")
            if step.dims != self._dims:
                yield from self._lie_as_images(False)
                self._dims = step.dims

    def _scaling(self, module: ScalingLayer, name: str, where: str) -> Node:
        tensors = self._of_columns(module, name, "scale", where)
        return Node(name, spec_of(self._kinds.SCALING), tensors)

    def _view(self, module: EnsembleView, name: str, _: str) -> Node:
        self._members = module.members
        return Node(name, spec_of(self._kinds.VIEW, members=self._members))

    def _mean(self, _: EnsembleMean, __: str, where: str) -> Iterator[Node]:
        if self._members is None or self._mean_taken:
            raise Obstacle(f"{where} has no members before it, or their mean already")
        self._mean_taken = True
        yield from ()

    def _dropout(self, module: nn.Dropout, name: str, where: str) -> Iterator[Node]:
        if not 0 <= module.p < 1:
            raise Obstacle(f"{where} drops everything")
        if module.p:
            purpose = self._purpose(module, Purpose.DROPOUT)
            images = self._as_images  # a mask has the order of a row
            yield from self._lie_as_images(False)
            p = float(module.p)
            yield Node(name, spec_of(self._kinds.DROPOUT, probability=p, purpose=purpose))
            yield from self._lie_as_images(images)

    def _dropout2d(self, module: nn.Dropout2d, name: str, where: str) -> Iterator[Node]:
        if not 0 <= module.p < 1:
            raise Obstacle(f"{where} drops everything")
        image_of(self._dims, where)
        if module.p:
            purpose = self._purpose(module, Purpose.CHANNEL_DROPOUT)
            yield from self._lie_as_images(True)
            p = float(module.p)
            yield Node(name, spec_of(self._kinds.CHANNEL_DROPOUT, probability=p, purpose=purpose))

    def _flatten(self, module: nn.Flatten, _: str, where: str) -> Iterator[Node]:
        if (module.start_dim, module.end_dim) != (1, -1):
            raise Obstacle(f"{where} flattens other dimensions than 1 to the last")
        yield from self._lie_as_images(False)
        self._dims = (self._width,)

    def _residual(self, module: Residual, name: str, where: str) -> Iterator[Node]:
        purpose = self._purpose(module, Purpose.STOCHASTIC_DEPTH)
        block = self.read(module.block, within(name, "block"))
        p = module.stochastic_depth
        yield from self._sum(block, name, where, probability=p, purpose=purpose)

    def _sum(
        self,
        block: Iterator[Node],
        name: str,
        where: str,
        shortcut: Iterator[Node] | None = None,
        **drawn: Any,
    ) -> Iterator[Node]:
        """What a block makes of what flows, added to that or to what a shortcut makes of it."""
        dims = self._dims
        images = len(dims) == 3
        yield from self._lie_as_images(images)
        yield Node(name, spec_of(self._kinds.BRANCH))
        self._used_again = True
        yield from block
        added = self._dims
        yield from self._lie_as_images(len(added) == 3)
        if shortcut is not None:
            yield Node(name, spec_of(self._kinds.SHORTCUT))
            self._dims, self._as_images, self._used_again = dims, images, True
            yield from shortcut
            yield from self._lie_as_images(len(self._dims) == 3)
            dims = self._dims
        if added != dims:
            raise Obstacle(f"{where} has a block that gives rows of shape {added} for {dims}")
        self._used_again = False
        yield Node(name, spec_of(self._kinds.JOIN, **drawn))

    def _linear(self, module: nn.Module, name: str, where: str) -> Node:
        tensors = self._tensors(module, name, ("weight", "bias"), where)
        outputs, inputs = next(iter(tensors.values())).shape
        if inputs != self._width:
            raise Obstacle(
                f"{where} takes {inputs} numbers at once, but a row has {self._width} there"
            )
        self._width = outputs
        spec = spec_of(self._kinds.LINEAR, inputs=inputs, outputs=outputs, learned=len(tensors) > 1)
        return Node(name, spec, tensors)

    def _activation(self, module: nn.Module, name: str, _: str) -> Node:
        function = _ACTIVATIONS[type(module)]
        if isinstance(module, nn.GELU) and module.approximate == "tanh":
            function = "GELU_TANH"
        slope = module.negative_slope if isinstance(module, nn.LeakyReLU) else 0.0
        activation = extension().Activation[function]
        return Node(name, spec_of(self._kinds.ACTIVATION, activation=activation, slope=slope))

    def _parametric(self, module: ParametricActivation, name: str, where: str) -> Node:
        function = module.activation.upper()
        slope = 0.01 if function == "LEAKY_RELU" else 0.0  # torch's default
        spec = spec_of(
            self._kinds.PARAMETRIC, activation=extension().Activation[function], slope=slope
        )
        return Node(name, spec, self._of_columns(module, name, "alpha", where))

    def _prelu(self, module: nn.PReLU, name: str, where: str) -> Node:
        tensors = self._tensors(module, name, ("weight",), where)
        count = module.weight.numel()
        if count > 1:
            self._check_width(count, where)
        spec = spec_of(self._kinds.PRELU, learned=count > 1)
        return Node(name, spec, tensors)

    def _batch_ensemble(self, module: LinearBatchEnsemble, name: str, where: str) -> Iterator[Node]:
        """Factors r of the members, one product for all of them, factors s and biases."""
        self._check_members(module.members, where)
        self._check_width(module.in_features, where)
        r, weight, *out = (
            self._tensors(module, name, (own,), where) for own in ("r", "weight", "s", "bias")
        )
        yield Node(name, spec_of(self._kinds.MEMBER_SCALING), r)
        self._width = module.out_features
        product = spec_of(
            self._kinds.LINEAR, inputs=module.in_features, outputs=module.out_features
        )
        yield Node(name, product, weight)
        yield Node(name, spec_of(self._kinds.MEMBER_SCALING, learned=True), out[0] | out[1])

    def _heads(self, module: LinearEnsemble, name: str, where: str) -> Node:
        self._check_members(module.members, where)
        self._check_width(module.in_features, where)
        tensors = self._tensors(module, name, ("weights", "bias"), where)
        self._width = module.out_features
        spec = spec_of(
            self._kinds.HEADS,
            inputs=module.in_features,
            outputs=module.out_features,
            members=module.members,
        )
        return Node(name, spec, tensors)

    def require_one_answer(self) -> None:
        """The net must have ended in rows, and in the mean of its members, if it has members."""
        if len(self._dims) > 1:
            raise Obstacle(
                f"the model gives rows of shape {self._dims}: it does not end in Flatten"
            )
        if self._members is not None and not self._mean_taken:
            raise Obstacle("the members of the net do not end in EnsembleMean")

    def _check_members(self, members: int, where: str) -> None:
        if members != self._members:
            raise Obstacle(f"{where} has {members} members, but a row has {self._members} there")

    def _require_by_row(self, module: nn.Module, where: str) -> None:
        """Behind a view, where torch has three dimensions, what looks at one row as in two."""
        kind = type(module)
        wrong = kind in (
            *OF_IMAGES,
            nn.Flatten,
            nn.Unflatten,
            nn.BatchNorm1d,
            EnsembleView,
            PeriodicEmbedding,
        )
        wrong = wrong or kind is CategoryEmbedding or self._mean_taken or is_own(module)
        wrong = wrong or (isinstance(module, nn.PReLU) and module.weight.numel() > 1)
        wrong = wrong or (isinstance(module, Residual) and module.stochastic_depth > 0)
        if wrong:
            raise Obstacle(f"{where} stands behind EnsembleView")
        # Masks are drawn in fours, and torch's of a row are those of its members one after another.
        if isinstance(module, nn.Dropout) and module.p and self._width % 4:
            raise Obstacle(f"{where} drops from members of {self._width} numbers, not fours")

    def _periodic(self, module: PeriodicEmbedding, name: str, where: str) -> Node:
        self._check_width(module.features, where)
        tensors = self._tensors(module, name, ("frequency", "phase", "mixing", "bias"), where)
        self._width = module.width
        spec = spec_of(
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
        spec = spec_of(self._kinds.CATEGORIES, outputs=module.outputs, columns=columns)
        return Node(name, spec, tensors)

    def _of_columns(
        self, module: nn.Module, name: str, tensor: str, where: str
    ) -> dict[str, torch.Tensor]:
        """A parameter that has a number for each column."""
        tensors = self._tensors(module, name, (tensor,), where)
        self._check_width(next(iter(tensors.values())).numel(), where)
        return tensors

    def _layer_norm(self, module: nn.Module, name: str, where: str) -> Node:
        learned = self._tensors(module, name, ("weight", "bias"), where)
        if len(learned) == 1:
            raise Obstacle(f"{where} has a weight and no bias")
        shape: tuple[int, ...] = module.normalized_shape  # type: ignore[assignment]
        if len(shape) != 1:
            raise Obstacle(f"{where} normalises over several dimensions")
        self._check_width(shape[0], where)
        spec = spec_of(self._kinds.LAYER_NORM, eps=module.eps, learned=bool(learned))
        return Node(name, spec, learned)


# Who reads a module of which type: those who make a node of it, and those who make some or none.
_ONE_NODE: dict[type, Callable[[_Reader, Any, str, str], Node]] = {
    **dict.fromkeys(_ACTIVATIONS, _Reader._activation),
    **dict.fromkeys((nn.Linear, LinearLayer), _Reader._linear),
    ParametricActivation: _Reader._parametric,
    nn.PReLU: _Reader._prelu,
    ScalingLayer: _Reader._scaling,
    PeriodicEmbedding: _Reader._periodic,
    CategoryEmbedding: _Reader._categories,
    EnsembleView: _Reader._view,
    LinearEnsemble: _Reader._heads,
    nn.BatchNorm1d: _Reader._batch_norm,
    nn.LayerNorm: _Reader._layer_norm,
}
_SOME_NODES: dict[type, Callable[[_Reader, Any, str, str], Iterator[Node]]] = {
    Residual: _Reader._residual,
    LinearBatchEnsemble: _Reader._batch_ensemble,
    EnsembleMean: _Reader._mean,
    nn.Dropout: _Reader._dropout,
    nn.Dropout2d: _Reader._dropout2d,
    nn.Flatten: _Reader._flatten,
    nn.Unflatten: _Reader._unflatten,
}
