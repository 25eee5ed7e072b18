"""One training of the playground, which can be moved forward and back to any step.

A step depends on (recipe, data, step) and on the weights and the optimizer's state before it alone,
so to go back is to take the latest state that was kept and to step forward from there: the bits are
those of the first time.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from steepest.board.playground.view import View
from steepest.engine import LayerStats, OptimizerState
from steepest.training.preparation import Preparation
from steepest.training.schedule import make_schedule


@dataclass(frozen=True, eq=False)
class _State:
    model: dict[str, Tensor]
    optimizer: OptimizerState


class Lane:
    """A training beside others.

    Args:
        name: What it is called where several are drawn.
        prepared: Its plan and its engine, not loaded yet.
        view: What its net looks at.
        states: So many states are kept at most, evenly over the steps that were looked at.
    """

    def __init__(self, name: str, prepared: Preparation, view: View, states: int) -> None:
        self.name = name
        self.view = view
        self.plan = prepared.plan
        self.model: nn.Module = prepared.plan.model
        self.shape = repr(self.model)  # alike where nets are
        self.step = 0
        self._engine = prepared.choice.engine
        self._layers: tuple[LayerStats, ...] = ()
        self._most = max(4, states)
        self._apart = 1  # steps between two states that are kept, at least
        self._steps: list[int] = [0]
        self._states: list[_State] = [self._state({})]
        recipe, plan = self.plan.recipe, self.plan
        self.rates = make_schedule(recipe, prepared.lr, plan.steps_per_epoch, plan.total_steps)
        self._engine.load(plan)

    @property
    def engine(self) -> str:
        """The name of the engine that takes its steps."""
        return self._engine.name

    @property
    def total(self) -> int:
        """Steps from the first to the last of the run."""
        return self.plan.total_steps

    @property
    def samples(self) -> int:
        """Samples whose gradient was asked for in the steps that are done."""
        return samples_after(self.step, self.plan.rows, self.plan.batch_size)

    @property
    def epoch(self) -> float:
        """Epochs that are done, the last one by its share."""
        return self.step / self.plan.steps_per_epoch

    @property
    def batch(self) -> NDArray[np.int64]:
        """The training rows of the step to come, (B,); none at the end."""
        if self.step >= self.total:
            return np.zeros(0, dtype=np.int64)
        return self.plan.minibatch(self.step)

    def move_to(self, step: int) -> None:
        """Go forward or back to where so many steps are done, or to the run's end."""
        step = min(max(step, 0), self.total)
        if step < self.step:
            self._layers = ()
            i = bisect_right(self._steps, step) - 1
            state, self.step = self._states[i], self._steps[i]
            self.model.load_state_dict(state.model)
            self._engine.load(self.plan, state.optimizer, self.step)
        if step > self.step:
            rates = [self.rates.rate(i) for i in range(self.step, step)]
            self._layers = self._engine.advance(rates, statistics=True).layers
            self.step = step
            self._keep()

    def update_ratio(self, layer: str) -> float | None:
        """|dW| / |W| of a layer at the latest step forward; None where it is not known."""
        ratios = {stats.name: stats.update_ratio for stats in self._layers}
        ratio = ratios.get(layer, math.nan)
        return ratio if math.isfinite(ratio) else None

    def path(self, most: int) -> tuple[list[int], NDArray[np.float32]]:
        """States up to now, at most so many, evenly over those that were kept: steps and (T, P)."""
        beyond = bisect_right(self._steps, self.step)
        chosen = np.unique(np.linspace(0, beyond - 1, min(most, beyond)).astype(int)).tolist()
        names = [name for name, p in self.model.named_parameters() if p.requires_grad]
        steps = [self._steps[i] for i in chosen]
        rows = [_flat([self._states[i].model[name] for name in names]) for i in chosen]
        if steps[-1] != self.step:
            steps.append(self.step)
            rows.append(_flat([p.detach() for p in self.model.parameters() if p.requires_grad]))
        return steps, np.stack(rows)

    def _keep(self) -> None:
        """Make the model current, and keep this state if the last one is far enough behind."""
        if self.step < self._steps[-1] + self._apart:
            self._engine.update_model()
            return
        optimizer = self._engine.export()
        self._steps.append(self.step)
        self._states.append(self._state(optimizer))
        if len(self._states) > self._most:
            self._steps, self._states = self._steps[::2], self._states[::2]
            self._apart *= 2

    def _state(self, optimizer: OptimizerState) -> _State:
        return _State({k: t.clone() for k, t in self.model.state_dict().items()}, optimizer)


def samples_after(steps: int, rows: int, batch_size: int) -> int:
    """Samples that so many steps look at; the last step of an epoch may look at fewer."""
    epochs, rest = divmod(steps, -(-rows // batch_size))
    return epochs * rows + rest * batch_size


def step_of(samples: int, rows: int, batch_size: int) -> int:
    """The most steps that look at no more samples than these."""
    epochs, rest = divmod(samples, rows)
    return epochs * -(-rows // batch_size) + rest // batch_size


def _flat(tensors: list[Tensor]) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = torch.cat([tensor.reshape(-1) for tensor in tensors]).numpy()
    return flat


def stacked(models: list[nn.Module]) -> dict[str, Tensor]:
    """The parameters and buffers of nets of one shape, (K, ...) each."""
    states = [model.state_dict() for model in models]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}
