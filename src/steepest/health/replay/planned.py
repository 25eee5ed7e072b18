"""The steps of a plan of ours, as an engine takes them, with all that its recipe asks."""

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from steepest.data import Inputs, Scaler
from steepest.engine import (
    NativeEngine,
    Plan,
    TorchEngine,
    in_turn,
    native_obstacle,
    parameter_settings,
)
from steepest.health.replay.batches import Batch
from steepest.health.replay.on_engine import OnEngine, sample_weights
from steepest.objective import TrainingLoss
from steepest.recipe import Recipe


class Planned:
    """Stands in a `Setup` where an optimizer of torch would: all that a recipe says of its steps.

    rate: the learning rate of a step. param_groups: as torch.optim has them; a what-if may change
    lr, momentum and weight_decay there.
    """

    def __init__(self, plan: Plan, lr: float, rate: Callable[[int], float]) -> None:
        self.plan, self.rate = plan, rate
        settings = parameter_settings(plan.recipe, plan.model)
        held: dict[tuple[float, float], list[Tensor]] = defaultdict(list)
        for name, p in plan.model.named_parameters():
            if name in settings:
                held[settings[name].lr_scale, settings[name].weight_decay].append(p)
        self.param_groups: list[dict[str, Any]] = [
            {
                "params": parameters,
                "lr": lr * scale,
                "first_lr": lr * scale,
                "weight_decay": decay,
                "momentum": plan.recipe.momentum,
            }
            for (scale, decay), parameters in held.items()
        ]

    def __deepcopy__(self, memo: dict[int, Any]) -> "Planned":
        """With the parameters of the copied model; the plan and its data stay the same."""
        clone = copy.copy(self)
        memo[id(self)] = clone
        clone.param_groups = copy.deepcopy(self.param_groups, memo)
        return clone

    def on_engine(self, model: nn.Module, loss_fn: Any, batches: Sequence[Batch]) -> OnEngine:
        """An engine that has loaded these minibatches; the rows of each are equally many."""
        inputs = Inputs(_array([b.args[0] for b in batches]), None, Scaler())
        targets = _array([b.target for b in batches])
        loss: Any = loss_fn if isinstance(loss_fn, TrainingLoss) else _Mean(loss_fn)
        recipe, objective = self._recipe(batches[0].rows), self.plan.objective
        plan = Plan(
            model,
            objective,
            inputs,
            targets,
            recipe,
            self.plan.class_names,
            given_order=in_turn(len(targets)),
            given_loss=loss,  # that of all rows: balanced weights are not counted anew
            sample_weights=sample_weights(batches),
        )
        native = isinstance(loss, TrainingLoss) and native_obstacle(plan) is None
        engine = NativeEngine() if native else TorchEngine()
        engine.load(plan)
        group = self.param_groups[0]
        factor = group["lr"] / group["first_lr"] if group["first_lr"] else 1.0
        return OnEngine(engine, lambda step: factor * self.rate(step))

    def _recipe(self, rows: int) -> Recipe:
        """The plan's, for minibatches in the order in which they lie, and what was changed."""
        recipe, groups = self.plan.recipe, self.param_groups
        changed: dict[str, Any] = {"momentum": groups[0]["momentum"]}
        if recipe.batch_size != "full":
            changed["batch_size"] = rows
        if recipe.weight_decay and not any(group["weight_decay"] for group in groups):
            changed["weight_decay"] = 0.0
        if not any(group["weight_decay"] for group in groups) and recipe.groups:
            kept = {
                pattern: {key: value for key, value in group.items() if key != "weight_decay"}
                for pattern, group in recipe.groups.items()
            }
            changed["groups"] = {pattern: group for pattern, group in kept.items() if group} or None
        return recipe.replace(threads=torch.get_num_threads(), **changed)


@dataclass(frozen=True)
class _Mean:
    """Another loss than the plan's, as a what-if puts in its place."""

    loss_fn: Callable[..., Any]
    is_plain = False

    def __call__(
        self,
        outputs: Tensor,
        targets: Tensor,
        second: Tensor | None = None,
        share: float = 1.0,
        weights: Tensor | None = None,
    ) -> Any:
        more = {} if weights is None else {"weights": weights}
        return self.loss_fn(outputs, targets, **more)

    def weight_of(self, targets: Tensor, weights: Tensor | None = None) -> float:
        return float(len(targets) if weights is None else weights.double().sum())


def _array(parts: Sequence[Tensor]) -> NDArray[Any]:
    whole = torch.cat(list(parts)).cpu()
    whole = whole.float() if whole.dtype in (torch.bfloat16, torch.half) else whole
    array: NDArray[Any] = whole.contiguous().numpy()
    return array
