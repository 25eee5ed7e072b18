"""All that the rules of check may look at, and the experiments that they may ask for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from steepest.engine import seed_generators
from steepest.health.check.autograd_graph import graph_nodes
from steepest.health.check.data import class_indices
from steepest.health.check.probe_pass import ProbePass, run_pass
from steepest.health.clock import Clock
from steepest.health.foreign import foreign, swallow
from steepest.health.replay.batches import Batch, Form, LoaderSample
from steepest.health.replay.replay import (
    Replay,
    Setup,
    Transform,
    first_tensor,
    mean_loss,
    replay,
    standardised,
)

_ADAM = (0.01, 0.03)  # rates at which 30 steps show what a start is worth
# What is measured on the copies as they are, and anew once a cause is mended.
_MEASURED = (
    "logits",
    "summed",
    "loss_at_start",
    "_replays",
    "replayed",
    "standardise",
    "after_some_steps",
    "net_learns",
    "original_descent",
    "descends",
)
REPLAYED = 30  # steps of a what-if
MEMORISED = 32  # rows that a net must be able to learn by heart


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

    Attributes:
        setup: Copies, never the user's own.
        train: What was read of the training data.
        val: What was read of the validation data.
        form: How a batch of the loader is taken apart.
        batches: The first minibatches in the loader's order.
        sample: 64 to 256 rows from all over the training data.
        val_sample: The same of the validation data, if there are any.
        original_ids: Of the user's own parameters: a loss may hold them, and copies of it still do.
        clock: When it is over nothing more is begun.
        left_out: What was not looked at, and why.
        unmeasured: What there was no time for.
        original_optimizer: False if none was given or it cannot be tried, and a neutral Adam takes
            the steps of the experiments.
        reached: Parameters that are known to get gradients in the loop.
        may_step: Whether steps on copies are wanted.
        unregistered: Whether weights are used that the model does not know of.
        mended: Causes that were found and are mended on the copies from there on.
        first: A forward and backward pass of the probe, once it was made.
        probe: The rows of the sample that passes are made on: all where that is cheap.
        a_row: Seconds that a pass forward and back takes for each row, as measured.
        known: What rules have made for each other, by name.
    """

    setup: Setup
    train: LoaderSample
    val: LoaderSample
    form: Form
    batches: list[Batch]
    sample: Batch
    val_sample: Batch | None
    original_ids: frozenset[int]
    clock: Clock
    left_out: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)
    original_optimizer: bool = True
    reached: frozenset[str] = frozenset()
    may_step: bool = True
    mended: tuple[str, ...] = ()
    unregistered: bool = False
    first: ProbePass | None = None
    probe: Batch = field(init=False)
    a_row: float = 0.0
    known: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.probe = self.sample

    def affords(self, passes: float, rows: int | None = None) -> bool:
        """Whether so many passes of so many rows (of the probe) fit into what is left of the time.

        Asked before each experiment: the time given is exceeded by no more than a pass.
        """
        rows = self.probe.rows if rows is None else rows
        return passes * rows * self.a_row <= self.clock.left

    def few(self, batch: Batch) -> Batch:
        """As many rows of a minibatch as passes are made on."""
        return batch.take(slice(0, self.probe.rows)) if batch.rows > self.probe.rows else batch

    @property
    def late(self) -> bool:
        return self.clock.over

    def leave_out(self, what: str, why: str = "") -> None:
        """Note what was not looked at. why: unless there was no time for it."""
        if self.late or not why:
            self.unmeasured.append(what)
        else:
            self.left_out.append(f"{what}: {why}")

    def inputs_by_part(self) -> Iterator[tuple[str, Tensor]]:
        """The inputs that were read, (N, ...), of "training" and of "validation"."""
        if self.train.whole:
            yield "training", self.train.whole[0]
        else:
            same = [b.x for b in self.batches if b.x is not None and self.sample.x is not None]
            if same and all(x.shape[1:] == same[0].shape[1:] for x in same):
                yield "training", torch.cat(same)
        if self.val.whole:
            yield "validation", self.val.whole[0]
        elif self.val_sample is not None and self.val_sample.x is not None:
            yield "validation", self.val_sample.x

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
        """Class indices of the sample, (N,), None if the targets are something else."""
        return class_indices(self.sample.target)

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

    # Causes that were found.

    def mend(
        self,
        code: str,
        setup: Setup | None = None,
        *,
        transform: Transform | None = None,
        batches: list[Batch] | None = None,
    ) -> None:
        """Go on as if a cause were mended: an experiment then shows what is wrong besides.

        setup: the mended one; the model in it is never changed in place. transform: of all inputs.
        batches: in place of the first minibatches. Without experiments all stays as it is.
        """
        if not self.may_step:
            return
        self.mended = (*self.mended, code)
        self.setup = setup or self.setup
        self.batches = batches or self.batches
        if transform is not None:
            self.batches = [transform(batch) for batch in self.batches]
            self.sample, self.probe = transform(self.sample), transform(self.probe)
        for name in _MEASURED:
            self.__dict__.pop(name, None)
        if self.first is not None and (setup or transform) and self.affords(1):
            self.first = run_pass(self.setup, self.probe) or self.first

    # Experiments. Each is made once, when a rule asks for it, and None if time is over.

    def what_if(self, name: str, steps: int = REPLAYED, **change: Any) -> Replay | None:
        """Replay the first minibatches with one thing changed; losses are per row."""
        key = (name, steps)
        if key not in self._replays:
            result = None
            if self.may_step and not self.late:
                a_step = self.a_row * self.replayed[0].rows
                result = replay(
                    self.setup, self.replayed, steps, clock=self.clock, a_step=a_step, **change
                )
            if result is None or result.cut:
                self._leave_out_steps(f"the what-if '{name}'", result)
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

    def by_adam(self, name: str, **change: Any) -> Replay | None:
        """The better of two rates of Adam, where the user's own optimizer teaches nothing."""
        altered = change.pop("change", None)

        def with_adam(setup: Setup, lr: float) -> Setup | None:
            made = altered(setup) if altered else setup
            return made.neutral(lr) if made else None

        tried = [
            self.what_if(f"{name}, Adam at {lr:g}", change=partial(with_adam, lr=lr), **change)
            for lr in _ADAM
        ]
        return min(filter(None, tried), key=lambda one: one.final, default=None)

    @property
    def plain(self) -> Replay | None:
        """The first steps as they would be."""
        return self.what_if("as it is")

    @cached_property
    def standardise(self) -> Transform | None:
        return standardised([self.sample])

    @cached_property
    def after_some_steps(self) -> Setup | None:
        """A copy after five steps of Adam: layers that start at 0 have woken up."""
        some = self.probe.take(slice(0, 64))
        clone = self.setup.copy() if self.affords(5, some.rows) else None
        if clone is None:
            self.leave_out("the net after some steps")
            return None
        clone.model.train()
        clone = clone.neutral(1e-3)
        seed_generators(0)
        for _ in range(5):
            clone.step(some)
        return clone

    def by_heart(self, name: str, setup: Setup, steps: int = 200) -> Replay | None:
        """Learn the same few rows again and again, until half a loss in ten is left."""
        few = self.sample.take(slice(0, MEMORISED))
        result = None
        if self.may_step and not self.late:
            a_step = self.a_row * few.rows
            result = replay(setup, [few], steps, until=0.1, clock=self.clock, a_step=a_step)
        if result is None or result.cut:
            self._leave_out_steps(f"the test '{name}'", result)
            return None
        return result

    def _leave_out_steps(self, what: str, result: Replay | None) -> None:
        """result: of steps that were cut short; None if none was taken."""
        had_no_time = result is not None or not self.may_step
        self.leave_out(what, "" if had_no_time else "its steps cannot be taken on a copy")

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
    def original_descent(self) -> Replay | None:
        """T3: the user's own optimizer on the same 32 rows."""
        return self.by_heart("the optimizer learns 32 rows by heart", self.setup)

    @cached_property
    def descends(self) -> bool | None:
        done = self.original_descent
        if done is None:
            return None
        return done.finite and done.losses[-1] <= 0.5 * done.first
