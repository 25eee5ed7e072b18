"""Replays on an engine: on the native one where it runs net, loss and optimizer alike."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from steepest.data import Inputs, Scaler
from steepest.engine import Engine, NativeEngine, Plan, in_turn, native_obstacle
from steepest.errors import SteepestError
from steepest.health.clock import Clock
from steepest.health.replay.batches import Batch
from steepest.health.replay.optimizers import Adam
from steepest.objective import Objective, TrainingLoss
from steepest.recipe import Recipe

_TAKEN_OVER = (Adam, torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)


@dataclass(frozen=True)
class OnEngine:
    """An engine that has loaded a net and minibatches, and the rate of each of its steps."""

    engine: Engine
    rate: Callable[[int], float]

    @classmethod
    def of(
        cls, model: nn.Module, loss_fn: Any, optimizers: Sequence[Any], batches: Sequence[Batch]
    ) -> "OnEngine | None":
        """On the native engine; None if it would take other steps than these objects, or none."""
        objective = _objective(loss_fn)
        known = _settings(model, optimizers)
        inputs, targets = _inputs(batches), _targets(batches)
        if objective is None or known is None or inputs is None or targets is None:
            return None
        settings, lr = known
        recipe = Recipe(**settings, batch_size=batches[0].rows, engine="native", threads=1)
        rows = Inputs(inputs, None, Scaler())
        plan = Plan(
            model,
            objective,
            rows,
            targets,
            recipe,
            given_order=in_turn(len(targets)),
            sample_weights=sample_weights(batches),
        )
        try:
            if native_obstacle(plan) or not _fits(plan, loss_fn, batches[0]):
                return None
            engine = NativeEngine()
            engine.load(plan)
        except SteepestError:
            return None
        return cls(engine, lambda step: lr)

    def losses(self, steps: int, until: float, clock: Clock) -> tuple[list[float], bool]:
        """The loss before each step, and whether time was over before the last."""
        losses: list[float] = []
        for step in range(steps):
            if clock.over:
                return losses, True
            losses.append(self.engine.advance([self.rate(step)]).loss)
            if not math.isfinite(losses[-1]) or losses[-1] <= until * losses[0]:
                break
        return losses, False


def _objective(loss_fn: Any) -> Objective | None:
    """Mean cross entropy from logits and nothing else."""
    if isinstance(loss_fn, TrainingLoss):
        return loss_fn.objective if loss_fn.is_plain else None
    if (
        not isinstance(loss_fn, nn.Module)
        or getattr(loss_fn, "reduction", "") != "mean"
        or loss_fn._forward_hooks
    ):
        return None
    if type(loss_fn) is nn.CrossEntropyLoss:
        plain = loss_fn.weight is None and not loss_fn.label_smoothing
        return Objective("multiclass") if plain else None
    if type(loss_fn) is nn.BCEWithLogitsLoss:
        plain = loss_fn.weight is None and loss_fn.pos_weight is None
        return Objective("binary") if plain else None
    return None


def _settings(model: nn.Module, optimizers: Sequence[Any]) -> tuple[dict[str, Any], float] | None:
    """Recipe fields of one optimizer that holds the whole net and has taken no step, and its lr."""
    if len(optimizers) != 1 or type(optimizers[0]) not in _TAKEN_OVER:
        return None
    if len(optimizers[0].param_groups) != 1:
        return None
    optimizer, group = optimizers[0], optimizers[0].param_groups[0]
    trainable = {id(p) for p in model.parameters() if p.requires_grad}
    if {id(p) for p in group["params"]} != trainable or getattr(optimizer, "state", None):
        return None
    if group.get("maximize") or group.get("amsgrad") or group.get("dampening"):
        return None
    common = {"weight_decay": float(group["weight_decay"])}
    if type(optimizer) is torch.optim.SGD:
        common |= {"momentum": float(group["momentum"]), "nesterov": bool(group["nesterov"])}
        return {"optimizer": "sgd", **common}, float(group["lr"])
    if type(optimizer) in (Adam, torch.optim.Adam, torch.optim.AdamW):
        betas = tuple(map(float, group["betas"]))
        name = (
            "adamw"
            if type(optimizer) is torch.optim.AdamW or group.get("decoupled_weight_decay")
            else "adam"
        )
        eps = float(group.get("eps", 1e-8))
        return {"optimizer": name, "betas": betas, "eps": eps, **common}, float(group["lr"])
    return None


def _inputs(batches: Sequence[Batch]) -> NDArray[np.float32] | None:
    """(k B, ...) float32 of k minibatches of B rows each."""
    alone = all(len(b.args) == 1 and not b.kwargs for b in batches)
    xs = [b.args[0] for b in batches] if alone else []
    if not xs or not all(isinstance(x, Tensor) for x in xs):
        return None
    if any(x.shape != xs[0].shape or x.dtype != torch.float32 for x in xs):
        return None
    return torch.cat(xs).contiguous().numpy() if xs[0].device.type == "cpu" else None


def _targets(batches: Sequence[Batch]) -> NDArray[np.int64] | None:
    """(k B,) class indices, (k B,) 0 and 1 of one output, or None."""
    ys = [b.target for b in batches]
    if not all(isinstance(y, Tensor) and y.ndim in (1, 2) for y in ys):
        return None
    if any(y.shape != ys[0].shape or y.dtype != ys[0].dtype for y in ys):
        return None
    y = torch.cat(ys)
    if y.is_floating_point() and not bool(((y == 0) | (y == 1)).all()):
        return None
    if (y.ndim == 2 and y.shape[1] != 1) or int(y.min()) < 0:
        return None
    return y.reshape(-1).long().numpy()


def sample_weights(batches: Sequence[Batch]) -> NDArray[np.float32] | None:
    """(k B,) of k minibatches whose rows have weights; None if any has none."""
    held = [b.weights for b in batches if b.weights is not None]
    if not held or len(held) < len(batches):
        return None
    weights: NDArray[np.float32] = torch.cat(held).cpu().numpy()
    return weights


def _fits(plan: Plan, loss_fn: Any, batch: Batch) -> bool:
    """Whether the loss takes these outputs as the engine does: (N, C), or one of two classes."""
    model, training = plan.model, plan.model.training
    model.eval()
    with torch.no_grad():
        z = model(batch.args[0])
    model.train(training)
    if isinstance(loss_fn, TrainingLoss):
        return True
    if plan.objective.kind == "binary":
        one = z.ndim == 1 or z.shape[1:] == (1,)
        return bool(one and z.shape == batch.target.shape and batch.target.is_floating_point())
    wide = z.ndim == 2 and z.shape[1] > max(1, int(plan.targets.max()))
    return bool(wide and batch.target.ndim == 1 and not batch.target.is_floating_point())
