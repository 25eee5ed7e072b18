"""What if: the same steps taken again on copies, with one thing changed."""

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.clock import FOR_EVER, Clock
from steepest.health.foreign import foreign, mark, swallow
from steepest.health.replay.batches import Batch
from steepest.health.replay.on_engine import OnEngine
from steepest.health.replay.optimizers import Adam
from steepest.health.replay.planned import Planned
from steepest.health.replay.untouched import deep

_ENGINE_GAINS = 10.0  # times as fast as a pass of torch the native engine may take a step

LossFn = Callable[..., Any]
Transform = Callable[[Batch], Batch]


def first_tensor(output: Any) -> Tensor | None:
    """The logits in whatever a model returns: a tensor, a tuple, a mapping, an object."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, dict):
        named = (output[name] for name in ("logits", "out", "output", "outputs") if name in output)
        return first_tensor(next(named, next(iter(output.values()), None)))
    if isinstance(output, (tuple, list)):
        return first_tensor(output[0]) if output else None
    logits = getattr(output, "logits", None)
    return logits if isinstance(logits, Tensor) else None


def tensors_in(output: Any) -> Iterator[Tensor]:
    """All tensors in whatever a model returns."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict):
        for part in output.values():
            yield from tensors_in(part)
    elif isinstance(output, (tuple, list)):
        for part in output:
            yield from tensors_in(part)
    elif is_dataclass(output):
        yield from tensors_in(list(vars(output).values()))


@dataclass
class Setup:
    """A model, its loss and its optimizers, as the user's loop would use them.

    unpack: the loss gets the logits out of what the model returns, not the whole. form of the call
    is fixed by the first batch that works.
    """

    model: nn.Module
    loss_fn: LossFn
    optimizers: tuple[Any, ...] = ()
    unpack: bool = False

    def copy(self) -> "Setup | None":
        """A copy whose optimizers hold the copy's parameters; None if it cannot be copied."""
        clone = deep(self.model, self.loss_fn, self.optimizers)
        if clone is None:
            return None
        model, loss_fn, optimizers = clone
        try:
            for old, new in zip(self.optimizers, optimizers, strict=True):
                _complete(old, new)
        except Exception as error:  # what the user's class keeps cannot be copied
            swallow(error)
            return None
        return Setup(model, loss_fn, optimizers, self.unpack)

    def eval(self) -> "Setup":
        """The same, its model in evaluation mode."""
        self.model.eval()
        return self

    def outputs(self, batch: Batch) -> Any:
        with foreign:
            return self.model(*batch.args, **batch.kwargs)

    def loss_of(self, output: Any, target: Any, weights: Tensor | None = None) -> Tensor:
        """The loss as a scalar: a loss without reduction is averaged.

        weights: of the rows, which a loss of ours takes, and what a what-if makes of it.
        """
        shown = first_tensor(output) if self.unpack else output
        more = {} if weights is None else {"weights": weights}
        with foreign:
            value = self.loss_fn(shown, target, **more)
        loss = first_tensor(value)
        if loss is None:
            raise mark(TypeError("the loss function returned no tensor"))
        return loss if loss.ndim == 0 else loss.mean()

    def loss(self, batch: Batch) -> Tensor:
        return self.loss_of(self.outputs(batch), batch.target, batch.weights)

    def step(self, batch: Batch) -> float:
        """One step of the user's optimizers; the loss before it."""
        losses: list[Tensor] = []

        def closure() -> Tensor:
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            loss = self.loss(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss)
            return loss

        with foreign:
            if any(_wants_closure(type(o)) for o in self.optimizers):  # type: ignore[arg-type]
                for optimizer in self.optimizers:
                    optimizer.step(closure)
            else:
                closure()
                for optimizer in self.optimizers:
                    optimizer.step()
        return float(losses[0].detach())

    def neutral(self, lr: float) -> "Setup":
        """The same model with Adam at this rate in place of the user's optimizers."""
        return replace(self, optimizers=(Adam(self.model.parameters(), lr),))


