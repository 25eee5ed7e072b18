"""StackedTraining: many trainings of one net in the memory of one, their states in one array.

The name is that of torch.func.stack_module_state: a state has all that a training has of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from steepest.data import Inputs
from steepest.engine.contract import Plan, StepStats
from steepest.engine.inference import StackedOutputs
from steepest.engine.native import counted_minibatches, native_training, number_settings
from steepest.engine.nodes import within
from steepest.extension import extension
from steepest.recipe import Recipe

States = NDArray[np.float32]


def is_stackable(recipe: Recipe) -> bool:
    """Whether a recipe's trainings need nothing but steps, on one thread, and rates known ahead."""
    alone = (
        *(recipe.ema, recipe.swa, recipe.early_stopping, recipe.time_limit, recipe.batch_ensemble),
        *(recipe.mixup, recipe.cutmix, recipe.schedule == "plateau"),
        *(recipe.sampling == "blocks", recipe.optimizer == "muon", recipe.threads != 1),
    )
    schedules = (
        recipe.weight_decay_schedule,
        recipe.dropout_schedule,
        recipe.label_smoothing_schedule,
    )
    return not any(alone) and all(name == "constant" for name in schedules)


@dataclass(frozen=True)
class Position:
    """Where trainings are: steps, and updates of the weights, that are done."""

    step: int = 0
    updates: int = 0


class StackedTraining:
    """Trainings on the same rows that differ in seed, first weights and learning rates.

    A state is (S,) float32: the parameters in the engine's order, then what the optimizer keeps.
    Each has the bits of a `NativeEngine` that trains alone. One thread may use it at a time.

    Args:
        plan: Of any one of them; `is_stackable` holds for its recipe, and the native engine runs
            it.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._training = native_training(plan)
        self._trainer = self._training.trainer
        self.state_size = int(self._trainer.state_size)
        self._weights = self._in_one_array()
        self._outputs: dict[int, StackedOutputs] = {}

    def change(self, plan: Plan) -> None:
        """Take other numbers from now on: decay, penalties, momentum, smoothing, and the like.

        Args:
            plan: Like the one before but for numbers that no memory depends on, of the same model.
        """
        self._plan = plan
        self._trainer.configure(**number_settings(plan, self._training.nodes))

    def state_of(self, model: nn.Module) -> States:
        """The state that a training begins with.

        Args:
            model: Like the plan's, with its first weights.
        """
        weights = self._weights
        if model is not self._plan.model:
            named = dict(_named(model))
            parts = [named[name].detach().reshape(-1) for name, _ in self._training.tensors]
            weights = torch.cat(parts).numpy()
        state = np.zeros(self.state_size, dtype=np.float32)
        state[: len(weights)] = weights
        return state

    def _in_one_array(self) -> States:
        """Let the tensors of the plan's model lie in one array, from which states are taken."""
        size = sum(tensor.numel() for _, tensor in self._training.tensors)
        weights, at = np.empty(size, dtype=np.float32), 0
        for _, tensor in self._training.tensors:
            part = torch.from_numpy(weights[at : at + tensor.numel()]).view(tensor.shape)
            part.copy_(tensor.detach())
            tensor.data = part
            at += tensor.numel()
        return weights

    def put(self, state: States, model: nn.Module, step: int) -> None:
        """Give a model the weights of a state.

        Args:
            state: (S,).
            model: Like the plan's.
            step: Steps that the training has done, which batch norm counts.
        """
        named, at = dict(_named(model)), 0
        with torch.no_grad():
            for name, tensor in self._training.tensors:
                part = torch.from_numpy(state[at : at + tensor.numel()].copy())
                named[name].copy_(part.view(tensor.shape))
                at += tensor.numel()
            for node in self._training.nodes:
                if node.batches is not None:
                    counter = named[within(node.name, "num_batches_tracked")]
                    counter.add_(counted_minibatches(self._plan, node, range(step)))

    def advance(
        self,
        seeds: Sequence[int],
        states: States,
        rates: NDArray[np.float64],
        position: Position,
    ) -> tuple[list[StepStats], Position]:
        """Take steps in each of K trainings, all of which are at one position.

        Args:
            seeds: Of each.
            states: (K, S), moved in place.
            rates: (K, steps), the learning rate of each step.
            position: Where they are.

        Returns:
            What the steps of each did, and where they are now.
        """
        count = rates.shape[1]
        results = self._trainer.advance_stacked(
            np.array(seeds, dtype=np.uint64),
            extension().Position(step=position.step, updates=position.updates, averaged=False),
            states,
            rates,
        )
        stats = [StepStats.of_call(r.rows, r.losses, r.correct) for r in results]
        return stats, Position(position.step + count, int(self._trainer.updates))

    def outputs(self, states: States, inputs: Inputs) -> Tensor:
        """The outputs of each net in evaluation mode, (K, N, C) float32.

        Args:
            states: (K, S).
            inputs: N rows; the same object as long as it is asked for the same ones.
        """
        self.prepare_outputs(inputs)
        return self._outputs[id(inputs)].of(states)

    def prepare_outputs(self, inputs: Inputs) -> None:
        """Make ready for `outputs`. Raises EngineError if torch is needed for them."""
        if id(inputs) not in self._outputs:
            self._outputs[id(inputs)] = StackedOutputs(self._plan.model, inputs)


def _named(model: nn.Module) -> Any:
    yield from model.named_parameters()
    yield from model.named_buffers()
