"""Forward passes of a training, each with its inputs, its loss and the gradient of its logits.

A backward pass may go through several forward passes (pairs, several views), through one, or never
come (rows that are evaluated with gradients switched on). So what belongs together is kept together
and judged when the round is over: at the next forward pass after a backward pass, or at the step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from steepest.health.replay.batches import Batch
from steepest.health.watch.arrivals import Mark

_MOST = 64  # passes whose inputs are held


@dataclass(eq=False)
class ForwardPass:
    """training: the model's flag. frozen: dropout and batch norm rested. logits: detached.

    gradient: of the logits, from all backward passes that the parameters kept something of.
    pending: of the latest one, with the gradients that were there when it began. late: a step was
    taken before its backward pass.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    training: bool
    frozen: bool
    logits: Tensor
    target: Any = None
    loss: Tensor | None = None
    gradient: Tensor | None = None
    pending: tuple[Tensor, Mark] | None = None
    late: bool = False

    @property
    def used(self) -> bool:
        """Whether a backward pass went through it."""
        return self.gradient is not None or self.pending is not None

    def settle(self, kept: Callable[[Mark], bool]) -> None:
        """Add the latest gradient if something of it was kept. Those of several losses add up."""
        if self.pending is not None and kept(self.pending[1]):
            new = self.pending[0]
            self.gradient = new if self.gradient is None else self.gradient + new
        self.pending = None

    def judged(self, logits: Any, target: Any, loss: Tensor) -> None:
        """The loss was asked. Twice with different targets (mixup): then none of them holds.

        logits: as the loss got them; where the loop took an axis of one away, the target gets it.
        """
        z, squeezed = self.logits, isinstance(logits, Tensor) and isinstance(target, Tensor)
        if squeezed and logits.shape == target.shape and logits.ndim < z.ndim:
            target = target.reshape(z.shape) if target.numel() == z.numel() else target
        self.target = target if self.loss is None or self.target is target else None
        self.loss = loss.detach()

    def batch(self, target: Any) -> Batch:
        return Batch(self.args, target, self.kwargs)


@dataclass
class Round:
    """The passes that the next backward pass may go through."""

    passes: list[ForwardPass] = field(default_factory=list)

    def add(self, one: ForwardPass) -> None:
        self.passes = [*self.passes[-_MOST:], one]

    @property
    def used(self) -> list[ForwardPass]:
        return [p for p in self.passes if p.used]

    def rest(self, *, by_step: bool) -> "Round":
        """What goes on when the round is over: a pass that a step came before, if none was used.

        Where step() comes before backward(), the backward pass is still to come.
        """
        waiting = [] if self.used else [p for p in self.passes[-1:] if by_step or p.late]
        for one in waiting:
            one.late = True
        return Round(waiting)

    def of(self, logits: Any) -> ForwardPass | None:
        """The pass whose logits these are, or a view of them; the latest if it is none's."""
        if isinstance(logits, Tensor):
            for p in reversed(self.passes):
                if p.logits.data_ptr() == logits.data_ptr():
                    return p
        return self.passes[-1] if self.passes else None

    def evaluated(self) -> list[ForwardPass]:
        """Take out what was passed in eval mode and that no backward pass followed."""
        evaluated = [p for p in self.passes if not p.training and not p.used]
        self.passes = [p for p in self.passes if p not in evaluated]
        return [p for p in evaluated if p.loss is not None]
