"""Whether an optimizer of the user's own class takes its steps on a copy of the model."""

from typing import Any

import torch

from steepest.engine import seed_generators
from steepest.health.check.context import MEMORISED, CheckContext
from steepest.health.foreign import foreign, swallow
from steepest.health.replay.planned import Planned
from steepest.health.replay.replay import Setup


def why_not_steppable(original: Setup, context: CheckContext) -> str | None:
    """Why the replays cannot be the user's own steps, in one line; None if they can.

    original: the user's objects. A class of torch is trusted; of another one a step is taken on a
    copy, which must not raise and must leave the user's own weights alone: a class that reaches the
    parameters by a function or a global moves those and not the copy's. They are put back here.
    """
    strange = [o for o in original.optimizers if not _is_known(o)]
    clone = context.setup.copy() if strange else None
    if clone is None:
        return None
    names = " and ".join(dict.fromkeys(type(o).__name__ for o in strange))
    before = [(p, p.detach().clone()) for p in original.model.parameters()]
    try:
        with foreign:
            clone.model.train()
            seed_generators(0)
            clone.step(context.probe.take(slice(0, MEMORISED)))
    except Exception as error:
        swallow(error)
        reason = str(error).partition("\n")[0][:100]
        return _left_out(names, f"a step on a copy raised {type(error).__name__}: {reason}")
    moved = [(p, kept) for p, kept in before if not _equal(p, kept)]
    with torch.no_grad():
        for p, kept in moved:
            p.copy_(kept)
    return _left_out(names, "its copy moves the weights of the model itself") if moved else None


def _is_known(optimizer: Any) -> bool:
    return type(optimizer).__module__.startswith("torch.optim.") or isinstance(optimizer, Planned)


def _equal(p: torch.Tensor, kept: torch.Tensor) -> bool:
    return bool(((p == kept) | (p.isnan() & kept.isnan())).all())


def _left_out(names: str, why: str) -> str:
    return f"the settings of {names}: {why}; Adam took the steps of the experiments in its place"
