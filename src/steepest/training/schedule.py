"""Learning rates: schedules as functions of the step, and those that look at results.

torch.optim.lr_scheduler has the same ones; tests/training compares them number by number.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any, Protocol

import torch

from steepest.engine import schedule_factor
from steepest.errors import RecipeError
from steepest.recipe import Recipe

TorchScheduler = Callable[[torch.optim.Optimizer], Any]

# Of the one-cycle policy (Smith and Topin, 2019), as PyTorch has them.
_RISING, _START, _END = 0.3, 25.0, 1e4
# A validation loss is better if it is lower by this share: PyTorch's threshold.
_WORTH = 1e-4


class Schedule(Protocol):
    """The learning rate of each step."""

    def rate(self, step: int) -> float:
        """The learning rate of this step (0 is the first)."""
        ...

    def epoch_done(self, val_loss: float | None) -> None:
        """An epoch is over. val_loss: its validation loss, if there is a validation part."""
        ...


def check_scheduler_every(every: str) -> None:
    """Raise RecipeError if a scheduler cannot take its steps so often."""
    if every not in ("epoch", "step"):
        raise RecipeError(f"scheduler_every must be 'epoch' or 'step', but is {every!r}")


def make_schedule(
    recipe: Recipe, base: float, steps_per_epoch: int, total_steps: int
) -> "RecipeSchedule":
    """The schedule that a recipe names, from the learning rate `base`."""
    return RecipeSchedule(recipe, base, steps_per_epoch, total_steps)


class RecipeSchedule:
    """The schedules of a recipe.

    With the rate r, the epoch e of the run and the share t of the steps after the warm-up that are
    done (0 during the warm-up): constant r; step r gamma^(e // step_size); multistep
    r gamma^(milestones passed); exponential r gamma^e; cosine
    min_lr + (r - min_lr) (1 + cos(pi t)) / 2, t beginning again every restart_every epochs after
    the warm-up; flat_cos and coslog4 likewise with the factors of `schedule_factor`; one_cycle up
    from r / 25 in 30 % of the steps and down to r / 250000, both along a cosine; plateau r gamma^k,
    k growing when the validation loss has not been better for plateau_patience epochs. In the first
    w steps, the warm-up, the rate that the schedule has in that step is multiplied by
    (step + 1) / w. A warm-up given as a share has round(share * total_steps) steps.
    """

    def __init__(self, recipe: Recipe, base: float, steps_per_epoch: int, total_steps: int) -> None:
        self._recipe = recipe
        self._base = base
        self._steps_per_epoch = steps_per_epoch
        self._total = total_steps
        warmup = recipe.warmup
        self._warmup = int(warmup) if warmup >= 1 else round(warmup * total_steps)
        self._factor = 1.0
        self._best = math.inf
        self._waited = 0

    def rate(self, step: int) -> float:
        scheduled = self._scheduled(step)
        return scheduled * (step + 1) / self._warmup if step < self._warmup else scheduled

    def rates(self, steps: range) -> list[float]:
        """The learning rates of successive steps."""
        if self._recipe.schedule == "constant" and steps.start >= self._warmup:
            return [self._base] * len(steps)
        return [self.rate(step) for step in steps]

    def epoch_done(self, val_loss: float | None) -> None:
        if self._recipe.schedule != "plateau" or val_loss is None:
            return
        if val_loss < self._best * (1 - _WORTH):
            self._best, self._waited = val_loss, 0
            return
        self._waited += 1
        if self._waited > self._recipe.plateau_patience:
            self._factor, self._waited = self._factor * self._recipe.gamma, 0

    def _scheduled(self, step: int) -> float:
        recipe, base = self._recipe, self._base
        epoch = step // self._steps_per_epoch
        match recipe.schedule:
            case "step":
                return base * recipe.gamma ** (epoch // recipe.step_size)
            case "multistep":
                return base * recipe.gamma ** sum(epoch >= m for m in recipe.milestones)
            case "exponential":
                return base * recipe.gamma**epoch
            case "cosine":
                period, done = self._total - self._warmup, max(0, step - self._warmup)
                if recipe.restart_every:
                    period = recipe.restart_every * self._steps_per_epoch
                    done %= period
                return _between(base, recipe.min_lr, done / max(1, period))
            case "flat_cos" | "coslog4":
                share = max(0, step - self._warmup) / max(1, self._total - self._warmup)
                factor = schedule_factor(recipe.schedule, share)
                return recipe.min_lr + (base - recipe.min_lr) * factor
            case "one_cycle":
                return self._one_cycle(step)
            case "plateau":
                return max(base * self._factor, min(base, recipe.min_lr))
        return base

    def _one_cycle(self, step: int) -> float:
        top, last = _RISING * self._total - 1, self._total - 1
        start = self._base / _START
        if step <= top:
            return _between(start, self._base, step / top if top > 0 else 1.0)
        return _between(self._base, start / _END, (step - top) / (last - top))


class TorchSchedule:
    """A scheduler of torch.optim.lr_scheduler; it sees an optimizer with the run's learning rate.

    make: from that optimizer to the scheduler. It takes a step after each epoch, as PyTorch's
    users write it, or after each of our steps if `each_step`. One whose `step` demands an argument,
    as ReduceLROnPlateau, is given the validation loss. validation: whether there is a part for it.
    """

    def __init__(
        self, make: TorchScheduler, base: float, *, each_step: bool, validation: bool = True
    ) -> None:
        self._optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
        self._scheduler = make(self._optimizer)
        if not hasattr(self._scheduler, "step"):
            raise RecipeError(
                "scheduler must make a scheduler of torch.optim.lr_scheduler from an optimizer, "
                f"but makes a {type(self._scheduler).__name__}"
            )
        self._each_step = each_step
        self._takes_loss = _demands_argument(self._scheduler.step)
        name = type(self._scheduler).__name__
        if self._takes_loss and not validation:
            raise RecipeError(
                f"scheduler {name} needs a validation part: set validation to a share or a file"
            )
        if self._takes_loss and each_step:
            raise RecipeError(
                f"scheduler {name} looks at the validation loss, which comes once an epoch: leave "
                "out scheduler_every"
            )
        self._optimizer.step()  # torch warns about a scheduler that comes before its optimizer
        self._rates = [self._current()]

    def rate(self, step: int) -> float:
        if not self._each_step:
            return self._rates[-1]
        while len(self._rates) <= step:
            self._scheduler.step()
            self._rates.append(self._current())
        return self._rates[step]

    def epoch_done(self, val_loss: float | None) -> None:
        if self._each_step:
            return
        if self._takes_loss:
            self._scheduler.step(val_loss)
        else:
            self._scheduler.step()
        self._rates.append(self._current())

    def _current(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])


def _demands_argument(function: Callable[..., Any]) -> bool:
    """Whether a function cannot be called without an argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # one written in C may have no signature
        return False
    return any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )


def _between(first: float, last: float, share: float) -> float:
    """Along half a cosine from first to last."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
