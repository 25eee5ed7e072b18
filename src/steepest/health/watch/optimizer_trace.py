"""What a watch has seen of one optimizer: gradients that come, are cleared, are clipped; rates."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

CAREFUL = 8  # steps that are looked at closely, after which it is now and then
_COLLAPSED = 1e-3  # share of its highest rate to which a schedule has fallen by mistake
_SMALL = 1e5  # numbers of a matrix whose values are kept from step to step


def holds_gradient(p: Tensor) -> bool:
    """Whether a parameter has a gradient that is not 0."""
    g = p.grad
    if g is None:
        return False
    # A norm: sparse gradients have no any(), and that of dense ones takes longer than their sum.
    norm = torch.linalg.vector_norm(g) if g.layout is torch.strided else g.norm()
    return float(norm) != 0


def sentinels_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """First, middle and last of the parameters that an optimizer holds."""
    held = [p for g in optimizer.param_groups for p in g["params"] if p.requires_grad]
    places = sorted({0, len(held) // 2, len(held) - 1}) if held else []
    return [held[i] for i in places]


@dataclass
class OptimizerTrace:
    """An optimizer and what was seen of it. sentinels: a few of its parameters.

    A step goes through these methods in order: `backward_begins` (at each pass), `gradient_arrived`
    (for each sentinel), `step_begins`, `step_ended`. What they keep of one step is forgotten by
    `forget_step`; at steps that are not looked at only `step_ended` is called.
    """

    optimizer: torch.optim.Optimizer
    sentinels: list[Tensor]
    steps: int = 0
    clean: bool = True  # a backward pass since the last step began without gradients
    backwards: int = 0  # passes since the last step
    before: int = 0  # of them, before this step began: none with a closure
    arrived: bool = False  # gradients that are not zero came since the last step
    held: set[int] = field(default_factory=set)  # sentinels that had a gradient at the last step
    dirty_steps: int = 0  # in a row
    emptied_steps: int = 0
    norm_arrived: float = math.nan  # of the first sentinel's gradient
    clip_ratios: list[float] = field(default_factory=list)
    last_lr: float | None = None
    highest_lr: float = 0.0
    collapsed_at: int | None = None
    peak: float = 0.0  # the highest rate of all steps since it was set to 0
    after: tuple[Tensor, int, Tensor] | None = None  # a step: parameter, version, its values
    start: Tensor | None = field(default=None, init=False)  # values of `smallest` before any step

    @property
    def name(self) -> str:
        return type(self.optimizer).__name__

    def __post_init__(self) -> None:
        if not any(isinstance(p, nn.UninitializedParameter) for p in self.sentinels):
            self.start = None if self.smallest is None else self.smallest.detach().clone()

    @cached_property
    def smallest(self) -> Tensor | None:
        """A small matrix, whose values are kept from step to step."""
        weights = [p for p in self.sentinels if p.ndim > 1 and p.numel() < _SMALL]
        return min(weights, key=lambda p: p.numel(), default=None)

    def lr(self) -> float:
        """The highest rate of its groups."""
        return max([float(g["lr"]) for g in self.optimizer.param_groups if "lr" in g], default=0.0)

    def backward_begins(self, *, closely: bool) -> None:
        """closely: whether it is looked at the gradients that are there already."""
        self.backwards += 1
        if closely:
            # Those of a head beside the one that is listened to may have come already.
            now = {k for k, p in enumerate(self.sentinels) if holds_gradient(p)}
            self.clean = self.clean or not now or not now >= self.held
        else:
            self.clean = True

    def gradient_arrived(self, p: Tensor) -> None:
        assert p.grad is not None
        self.arrived = self.arrived or holds_gradient(p)
        if p is self.sentinels[0]:
            self.norm_arrived = float(p.grad.norm())

    def step_begins(self, *, closely: bool) -> None:
        """The gradients are as the step takes them: kept, emptied, clipped, or as they came."""
        self.note_clearing(closely=closely)
        if closely:
            self.held = {k for k, p in enumerate(self.sentinels) if holds_gradient(p)}
        if self.steps < CAREFUL and self.backwards and self.arrived:
            gone = not any(holds_gradient(p) for p in self.sentinels)
            self.emptied_steps = self.emptied_steps + 1 if gone else 0
        if self.steps <= 2 * CAREFUL:
            self._note_clipping()
        self._note_rate()

    def note_clearing(self, *, closely: bool) -> None:
        """Whether the gradients of the step before were cleared."""
        if self.backwards and closely:
            self.dirty_steps = 0 if self.clean or not self.steps else self.dirty_steps + 1

    def _note_clipping(self) -> None:
        p = self.sentinels[0] if self.sentinels else None
        if p is not None and p.grad is not None and self.backwards == 1 and self.norm_arrived > 0:
            self.clip_ratios.append(float(p.grad.norm()) / self.norm_arrived)

    def _note_rate(self) -> None:
        lr = self.lr()
        # Of two steps in a row: one spike is not where a schedule begins.
        two = lr if self.last_lr is None else min(lr, self.last_lr)
        self.highest_lr = max(self.highest_lr, two)
        self.last_lr = lr
        if lr >= _COLLAPSED * self.highest_lr:
            self.collapsed_at = None
        elif self.collapsed_at is None:
            self.collapsed_at = self.steps

    def forget_step(self) -> None:
        """Of what came since the last step, nothing counts any more."""
        self.clean, self.backwards, self.arrived = False, 0, False
        self.norm_arrived = math.nan

    def step_ended(self, *, values: bool) -> None:
        """values: whether to keep the smallest matrix's values, else those of before hold."""
        self.steps += 1
        for group in self.optimizer.param_groups:
            if group.get("lr", 0.0) > self.peak:
                self.peak = float(group["lr"])
        p = self.smallest
        if p is not None:
            old = None if values or self.after is None else self.after[2]
            self.after = p, p._version, p.detach().clone() if old is None else old

    def moved(self) -> bool:
        """Whether a small matrix is another than at the start."""
        p, start = self.smallest, self.start
        return p is not None and start is not None and not torch.equal(p.detach(), start)

    @property
    def written_to(self) -> bool:
        """Whether somebody wrote to the small matrix after the last step."""
        return self.after is not None and self.after[0]._version != self.after[1]

    def changed_outside(self) -> float:
        """By which share of their norm the weights differ from what the last step left; once."""
        if self.after is None or not self.written_to:
            return 0.0
        p, _, kept = self.after
        self.after = None
        return float((p.detach() - kept).norm() / kept.norm().clamp(min=1e-12))
