"""The form of a program, and the loop that runs it: what a reader of a tutorial would write."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

Metric = Literal["accuracy", "balanced"]


@dataclass(frozen=True)
class Fault:
    """What is wrong with a program, for those who judge what was found in it.

    truth: the code of its cause. accept: codes that are equally right. consequence: codes that may
    be reported too, because they follow from it. repair: the edit that cures, in words. earliest:
    when it can be seen first. harm: "run" if the training is worse, "report" if only the reported
    validation figures are wrong, "memory" if all figures are right and memory grows. also: what else is wrong with it, and with its twin as well.
    """

    truth: str
    accept: tuple[str, ...] = ()
    consequence: tuple[str, ...] = ()
    repair: str = ""
    earliest: str = "pre"
    harm: Literal["run", "report", "memory"] = "run"
    also: tuple[str, ...] = ()

    @property
    def right(self) -> frozenset[str]:
        return frozenset((self.truth, *self.accept))


@dataclass(frozen=True)
class Score:
    """What an evaluation reports: mean loss, and accuracy (or mean recall) between 0 and 1."""

    loss: float
    accuracy: float


@dataclass
class Case:
    """Somebody's own objects, ready to train.

    train_step(case, batch) -> loss and evaluate(case) -> Score replace the loop's own. The
    scheduler steps once an epoch. threshold: above it a single output means class 1.
    stop_at_best: the epoch of least validation loss counts, as early stopping restores it.
    """

    model: nn.Module
    loss_fn: Callable[..., Tensor]
    optimizer: Any
    train_loader: Any
    val_loader: Any
    epochs: int = 10
    scheduler: Any = None
    train_step: "Callable[[Case, Any], Tensor] | None" = None
    evaluate: "Callable[[Case], Score] | None" = None
    metric: Metric = "accuracy"
    threshold: float = 0.0
    stop_at_best: bool = False


@dataclass
class Outcome:
    """What a training gave: a score per epoch, and the optimizer steps done by then."""

    scores: list[Score] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    error: str = ""
    stop_at_best: bool = False

    @property
    def last(self) -> Score:
        """The score that counts in the end."""
        if self.stop_at_best:
            return self.best
        return self.scores[-1] if self.scores else Score(math.inf, 0.0)

    @property
    def best(self) -> Score:
        """Where the validation loss was least, as early stopping would choose."""
        return min(self.scores, key=lambda s: s.loss, default=Score(math.inf, 0.0))

    def steps_to(self, accuracy: float) -> float:
        """Steps until an evaluation reached the accuracy; infinite if none did."""
        reached = (
            k for k, s in zip(self.steps, self.scores, strict=True) if s.accuracy >= accuracy
        )
        return next(reached, math.inf)


def step(case: Case, batch: Any) -> Tensor:
    """One step of gradient descent on one batch; the loss before it."""
    inputs, targets = batch
    case.optimizer.zero_grad()
    loss = case.loss_fn(case.model(inputs), targets)
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def scheduled(*schedulers: Any) -> "Callable[[Case, Any], Tensor]":
    """`step`, after which these schedulers take theirs."""

    def train_step(case: Case, batch: Any) -> Tensor:
        loss = step(case, batch)
        for scheduler in schedulers:
            scheduler.step()
        return loss

    return train_step


def predicted(outputs: Tensor, threshold: float = 0.0) -> Tensor:
    """The class of each row: the largest output, or whether the only one is above the threshold."""
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return (outputs.reshape(-1) > threshold).long()
    return outputs.argmax(1)


def score(case: Case) -> Score:
    """Loss and accuracy on the validation rows, without gradients, in the mode the model is in."""
    losses, rows, outputs, targets = 0.0, 0, [], []
    with torch.no_grad():
        for x, y in case.val_loader:
            z = case.model(x)
            losses += case.loss_fn(z, y).item() * len(y)
            rows += len(y)
            outputs.append(predicted(z, case.threshold))
            targets.append(y.reshape(-1).long())
    hit = torch.cat(outputs) == torch.cat(targets)
    if case.metric == "accuracy":
        accuracy = hit.float().mean().item()
    else:
        classes = torch.cat(targets).unique()
        accuracy = sum(hit[torch.cat(targets) == c].float().mean().item() for c in classes)
        accuracy /= len(classes)
    return Score(losses / rows, accuracy)


def evaluate(case: Case) -> Score:
    """`score` in eval mode, as it should be."""
    case.model.eval()
    return score(case)


def run(case: Case, watcher: Any = None, seed: int = 0, epochs: int | None = None) -> Outcome:
    """Train, with a score after each epoch. An exception in the user's own step ends the run.

    watcher: a running `sp.watch`; it gets the reported validation figures if it takes them.
    """
    torch.manual_seed(10_000 + seed)
    outcome, steps = Outcome(stop_at_best=case.stop_at_best), 0
    train_step, evaluation = case.train_step or step, case.evaluate or evaluate
    try:
        for _ in range(epochs or case.epochs):
            case.model.train()
            for batch in case.train_loader:
                train_step(case, batch)
                steps += 1
            if case.scheduler is not None:
                case.scheduler.step()
            reported = evaluation(case)
            if hasattr(watcher, "val"):
                watcher.log_validation(reported.loss, reported.accuracy)
            outcome.scores.append(_finite(reported))
            outcome.steps.append(steps)
    except (RuntimeError, ValueError, IndexError) as exc:
        outcome.error = f"{type(exc).__name__}: {exc}"
    return outcome


def _finite(score: Score) -> Score:
    return score if math.isfinite(score.loss) else replace(score, loss=math.inf)
