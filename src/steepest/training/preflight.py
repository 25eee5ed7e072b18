"""The check before training, on a plan of steepest's own."""

import warnings
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from steepest.engine import Plan, Rows
from steepest.errors import HealthError, HealthWarning
from steepest.health import Findings, examine
from steepest.health.optimizers import SGD, Adam
from steepest.health.replay import Setup
from steepest.training.preparation import Part, Preparation

_SECONDS = 0.5
_BATCHES, _ROWS = 32, 256


def require_healthy(ready: Preparation) -> Findings:
    """What the check found: warnings are shown. Raises HealthError if there is an error."""
    found = preflight(ready)
    if found.errors:
        raise HealthError(
            f"the check before training found what would break it (check=False trains anyway)\n"
            f"{found.errors}",
            found,
        )
    for finding in found.loud:
        line = f"{finding.code}: {finding.message}; {finding.fix}"
        warnings.warn(line, HealthWarning, stacklevel=3)
    return found


def preflight(ready: Preparation, seconds: float = _SECONDS, *, thorough: bool = False) -> Findings:
    """Check a plan on its first minibatches, in their order.

    thorough: with the tests T2 and T3 and the experiments on the learning rate, which training
    itself shows soon. The model is copied; nothing of the plan changes.
    """
    plan = ready.plan
    rows = Rows(plan.inputs, like=next(p for p in plan.model.parameters() if p.requires_grad))
    targets = torch.from_numpy(plan.targets).to(next(plan.model.parameters()).device)
    order = torch.from_numpy(plan.order(0)).to(targets.device)
    train = [(rows[i], targets[i]) for i in islice(torch.split(order, plan.batch_size), _BATCHES)]
    setup = Setup(plan.model, plan.loss, (_optimizer(plan, ready.lr),))
    found = examine(
        setup,
        _joined(train),
        _part(plan, ready.parts.get("validation")),
        seconds,
        steady=thorough and _steady(plan),
        thorough=thorough,
    )
    # Only the first minibatches are shown, and the labels of all parts were compared before.
    return Findings((f for f in found if f.code != "CLASS_SET_MISMATCH"), found.triage)


def _joined(batches: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Without a last shorter batch, so that all steps of a replay are alike."""
    return batches[:-1] if len(batches[-1][1]) < len(batches[0][1]) else batches


def _part(plan: Plan, part: Part | None) -> list[tuple[Tensor, Tensor]] | None:
    if part is None:
        return None
    inputs, targets = part
    rows = Rows(inputs, like=next(plan.model.parameters()))
    some = torch.arange(min(len(targets), _ROWS), device=next(plan.model.parameters()).device)
    return [(rows[some], torch.from_numpy(targets).to(some.device)[some])]


def _steady(plan: Plan) -> bool:
    """Whether the first steps have the rate that the recipe names, and nothing reins them in."""
    recipe = plan.recipe
    rises = recipe.warmup or recipe.schedule == "one_cycle"
    return not (rises or recipe.clip_norm or recipe.clip_value or recipe.optimizer == "lbfgs")


def _optimizer(plan: Plan, lr: float) -> Any:
    """The recipe's optimiser, as the replays take steps with it."""
    recipe = plan.recipe
    trainable = [p for p in plan.model.parameters() if p.requires_grad]
    decay = recipe.weight_decay
    match recipe.optimizer:
        case "adam" | "adamw":
            decoupled = recipe.optimizer == "adamw"
            return Adam(trainable, lr, _pair(recipe.betas), decay, decoupled=decoupled)
        case "rmsprop":  # as Adam without its mean of gradients
            return Adam(trainable, lr, (0.0, recipe.rms_decay), decay)
    return SGD(trainable, lr, recipe.momentum, decay, nesterov=recipe.nesterov)


def _pair(betas: tuple[float, ...]) -> tuple[float, float]:
    first, second = betas
    return first, second