@lru_cache
def _wants_closure(kind: type) -> bool:
    """Whether step() must be given the loss as a function, as of LBFGS."""
    closure = inspect.signature(kind.step).parameters.get("closure")  # type: ignore[attr-defined]
    return closure is not None and closure.default is closure.empty


def _complete(old: Any, new: Any) -> None:
    """Give the copy of an optimizer the attributes that torch leaves out of copies.

    As the list that LBFGS keeps, and whatever a class of the user's has: what it says of parameters
    is said of the copied ones.
    """
    memo: dict[int, Any] = {id(old): new}
    for g, h in zip(groups_of(old), groups_of(new), strict=True):
        memo |= {id(a): b for a, b in zip(g["params"], h["params"], strict=True)}
    for name, value in vars(old).items():
        # A scheduler puts a step() there that moves the optimizer it was made for, not a copy.
        of_the_old = callable(value) and hasattr(type(old), name)
        if name not in vars(new) and not of_the_old:
            with foreign:
                setattr(new, name, copy.deepcopy(value, memo))


def groups_of(optimizer: Any) -> list[dict[str, Any]]:
    """Its param_groups; empty for a class that has none."""
    return getattr(optimizer, "param_groups", None) or []


@dataclass(frozen=True)
class Replay:
    """What some steps did. losses: before each step, in order."""

    losses: tuple[float, ...]
    cut: bool = False  # time was over before the last step

    @property
    def finite(self) -> bool:
        return all(map(math.isfinite, self.losses))

    @property
    def first(self) -> float:
        return self.losses[0] if self.losses else math.nan

    @property
    def final(self) -> float:
        """Mean of the last third; infinite if any step was not finite."""
        if not self.finite or not self.losses:
            return math.inf
        last = self.losses[-max(1, len(self.losses) // 3) :]
        return sum(last) / len(last)

    @property
    def worst(self) -> float:
        return max(self.losses) if self.finite and self.losses else math.inf


def replay(
    setup: Setup,
    batches: Sequence[Batch],
    steps: int,
    *,
    change: Callable[[Setup], Setup | None] | None = None,
    transform: Transform | None = None,
    until: float = 0.0,
    clock: Clock = FOR_EVER,
    a_step: float = 0.0,
) -> Replay | None:
    """Take steps on a copy of the setup, through these batches in turn; None if it cannot be.

    change: alters the copy before the first step. transform: alters each batch. until: stops at
    this share of the first loss. clock: when it is over the replay stops, with cut=True. a_step:
    seconds of a step, as far as known: what does not fit is not begun. The same seed goes before
    every replay, so that two differ by the change alone. The native engine takes the steps where it
    runs all of the copy; those of a plan of ours are its engine's.
    """
    # One that stops at a share of the loss may need a tenth of its steps.
    needed = a_step * (steps / 10 if until else steps)
    if needed > _ENGINE_GAINS * clock.left:
        return Replay((), cut=True)
    clone = setup.copy()
    if clone is not None and change is not None:
        clone = change(clone)
    if clone is None or not clone.optimizers or not batches:
        return None
    shown = [transform(batch) for batch in batches] if transform else list(batches)
    seed_generators(0)
    planned = clone.optimizers[0]
    if isinstance(planned, Planned):
        return _of_plan(planned, clone, shown, steps, until, clock)
    clone.model.train()
    native = OnEngine.of(clone.model, clone.loss_fn, clone.optimizers, shown)
    if native is None and needed > clock.left:
        return Replay((), cut=True)
    if native is not None:
        taken, cut = native.losses(steps, until, clock)
        return Replay(tuple(taken), cut)
    losses: list[float] = []
    try:
        for k in range(steps):
            if clock.over:
                return Replay(tuple(losses), cut=True)
            losses.append(clone.step(shown[k % len(shown)]))
            if not math.isfinite(losses[-1]) or losses[-1] <= until * losses[0]:
                break
    except Exception as error:
        swallow(error)
        # An optimizer or a model that cannot take these steps; the caller says what it left out.
        return Replay(tuple(losses), cut=True) if losses else None
    return Replay(tuple(losses))


def _of_plan(
    planned: Planned,
    clone: Setup,
    batches: Sequence[Batch],
    steps: int,
    until: float,
    clock: Clock,
) -> Replay | None:
    """The engine of a plan of ours takes the steps, by its recipe."""
    try:
        with foreign:  # the user's module runs in the engine
            engine = planned.on_engine(clone.model, clone.loss_fn, batches)
            losses, cut = engine.losses(steps, until, clock)
    except Exception as error:
        swallow(error)
        return None
    return Replay(tuple(losses), cut)


def lr_times(factor: float) -> Callable[[Setup], Setup]:
    """Multiply every learning rate."""
    return _in_groups(
        lambda group: group.update(lr=group["lr"] * factor) if "lr" in group else None
    )


def without_decay(setup: Setup) -> Setup:
    """Weight decay of 0."""
    return _in_groups(lambda group: group.update(weight_decay=0.0))(setup)


def momentum_of(value: float) -> Callable[[Setup], Setup]:
    """Another momentum at the same learning rate, where there is one."""
    return _in_groups(lambda group: group.update(momentum=value) if "momentum" in group else None)


def _in_groups(change: Callable[[dict[str, Any]], None]) -> Callable[[Setup], Setup]:
    def apply(setup: Setup) -> Setup:
        for optimizer in setup.optimizers:
            for group in groups_of(optimizer):
                change(group)
        return setup

    return apply


def mean_loss(setup: Setup) -> Setup:
    """A summed loss divided by the rows of its batch."""
    whole = setup.loss_fn
    return replace(setup, loss_fn=lambda z, y, **more: whole(z, y, **more) / len(y))


def on_logits(back: Callable[[Tensor], Tensor]) -> Callable[[Setup], Setup]:
    """The loss gets back(output) in place of the output: logits in place of probabilities."""

    def apply(setup: Setup) -> Setup:
        whole = setup.loss_fn
        return replace(setup, loss_fn=lambda z, y, **more: whole(back(z), y, **more))

    return apply


def replaced_by_he(model: nn.Module) -> Iterator[nn.Parameter]:
    """Matrices, kernels and biases; norms and embeddings stay."""
    kept = (
        nn.Embedding,
        nn.EmbeddingBag,
        nn.LayerNorm,
        nn.GroupNorm,
        nn.modules.batchnorm._NormBase,
    )
    fixed = {id(p) for m in model.modules() if isinstance(m, kept) for p in m.parameters()}
    for p in model.parameters():
        if id(p) not in fixed and p.is_floating_point() and p.ndim >= 1:
            yield p


def reinitialised(setup: Setup) -> Setup:
    """He's initialisation of all matrices and kernels, biases 0; norms and embeddings stay."""
    with torch.no_grad():
        for p in replaced_by_he(setup.model):
            if p.ndim >= 2:
                nn.init.kaiming_normal_(p, nonlinearity="relu")
            else:
                p.zero_()
    return setup


def standardised(batches: Iterable[Batch]) -> Transform | None:
    """Subtract the mean and divide by the deviation, measured on these batches.

    Per column of a table or a sequence (..., d), per channel of images (N, C, H, W). None if the
    first input is not of floating point.
    """
    inputs = [batch.x for batch in batches]
    if not inputs or any(x is None or not x.is_floating_point() for x in inputs):
        return None
    x = torch.cat([x for x in inputs if x is not None and x.shape[1:] == inputs[0].shape[1:]])  # type: ignore[union-attr]
    mean, std = moments(x)

    def apply(batch: Batch) -> Batch:
        assert batch.x is not None
        return batch.with_x((batch.x - mean) / std)

    return apply


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each column or channel; the deviation of a constant one is 1."""
    axes = (0, *range(2, x.ndim)) if x.ndim >= 4 else tuple(range(max(1, x.ndim - 1)))
    x = x.double()
    mean, std = x.mean(axes, keepdim=True), x.std(axes, correction=0, keepdim=True)
    std = torch.where(std > 1e-12, std, 1.0)
    return mean.float(), std.float()
