"""What is measured before any rule looks: one batch forward and backward, data, and the triage."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.clock import Clock
from steepest.health.foreign import foreign, mark, swallow
from steepest.health.replay.batches import Batch, Form, Part
from steepest.health.replay.replay import (
    Replay,
    Setup,
    Transform,
    first_tensor,
    mean_loss,
    replay,
    standardised,
)

# Nodes of the autograd graph that pass values on unchanged.
PASSED = (
    *("View", "Squeeze", "Unsqueeze", "Select", "Reshape", "Transpose", "Permute", "Slice"),
    *("ToCopy", "Clone", "Alias", "Expand", "TBackward", "AsStrided", "Flatten", "Unsafe"),
    *("Index", "Contiguous", "Detach", "Split", "Unbind"),
)
REPLAYED = 30  # steps of a what-if
MEMORISED = 32  # rows that a net must be able to learn by heart


def head_node(tensor: Tensor) -> Any:
    """The node of the graph that made the values of a tensor; None for a leaf."""
    node = tensor.grad_fn
    while node is not None and node.name().startswith(PASSED) and node.next_functions:
        node = node.next_functions[0][0]
    return node


def head_name(tensor: Tensor) -> str:
    """Its name without version, as Softmax, LogSoftmax, Sigmoid, Relu, Addmm; "" for a leaf."""
    node = head_node(tensor)
    return "" if node is None else node.name().partition("Backward")[0]


def graph_nodes(root: Any, most: int = 20_000) -> Iterator[Any]:
    """The nodes of an autograd graph, breadth first."""
    visited: set[Any] = set()
    front = [root]
    while front and len(visited) < most:
        node = front.pop(0)
        if node is None or node in visited:
            continue
        visited.add(node)
        yield node
        front += [parent for parent, _ in node.next_functions]


@dataclass
class Signal:
    """What a module with weights, or an activation, was fed and gave on the probe rows.

    scale_in, scale_out: mean over units of the deviation across samples. zero_units: share of
    input units (columns, channels) that are 0 in every row and place, if a gradient flows there.
    saturated: share of inputs of a tanh or sigmoid that lie at its bounds.
    """

    name: str
    module: nn.Module
    scale_in: float = math.nan
    scale_out: float = math.nan
    zero_units: float = 0.0
    units: int = 0
    fed_by: str = ""
    saturated: float = 0.0
    calls: int = 0

    @property
    def gain(self) -> float:
        return self.scale_out / self.scale_in if self.scale_in > 0 else math.nan


@dataclass
class Pass:
    """One forward and backward pass in train mode on the probe rows, on a copy.

    leaves: tensors that want a gradient. used_by: id of a leaf -> functions that take it.
    """

    setup: Setup
    output: Any
    logits: Tensor
    loss: float
    grads: dict[str, Tensor | None]
    signals: dict[str, Signal]
    leaves: list[Tensor]
    used_by: dict[int, set[str]]
    loss_has_graph: bool


def unit_scale(x: Tensor) -> float:
    """Mean over units of the deviation across samples: biases do not count as signal."""
    x = x.detach().double()
    if x.ndim < 2 or len(x) < 2:
        return math.nan
    return float(x.flatten(1).std(0, correction=0).mean())


def run_pass(setup: Setup, batch: Batch) -> Pass | None:
    """None if the setup cannot be copied. Raises what the user's own code raises."""
    clone = setup.copy()
    if clone is None:
        return None
    clone.model.train()
    clone.model.zero_grad(set_to_none=True)
    seed_generators(0)
    signals: dict[str, Signal] = {}
    with _listening(clone.model, signals):
        output = clone.outputs(batch)
    logits = first_tensor(output)
    if logits is None:
        kind = type(output).__name__
        raise mark(TypeError(f"the model returned a {kind} that holds no tensor"))
    loss = clone.loss_of(output, batch.target)
    leaves: list[Tensor] = []
    used_by: dict[int, set[str]] = {}
    if loss.requires_grad:
        nodes = list(graph_nodes(loss.grad_fn))
        leaves = [node.variable for node in nodes if hasattr(node, "variable")]
        used_by = _used_by(nodes)
        with foreign:
            loss.backward()  # type: ignore[no-untyped-call]
    grads = {name: p.grad for name, p in clone.model.named_parameters() if p.requires_grad}
    has_graph = bool(loss.requires_grad)
    value = float(loss.detach())
    return Pass(clone, output, logits, value, grads, signals, leaves, used_by, has_graph)


