"""MemberRun: one net of an ensemble on its way, an epoch at a time."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from steepest.engine import NO_STEPS, OptimizerState, forward
from steepest.ensemble.portfolio import Member, Portfolio
from steepest.training.deciding import cost_of, metric_of
from steepest.training.schedule import Schedule, make_schedule
from steepest.training.step_budget import StepBudget
from steepest.training.weights import Best, averages_in, load_tensors, snapshot

if TYPE_CHECKING:
    from steepest.classifier import Classifier, Score


class MemberRun:
    """The training of one net; `step` steps are done.

    What it computes does not depend on when it is asked to stop, nor on the other nets.

    Attributes:
        epoch: Sums over the steps of the epoch under way.
        best: The weights of the best epoch on its held-out rows.
        latest: That loss after the last epoch, None before the first.
        metric: What best_by names, after the last epoch; None before the first.
        diverged: Whether a loss was not finite: then it has ended.
    """

    def __init__(self, portfolio: Portfolio, member: Member, epochs: int) -> None:
        self.member = member
        self.plan = member.plan
        self._engine = member.choice.engine
        self._classifier: Classifier = portfolio.classifier_of(member)
        self._held_out = portfolio.held_out(member)
        self._deciding = self._held_out
        if portfolio.recipe.class_weight is not None:
            deciding = portfolio.deciding_weights(member.held_out)
            self._deciding = self._held_out._replace(weights=deciding)
        self._budget = StepBudget()
        self.step, self.epoch = 0, NO_STEPS
        self._begun = False
        self.best = Best()
        self.latest: Score | None = None
        self.metric: float | None = None
        self.diverged = False
        self.epochs, self._schedule = epochs, _schedule(member, epochs)

    def lengthen(self, epochs: int) -> None:
        """Plan for so many epochs in all: the schedules end with them."""
        self.epochs, self._schedule = epochs, _schedule(self.member, epochs)
        self.plan = replace(self.plan, planned_epochs=epochs)
        if self._begun:
            self.begin(self._engine.export())

    def begin(self, optimizer: OptimizerState | None = None) -> None:
        """Give the net to its engine. optimizer: of a checkpoint."""
        self._engine.load(self.plan, optimizer, self.step)
        self._begun = True

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left: all are taken, or early stopping waits for no better one."""
        recipe, done = self.plan.recipe, self.step // self.plan.steps_per_epoch
        if self.diverged or done >= self.epochs:
            return True
        waited = done - 1 - self.best.epoch
        whole = not self.epoch.steps
        return (
            recipe.early_stopping and whole and self.best.epoch >= 0 and waited >= recipe.patience
        )

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self._schedule.rate(max(0, self.step - 1))

    def take_epoch(self, stop: Callable[[], bool]) -> bool:
        """What is left of the epoch, and measure the net; False where `stop` said to end before."""
        end = self.step - self.epoch.steps + self.plan.steps_per_epoch
        while self.step < end:
            gathering = self.epoch.steps % self.plan.recipe.accumulate
            if not gathering and stop():
                return False
            count = self._budget.steps(end - self.step)
            count += -(self.epoch.steps + count) % self.plan.recipe.accumulate
            count = min(count, end - self.step)
            rates = [self._schedule.rate(i) for i in range(self.step, self.step + count)]
            # Statistics cost a pass over the weights: of the last step before a row of the record.
            stats = self._engine.advance(rates, statistics=self.step + count == end)
            self._budget.took(count)
            self.step, self.epoch = self.step + count, self.epoch + stats
            if not math.isfinite(stats.loss_sum):
                self.diverged = True
                return True
        self._measure(end // self.plan.steps_per_epoch - 1)
        return True

    def _measure(self, epoch: int) -> None:
        model, averages = self.plan.model, {}
        if self.plan.recipe.ema:
            averages = self._engine.export()
        else:
            self._engine.update_model()
        with averages_in(model, averages):
            score = deciding = self._classifier.measure(*self._held_out)
            if self._deciding is not self._held_out:
                deciding = self._classifier.measure(*self._deciding)
            by = self.plan.recipe.best_by
            self.metric = metric_of(by, self._classifier, self._deciding, deciding)
            if math.isfinite(deciding.loss):
                self.best.offer(epoch, cost_of(by, self.metric), deciding.loss, model)
        self.latest = score
        self._schedule.epoch_done(score.loss)

    def outputs(self) -> Tensor:
        """The net's outputs for its held-out rows, at its present weights."""
        return forward(self.plan.model, self._held_out.inputs)

    def close_epoch(self) -> None:
        """Begin the next epoch's sums."""
        self.epoch = NO_STEPS

    def state(self) -> tuple[dict[str, Tensor], OptimizerState]:
        """The weights and the optimizer's state as they are, to go on from."""
        optimizer = self._engine.export()
        return snapshot(self.plan.model), optimizer

    def finish(self) -> bool:
        """Give the net its best weights, or the last where no epoch was whole; False if broken."""
        self._engine.export()
        if self.best.epoch >= 0:
            self.best.restore(self.plan.model)
            return True
        return not self.diverged and all(
            bool(torch.isfinite(p).all()) for p in self.plan.model.parameters()
        )

    def restore(self, model: dict[str, Tensor], best: dict[str, Tensor]) -> None:
        """Put weights of a checkpoint back."""
        load_tensors(self.plan.model, model)
        self.best.weights = best


def _schedule(member: Member, epochs: int) -> Schedule:
    plan, recipe = member.plan, member.plan.recipe
    total = epochs * plan.steps_per_epoch
    return make_schedule(recipe, recipe.base_lr, plan.steps_per_epoch, total)
