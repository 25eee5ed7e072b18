"""The check before training, on a plan of steepest's own."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from steepest.data import PreparedPart
from steepest.engine import Plan, Rows
from steepest.errors import HealthError, HealthWarning, warn
from steepest.health import Findings, examine
from steepest.health.replay.batches import WeightedRows
from steepest.health.replay.planned import Planned
from steepest.health.replay.replay import Setup
from steepest.training.preparation import Preparation
from steepest.training.schedule import make_schedule

Rate = Callable[[int], float]

_SECONDS = 0.5
# A run of less arithmetic than this (some 0.2 s) is over before its rows could be compared with
# their neighbours at a tenth of its cost: that is left to what is asked when it does not learn.
_SHORT_RUN = 4e9
_FLOPS_A_STEP = 3e5  # what a step takes besides, in the time of so many
_BATCHES, _ROWS = 32, 256


def require_healthy(prepared: Preparation, rate: Rate | None = None) -> Findings:
    """What the check found: warnings are shown. Raises HealthError if there is an error.

    rate: the learning rate of a step, where it is not that of the recipe's schedule.
    """
    findings = preflight(prepared, rate=rate)
    if findings.errors:
        raise HealthError(
            f"the check before training found what would break it (check=False trains anyway)\n"
            f"{findings.errors}",
            findings,
        )
    for finding in findings.actionable:
        line = f"{finding.code}: {finding.message}; {finding.fix}"
        warn(line, HealthWarning)
    return findings


def preflight(
    prepared: Preparation,
    seconds: float = _SECONDS,
    *,
    thorough: bool = False,
    rate: Rate | None = None,
) -> Findings:
    """Check a plan on its first minibatches, in their order; an engine takes the recipe's steps.

    thorough: with the tests T2 and T3 and the experiments on the learning rate, which training
    itself shows soon. The model is copied; nothing of the plan changes.
    """
    plan = prepared.plan
    rows = Rows(plan.inputs, like=next(p for p in plan.model.parameters() if p.requires_grad))
    targets = torch.from_numpy(plan.targets).to(next(plan.model.parameters()).device)
    first = (torch.from_numpy(batch) for batch in islice(plan.minibatches(0), _BATCHES))
    weights = None if plan.sample_weights is None else torch.from_numpy(plan.sample_weights)
    train: list[Any] = [
        (rows[i], targets[i])
        if weights is None
        else WeightedRows(rows[i], targets[i], weights.to(i.device)[i])
        for i in (batch.to(targets.device) for batch in first)
    ]
    steps = Planned(plan, prepared.lr, _within(plan, rate or _rate(prepared)))
    setup = Setup(plan.model, plan.loss, (steps,))
    findings = examine(
        setup,
        _alike(train),
        _part(plan, prepared.parts.get("validation")),
        seconds,
        steady=thorough and _steady(plan),
        thorough=thorough,
        of_the_data=thorough or _flops(prepared) >= _SHORT_RUN,
    )
    # Only the first minibatches are shown, and the labels of all parts were compared before.
    return Findings((f for f in findings if f.code != "CLASS_SET_MISMATCH"), findings.triage)


def _flops(prepared: Preparation) -> float:
    """The arithmetic of the run: a backward pass is two forward passes."""
    plan = prepared.plan
    return plan.total_steps * (3 * prepared.row_flops * plan.batch_size + _FLOPS_A_STEP)


def _alike(batches: list[Any]) -> list[Any]:
    """Without a last shorter batch, so that all steps of a replay are alike."""
    return batches[:-1] if len(batches[-1][1]) < len(batches[0][1]) else batches


def _part(plan: Plan, part: PreparedPart | None) -> list[tuple[Tensor, Tensor]] | None:
    if part is None:
        return None
    inputs, targets, _ = part
    rows = Rows(inputs, like=next(plan.model.parameters()))
    some = torch.arange(min(len(targets), _ROWS), device=next(plan.model.parameters()).device)
    return [(rows[some], torch.from_numpy(targets).to(some.device)[some])]


def _steady(plan: Plan) -> bool:
    """Whether the first steps have the rate that the recipe names."""
    recipe = plan.recipe
    return not (recipe.warmup or recipe.schedule == "one_cycle" or recipe.optimizer == "lbfgs")


def _rate(prepared: Preparation) -> Rate:
    plan = prepared.plan
    return make_schedule(plan.recipe, prepared.lr, plan.steps_per_epoch, plan.total_steps).rate


def _within(plan: Plan, rate: Rate) -> Rate:
    """A test of more steps than the run has keeps to the rate of the last one."""
    return lambda step: rate(min(step, plan.total_steps - 1))