def _used_by(nodes: list[Any]) -> dict[int, set[str]]:
    """The functions that take each leaf, seen through views and transposes of it."""
    children: dict[Any, list[Any]] = {}
    for node in nodes:
        for parent, _ in node.next_functions:
            children.setdefault(parent, []).append(node)
    functions: dict[int, set[str]] = {}
    for leaf in (node for node in nodes if hasattr(node, "variable")):
        front, names = list(children.get(leaf, ())), set()
        while front:
            node = front.pop()
            if node.name().startswith(PASSED):
                front += children.get(node, ())
            else:
                names.add(node.name().partition("Backward")[0])
        functions[id(leaf.variable)] = names
    return functions


@contextmanager
def _listening(model: nn.Module, signals: dict[str, Signal]) -> Iterator[None]:
    """Fill signals from what modules without children are fed and give."""
    handles = []
    for name, module in model.named_modules():
        if next(module.children(), None) is None or any(True for _ in module.parameters(False)):
            handles.append(module.register_forward_hook(_listener(name, signals)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _listener(name: str, signals: dict[str, Signal]) -> Callable[..., None]:
    def listen(module: nn.Module, args: Any, output: Any) -> None:
        signal = signals.setdefault(name, Signal(name, module))
        signal.calls += 1
        x, z = first_tensor(args), first_tensor(output)
        if signal.calls > 1 or x is None or z is None:
            return
        with torch.no_grad():
            if x.is_floating_point():
                signal.scale_in = unit_scale(x)
                _measure_units(signal, x)
            signal.scale_out = unit_scale(z)

    return listen


def _measure_units(signal: Signal, x: Tensor) -> None:
    """Dead units and saturation in what a layer is fed, named by the function that made it."""
    if not x.requires_grad or x.ndim < 2:
        return
    signal.fed_by = _activation_before(x)
    axis = 1 if x.ndim == 4 or isinstance(signal.module, nn.Conv1d) else x.ndim - 1
    by_unit = x.detach().movedim(axis, 0).flatten(1)
    signal.units = len(by_unit)
    signal.zero_units = float((by_unit == 0).all(1).float().mean())
    if signal.fed_by == "Tanh":
        signal.saturated = float((by_unit.abs() > 0.99).float().mean())
    elif signal.fed_by == "Sigmoid":
        signal.saturated = float(((by_unit < 0.01) | (by_unit > 0.99)).float().mean())


def _activation_before(x: Tensor) -> str:
    """The function that made an input, seen through pooling and dropout."""
    node = head_node(x)
    while node is not None:
        name = node.name().partition("Backward")[0]
        through = ("MaxPool", "AvgPool", "AdaptiveAvgPool", "NativeDropout", "Mul", *PASSED)
        if not name.startswith(through) or not node.next_functions:
            return str(name)
        node = node.next_functions[0][0]
    return ""


def loss_kind(setup: Setup, logits: Tensor, target: Any) -> str:
    """What the loss computes from the model's output, read from its graph, whoever wrote it.

    cross_entropy, nll, bce_logits, bce, mse, l1, likelihood (the log of probabilities is taken
    inside the loss), or "" if it is none of these.
    """
    z = logits.detach().clone().requires_grad_()
    try:
        with foreign:
            loss = setup.loss_fn(z, target)
        loss = loss if isinstance(loss, Tensor) else first_tensor(loss)
        if loss is None or loss.grad_fn is None:
            return ""
        names = {node.name().partition("Backward")[0] for node in graph_nodes(loss.grad_fn, 500)}
    except Exception as error:  # a loss that wants more than logits
        swallow(error)
        return ""
    for name, kind in (
        ("BinaryCrossEntropyWithLogits", "bce_logits"),
        ("LogSoftmax", "cross_entropy"),
        ("Logsumexp", "cross_entropy"),
        ("Log", "likelihood"),
        ("NllLoss", "nll"),
        ("NllLoss2D", "nll"),
        ("BinaryCrossEntropy", "bce"),
        ("MseLoss", "mse"),
        ("L1Loss", "l1"),
        ("SmoothL1Loss", "l1"),
        ("HuberLoss", "l1"),
    ):
        if name in names:
            return kind
    return ""


@dataclass
class CheckContext:
    """All that the rules may look at: the user's objects, what was read, and experiments on copies.

    setup: copies, never the user's own. batches: the first minibatches in the loader's order.
    probe: 64 to 256 rows from all over the training data. clock: when it is over nothing more is
    begun. left_out: what was not looked at, and why. unmeasured: what there was no time for.
    own_optimizer: False if none was given or it cannot be tried, and a neutral Adam takes the steps
    of the experiments.
    """

    setup: Setup
    train: Part
    val: Part
    form: Form
    batches: list[Batch]
    probe: Batch
    val_probe: Batch | None
    own_ids: frozenset[int]
    clock: Clock
    left_out: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)
    own_optimizer: bool = True
    first: Pass | None = None
    passes: list[Pass] = field(default_factory=list)

    @property
    def late(self) -> bool:
        return self.clock.over

    def leave_out(self, what: str, why: str) -> None:
        """Note what was not looked at. why: unless there was no time for it."""
        if self.late:
            self.unmeasured.append(what)
        else:
            self.left_out.append(f"{what}: {why}")

    @cached_property
    def kind(self) -> str:
        assert self.first is not None
        return loss_kind(self.setup, self.first.logits, self.probe.target)

    @cached_property
    def logits(self) -> Tensor:
        assert self.first is not None
        return self.first.logits.detach()

    @cached_property
    def classes(self) -> int:
        """C: outputs of the model; 2 for a single one; 0 if this is no classifier."""
        if self.kind in ("bce_logits", "bce"):
            return 2
        if self.kind == "likelihood" and (self.logits.ndim < 2 or self.logits.shape[1] == 1):
            return 2
        if self.kind not in ("cross_entropy", "nll", "likelihood") or self.logits.ndim < 2:
            return 0
        return self.logits.shape[1]

    @cached_property
    def labels(self) -> Tensor | None:
        """Class indices of the probe rows, (N,), None if the targets are something else."""
        return class_indices(self.probe.target)

    @cached_property
    def chance(self) -> float:
        """Log C: the loss of uniform logits."""
        return math.log(self.classes) if self.classes > 1 else math.nan

    @cached_property
    def prior_loss(self) -> float:
        """H(pi): the least loss of a net that ignores its input."""
        if self.labels is None:
            return self.chance
        share = self.labels[self.labels >= 0].bincount().double()
        share = share[share > 0] / share.sum()
        return float(-(share * share.log()).sum())

    @cached_property
    def summed(self) -> bool:
        """Whether the loss of the probe rows twice over is twice as large."""
        z, y = self.logits, self.probe.target
        if not isinstance(y, Tensor) or y.ndim == 0 or len(y) != len(z):
            return False
        with torch.no_grad():
            doubled = torch.cat([z, z]), torch.cat([y, y])
            try:
                with foreign:
                    once = float(self.setup.loss_fn(z, y))
                    twice = float(self.setup.loss_fn(*doubled))
            except Exception as error:  # a loss of another form
                swallow(error)
                return False
        return len(z) > 1 and once != 0 and abs(twice / once - 2) < 0.1

    @cached_property
    def loss_at_start(self) -> float:
        """L0: mean loss of a probe row before the first step."""
        assert self.first is not None
        return self.first.loss / (self.probe.rows if self.summed else 1)

    # Experiments. Each is made once, when a rule asks for it, and None if time is over.

    def what_if(self, name: str, steps: int = REPLAYED, **change: Any) -> Replay | None:
        """Replay the first minibatches with one thing changed; losses are per row."""
        key = (name, steps)
        if key not in self._replays:
            result = None
            if not self.late:
                result = replay(self.setup, self.replayed, steps, clock=self.clock, **change)
            if result is None or result.cut:
                self.leave_out(f"the what-if '{name}'", "its steps cannot be taken on a copy")
                result = None
            elif self.summed and change.get("change") is not mean_loss:
                rows = self.replayed[0].rows
                result = Replay(tuple(loss / rows for loss in result.losses))
            self._replays[key] = result
        return self._replays[key]

    @cached_property
    def _replays(self) -> dict[tuple[str, int], Replay | None]:
        return {}

    @cached_property
    def replayed(self) -> list[Batch]:
        """The minibatches of a what-if, of the size that the user's loop has."""
        full = [batch for batch in self.batches if batch.rows == self.batches[0].rows]
        return full[:REPLAYED]

    @property
    def plain(self) -> Replay | None:
        """The first steps as they would be."""
        return self.what_if("as it is")

    @cached_property
    def standardise(self) -> Transform | None:
        return standardised([self.probe])

    @cached_property
    def awake(self) -> Setup | None:
        """A copy after five steps of Adam: layers that start at 0 have woken up."""
        clone = self.setup.copy()
        if clone is None:
            return None
        clone.model.train()
        clone = clone.neutral(1e-3)
        seed_generators(0)
        for _ in range(5):
            clone.step(self.probe.take(slice(0, 64)))
        return clone

    def by_heart(self, name: str, setup: Setup, steps: int = 200) -> Replay | None:
        """Learn the same few rows again and again, until half a loss in ten is left."""
        few = self.probe.take(slice(0, MEMORISED))
        result = None
        if not self.late:
            result = replay(setup, [few], steps, until=0.1, clock=self.clock)
        if result is None or result.cut:
            self.leave_out(f"the test '{name}'", "its steps cannot be taken on a copy")
            return None
        return result

    @cached_property
    def net_learns(self) -> bool | None:
        """T2: a neutral Adam learns 32 rows by heart. None if there was no time."""
        for lr in (1e-3, 1e-2):
            done = self.by_heart("the net learns 32 rows by heart", self.setup.neutral(lr))
            if done is None:
                return None
            if done.finite and done.losses[-1] <= max(0.1 * done.first, 1e-3):
                return True
        return False

    @cached_property
    def own_descent(self) -> Replay | None:
        """T3: the user's own optimizer on the same 32 rows."""
        return self.by_heart("the optimizer learns 32 rows by heart", self.setup)

    @cached_property
    def descends(self) -> bool | None:
        done = self.own_descent
        if done is None:
            return None
        return done.finite and done.losses[-1] <= 0.5 * done.first


def class_indices(target: Any) -> Tensor | None:
    """Labels as class indices (N,): from integers, from 0.0 and 1.0, from one-hot rows."""
    if not isinstance(target, Tensor) or target.ndim == 0:
        return None
    y = target.detach()
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.is_floating_point():
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()
        return y.argmax(1) if one_hot else None
    if y.ndim != 1:
        return None
    if y.is_floating_point():
        whole = bool((y == y.round()).all()) and len(y) > 0
        return y.long() if whole and torch.unique(y).numel() <= 0.5 * len(y) + 2 else None
    return y.long()
