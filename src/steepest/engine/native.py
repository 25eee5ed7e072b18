"""The native engine: whole epochs in C++. The only Python that knows the extension."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from steepest.data import Scaler
from steepest.engine.contract import LayerStats, OptimiserState, Plan, StepStats
from steepest.engine.layers import NativeLayer, native_layers
from steepest.errors import EngineError
from steepest.random import Purpose

# A vector of the widest instruction set, in floats: what per-feature arrays are padded to.
_LANES = 16


def extension() -> Any:
    """steepest._native, or None where it was not built."""
    try:
        return import_module("steepest._native")
    except ImportError:
        return None


def native_obstacle(plan: Plan) -> str | None:
    """What keeps the native engine from running this plan, in one line; None if nothing does."""
    native = extension()
    if native is None:
        return "the native engine was not built when steepest was installed"
    try:
        native.isa(_forced_isa())
    except RuntimeError as error:
        return str(error)
    layers = native_layers(plan.model)
    if isinstance(layers, str):
        return layers
    if plan.objective.outputs != "logits":
        return "the model ends in probabilities, and the native loss takes logits"
    array = plan.inputs.array
    if array.dtype not in (np.uint8, np.float32):
        return f"the inputs are {array.dtype}, and the native engine reads uint8 and float32"
    if len(array) and not array[0].flags.c_contiguous:
        return "the rows of the inputs do not lie in one piece in memory"
    features = int(np.prod(array.shape[1:]))
    if layers[0].weight.shape[1] != features:
        return f"the first layer does not take the {features} inputs of a row at once"
    return None


class NativeEngine:
    """Runs multilayer perceptrons. Fulfils `steepest.engine.contract.Engine`."""

    name = "native"

    def load(self, plan: Plan, optimiser: OptimiserState | None = None, step: int = 0) -> None:
        if obstacle := native_obstacle(plan):
            raise EngineError(f"the native engine cannot run this plan: {obstacle}")
        layers = native_layers(plan.model)
        assert not isinstance(layers, str)
        self._plan, self._layers = plan, layers
        recipe, inputs = plan.recipe, plan.inputs
        array = inputs.array
        # The extension borrows these: they must live as long as the trainer does, so they have its
        # types already; what the binding converts is gone when the constructor returns.
        self._borrowed = (
            array,
            None if inputs.rows is None else np.ascontiguousarray(inputs.rows, dtype=np.int64),
            np.ascontiguousarray(plan.targets, dtype=np.int64),
            *_padded(inputs.scaler, int(np.prod(array.shape[1:]))),
        )
        _, rows, targets, offset, factor = self._borrowed
        self._trainer = extension().Trainer(
            layers=[
                (
                    *reversed(layer.weight.shape),
                    layer.activation,
                    layer.slope,
                    layer.bias is not None,
                )
                for layer in layers
            ],
            binary=plan.objective.kind == "binary",
            batch_size=plan.batch_size,
            seed=recipe.seed,
            purpose=int(Purpose.SHUFFLE),
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
            threads=recipe.threads or 0,  # 0: as many as the work is worth
            data=array.ctypes.data,
            bytes=array.dtype == np.uint8,
            row_bytes=array.strides[0],
            features=int(np.prod(array.shape[1:])),
            offset=offset,
            factor=factor,
            shift=inputs.scaler.shift,
            rows=rows,
            targets=targets,
            first_step=step,
            isa=_forced_isa(),
        )
        for i, layer in enumerate(layers):
            bias = None if layer.bias is None else _array(layer.bias)
            self._trainer.write(i, False, _array(layer.weight), bias)
            if optimiser and recipe.momentum:
                velocity = [
                    _array(optimiser[name]["momentum"]) if name in optimiser else np.zeros(p.shape)
                    for name, p in layer.parameters.items()
                ]
                weight, *rest = (v.astype(np.float32) for v in velocity)
                self._trainer.write(i, True, weight, rest[0] if rest else None)
        self._stepped = bool(optimiser)

    @property
    def description(self) -> str:
        """The instruction set, the threads, and whether zero inputs are skipped."""
        return str(self._trainer.description)

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        steps = np.asarray(rates, dtype=np.float64)
        rows, loss_sum, correct, layers = self._trainer.advance(steps, statistics)
        self._stepped = self._stepped or len(steps) > 0
        return StepStats(
            len(steps),
            rows,
            loss_sum,
            correct,
            tuple(
                _layer_stats(layer, numbers)
                for layer, numbers in zip(self._layers, layers, strict=False)
            ),
        )

    def export(self) -> OptimiserState:
        state: OptimiserState = {}
        for i, layer in enumerate(self._layers):
            for parameter, values in zip(
                layer.parameters.values(), self._read(i, layer, velocity=False), strict=True
            ):
                with torch.no_grad():
                    parameter.copy_(values)
            if self._plan.recipe.momentum and self._stepped:
                velocities = self._read(i, layer, velocity=True)
                for name, values in zip(layer.parameters, velocities, strict=True):
                    state[name] = {"momentum": values}
        return state

    def _read(self, i: int, layer: NativeLayer, *, velocity: bool) -> list[torch.Tensor]:
        arrays = [np.empty(p.shape, dtype=np.float32) for p in layer.parameters.values()]
        self._trainer.read(i, velocity, arrays[0], arrays[1] if len(arrays) > 1 else None)
        return [torch.from_numpy(array) for array in arrays]


def advance_many(
    engines: Sequence[NativeEngine], rates: Sequence[Sequence[float]], *, workers: int | None = None
) -> list[StepStats]:
    """Advance many loaded engines at once, each on one thread of a pool: many small trainings.

    Load them with `threads=1` in their recipes. rates: the learning rates of each engine's steps.
    Each gives what it would give alone, bit for bit.
    """
    with ThreadPoolExecutor(workers or _usual_threads()) as pool:
        return list(pool.map(lambda engine, own: engine.advance(own), engines, rates))


def _usual_threads() -> int:
    """How many threads this process may use; what the work is worth is decided in the extension."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _forced_isa() -> str | None:
    return os.environ.get("STEEPEST_ISA") or None


def _padded(
    scaler: Scaler, features: int
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Offset and factor of each feature, None where they are all 0 and 1."""
    if scaler.is_identity:
        return None, None
    padded = np.zeros((2, -(-features // _LANES) * _LANES), dtype=np.float32)
    padded[0, :features] = np.ravel(scaler.offset)
    padded[1, :features] = np.ravel(scaler.factor)
    return (padded[0] if padded[0].any() else None), padded[1]


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().contiguous().numpy()
    return array


def _layer_stats(layer: NativeLayer, numbers: tuple[float, ...]) -> LayerStats:
    weight, gradient, change, mean, std, idle = numbers
    ratio = change / weight if weight else float("inf") if change else 0.0
    return LayerStats(layer.name, weight, gradient, ratio, mean, std, idle)
