"""Paths of gradient descent: the same data and first weights, batches of several sizes."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from steepest.data import Inputs
from steepest.engine import Plan, choose, forward
from steepest.training.preparation import Preparation
from steepest.training.schedule import make_schedule

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One training, looked at after so many samples. T frames, P trainable weights, G places.

    engine: which one took the steps. samples_seen: (T,) samples whose gradient was asked for.
    steps: (T,) steps taken by then. current_batch: the training rows of the latest step, one array
    a frame, empty before the first. weights: (T, P). losses: (T,), mean over all training rows,
    without penalties. accuracies: (T,). probabilities: (T, G, C) at the places of the picture, None
    without one.
    """

    name: str
    batch_size: int
    engine: str
    samples_seen: NDArray[np.int64]
    steps: NDArray[np.int64]
    current_batch: tuple[NDArray[np.int64], ...]
    weights: NDArray[np.float32]
    losses: Float
    accuracies: Float
    probabilities: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class InputGrid:
    """Where the net is looked at. points: (N, 1) or (N, 2), the training rows. targets: (N,).

    axes: the coordinates along each input. names: of the classes.
    """

    points: Float
    targets: NDArray[np.int64]
    axes: tuple[Float, ...]
    names: tuple[str, ...]


def record_trajectory(
    prepared: Preparation,
    batch_size: int | str,
    samples_seen: NDArray[np.int64],
    grid_inputs: Inputs | None,
) -> Trajectory:
    """Train a copy of the model by steepest's own engine and note what the frames show."""
    recipe = prepared.plan.recipe.replace(batch_size=batch_size)
    plan = replace(prepared.plan, model=copy.deepcopy(prepared.plan.model), recipe=recipe)
    engine = choose(plan).engine
    engine.load(plan)
    steps = np.array([steps_after(int(samples), plan) for samples in samples_seen])
    schedule = make_schedule(recipe, prepared.lr, plan.steps_per_epoch, max(1, int(steps[-1])))
    taken = 0
    weights, losses, accuracies, pictures = [], [], [], []
    classifier = replace(prepared.classifier, model=plan.model)
    for step in steps.tolist():
        if step > taken:
            engine.advance([schedule.rate(i) for i in range(taken, step)])
            engine.export()
            taken = step
        weights.append(flat_weights(plan))
        score = classifier.measure(plan.inputs, plan.targets)
        losses.append(score.loss)
        accuracies.append(score.accuracy)
        if grid_inputs is not None:
            outputs = forward(plan.model, grid_inputs)
            pictures.append(plan.objective.probabilities(outputs).numpy().astype(np.float32))
    return Trajectory(
        name=_name(plan),
        batch_size=plan.batch_size,
        engine=engine.name,
        samples_seen=samples_seen,
        steps=steps,
        current_batch=tuple(rows_of_step(plan, step - 1) for step in steps.tolist()),
        weights=np.stack(weights),
        losses=np.array(losses),
        accuracies=np.array(accuracies),
        probabilities=np.stack(pictures) if pictures else None,
    )


def steps_after(samples: int, plan: Plan) -> int:
    """Steps done when so many samples have been seen; the last one of an epoch may be short."""
    epochs, rest = divmod(samples, plan.rows)
    return epochs * plan.steps_per_epoch + rest // plan.batch_size


def rows_of_step(plan: Plan, step: int) -> NDArray[np.int64]:
    """The training rows of this step's minibatch; none for step -1."""
    if step < 0:
        return np.zeros(0, dtype=np.int64)
    return plan.minibatch(step)


def flat_weights(plan: Plan) -> NDArray[np.float32]:
    """The trainable weights in one row, in the order of the model's parameters, (P,)."""
    parameters = [p.detach().reshape(-1) for p in plan.model.parameters() if p.requires_grad]
    flat: NDArray[np.float32] = torch.cat(parameters).cpu().float().numpy().copy()
    return flat


def frames_of(rows: int, epochs: int, frames: int) -> NDArray[np.int64]:
    """Samples seen at each frame: from none to `epochs` times all rows, evenly, (frames,)."""
    return np.unique(np.linspace(0, rows * epochs, frames).round().astype(np.int64))


def _name(plan: Plan) -> str:
    if plan.batch_size >= plan.rows:
        return f"full batch: {plan.rows} samples a step"
    if plan.batch_size == 1:
        return "incremental: 1 sample a step"
    return f"minibatch: {plan.batch_size} samples a step"
