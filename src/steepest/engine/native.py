"""The native engine: whole epochs in C++, by the extension that `steepest.extension` finds.

A loaded plan keeps the model's tensors and a trainer (src/native/trainer.h) with copies of them in
its own layout. The trainer borrows the rows, the targets and the scaler's numbers, which its `Rows`
keeps alive; everything else crosses by value. Between `load` and `export` the trainer's copies are
the current ones.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from steepest.engine.augment import Augmentation
from steepest.engine.contract import LayerStats, OptimizerState, Plan, StepStats
from steepest.engine.groups import ParameterSettings, parameter_settings
from steepest.engine.inference import native_rows, rows_obstacle
from steepest.engine.layers import native_nodes
from steepest.engine.nodes import Node
from steepest.engine.optimizers import require_fitting
from steepest.engine.scheduled import factors_at, factors_change
from steepest.errors import EngineError
from steepest.extension import extension, forced_isa
from steepest.processors import usable_threads
from steepest.random import Purpose
from steepest.recipe import Recipe

# Filters of more numbers (1 MiB) are wide; torch is quicker if a larger share of all products is
# in such (docs/decisions/0032; benchmarks/convolution.py, its last net).
_NARROW_FILTERS, _WIDE_SHARE = 2**18, 1 / 3


def native_obstacle(plan: Plan) -> str | None:
    """What keeps the native engine from running this plan, in one line; None if nothing does."""
    found = nodes_of_plan(plan)
    return found if isinstance(found, str) else None


def native_drawback(nodes: Sequence[Node]) -> str | None:
    """Why torch is quicker with a net that the native engine can run; None if it is not.

    Blocks of images go through all nodes one after the other, so filters that are larger than a
    core's own cache are read anew for each.
    """
    products, wide = 0, 0
    for node in nodes:
        if node.is_measured:
            weight = next(iter(node.tensors.values())).numel()
            products += weight * node.pixels
            if node.spec.kind.name == "CONVOLUTION" and weight > _NARROW_FILTERS:
                wide += weight * node.pixels
    if wide <= products * _WIDE_SHARE:
        return None
    return (
        f"{wide / products:.0%} of its arithmetic is in convolutions of more than "
        f"{_NARROW_FILTERS:,} numbers, with which torch is quicker"
    )


def nodes_of_plan(plan: Plan) -> tuple[Node, ...] | str:
    """The plan's model as nodes of the extension, or in one line what is in the way."""
    native = extension()
    if native is None:
        return "the native engine was not built when steepest was installed"
    try:
        native.isa(forced_isa())
    except RuntimeError as error:
        return str(error)
    recipe, array = plan.recipe, plan.inputs.array
    nodes = native_nodes(plan.model, plan.inputs.shape)
    if isinstance(nodes, str):
        return nodes
    if plan.objective.outputs != "logits":
        return "the model ends in probabilities, and the native loss takes logits"
    if plan.loss.focal_gamma is not None:
        return "the focal loss runs on the torch engine alone"
    if recipe.optimizer == "lbfgs":
        return "lbfgs runs on the torch engine alone"
    if recipe.precision == "bf16" and any(node.spec.kind.name == "HEADS" for node in nodes):
        return "the products of LinearEnsemble are of float32 alone, and precision is bf16"
    return rows_obstacle(array) or nodes


class NativeEngine:
    """Runs multilayer perceptrons and convolutional nets. Fulfils `contract.Engine`.

    Several of them can be moved at once by `advance_many`.
    """

    name = "native"

    def __init__(self) -> None:
        self._loaded: NativeTraining | None = None

    def load(self, plan: Plan, optimizer: OptimizerState | None = None, step: int = 0) -> None:
        self._loaded = native_training(plan, optimizer, step)

    @property
    def loaded(self) -> "NativeTraining":
        """The plan that `load` was given."""
        assert self._loaded is not None
        return self._loaded

    @property
    def description(self) -> str:
        """The instruction set, the threads, and whether zero inputs are skipped."""
        return str(self.loaded.trainer.description)

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        return self.loaded.advance(rates, statistics=statistics)

    def update_model(self) -> None:
        self.loaded.update_model()

    def export(self) -> OptimizerState:
        return self.loaded.export()


def native_training(
    plan: Plan, optimizer: OptimizerState | None = None, step: int = 0
) -> "NativeTraining":
    """A plan in the extension's memory. Raises EngineError if the extension cannot run it."""
    nodes = nodes_of_plan(plan)
    if isinstance(nodes, str):
        raise EngineError(f"the native engine cannot run this plan: {nodes}")
    return NativeTraining(plan, nodes, optimizer or {}, step)


class NativeTraining:
    """A plan in the extension's memory; `_step` steps are done.

    Attributes:
        nodes: The model's, in the order of the forward pass.
        tensors: The model's parameters and buffers by name, in the extension's order.
        trainer: The extension's `Trainer`.
    """

    def __init__(
        self, plan: Plan, nodes: tuple[Node, ...], optimizer: OptimizerState, step: int
    ) -> None:
        self._plan, self.nodes, self._step = plan, nodes, step
        self._augmentation = Augmentation.of(plan.recipe, plan.inputs.shape)
        self.tensors = [item for node in nodes for item in node.tensors.items()]
        settings = parameter_settings(plan.recipe, plan.model)
        self._slots = {
            name: _slots(plan.recipe, settings[name])
            for name, _ in self.tensors
            if name in settings
        }
        require_fitting(optimizer, dict(plan.model.named_parameters()))
        updates = max((int(kept.get("step", 0)) for kept in optimizer.values()), default=0)
        averaged = any("average" in kept for kept in optimizer.values())
        native = extension()
        self.trainer = native.Trainer(
            settings=_settings(plan, nodes, self._augmentation),
            rows=_rows(plan),
            position=native.Position(step=step, updates=updates, averaged=averaged),
            isa=forced_isa(),
        )
        for i, (name, tensor) in enumerate(self.tensors):
            self.trainer.write(i, native.Slot.VALUE, _array(tensor))
            for key, slot in self._slots.get(name, {}).items():
                if key in optimizer.get(name, {}):
                    self.trainer.write(i, slot, _array(optimizer[name][key]))
        self._stepped = bool(optimizer)
        self._epochs = range(0)

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        steps = range(self._step, self._step + len(rates))
        mixes = self._augmentation.mixes(steps)
        if self._plan.recipe.sampling == "blocks" or self._plan.given_order is not None:
            self._give_orders(steps)
        factors = None
        if factors_change(self._plan):
            factors = np.array([factors_at(self._plan, step) for step in steps]).reshape(-1)
        result = self.trainer.advance(
            np.asarray(rates, dtype=np.float64),
            None if mixes is None else mixes.shares,
            None if mixes is None or mixes.boxes is None else mixes.boxes.reshape(-1),
            statistics,
            factors,
        )
        self._step = steps.stop
        for node in self.nodes:
            if node.batches is not None:
                node.batches.add_(counted_minibatches(self._plan, node, steps))
        self._stepped = self._stepped or self.trainer.updates > 0
        measured = [node for node in self.nodes if node.is_measured]
        layers = [_layer_stats(node, s) for node, s in zip(measured, result.layers, strict=False)]
        if layers:  # a forward may call the modules in another order than the model names them
            names = [name for name, _ in self._plan.model.named_modules()]
            layers.sort(key=lambda layer: names.index(layer.name))
        return StepStats.of_call(result.rows, result.losses, result.correct, tuple(layers))

    def _give_orders(self, steps: range) -> None:
        """Where rows are not simply shuffled, the extension is told their order by epoch."""
        per_epoch = self._plan.steps_per_epoch
        epochs = range(steps.start // per_epoch, (steps.stop - 1) // per_epoch + 1)
        if epochs != self._epochs:
            orders = [self._plan.order(epoch).astype(np.uint32) for epoch in epochs]
            self.trainer.set_orders(epochs.start, np.concatenate(orders))
            self._epochs = epochs

    def update_model(self) -> None:
        for i, (_, tensor) in enumerate(self.tensors):
            with torch.no_grad():
                tensor.copy_(self._read(i, extension().Slot.VALUE, tensor))

    def export(self) -> OptimizerState:
        self.update_model()
        state: OptimizerState = {}
        running = {name for node in self.nodes for name in node.running}
        for i, (name, tensor) in enumerate(self.tensors):
            if not self._stepped or name in running:
                continue
            slots = self._slots[name]
            kept = {key: self._read(i, slot, tensor) for key, slot in slots.items()}
            if "exp_avg_sq" in slots or "square_avg" in slots:
                kept["step"] = torch.tensor(float(self.trainer.updates))
            if kept:
                state[name] = kept
        return state

    def _read(self, i: int, slot: Any, tensor: torch.Tensor) -> torch.Tensor:
        array = np.empty(tensor.shape, dtype=np.float32)
        self.trainer.read(i, slot, array)
        return torch.from_numpy(array)


def counted_minibatches(plan: Plan, node: Node, steps: range) -> int:
    """How many of these steps a batch norm counts: not those of one number for each statistic."""
    if plan.rows % plan.batch_size != 1 or node.pixels > 1:
        return len(steps)
    return sum(step % plan.steps_per_epoch != plan.steps_per_epoch - 1 for step in steps)


def _slots(recipe: Recipe, settings: ParameterSettings) -> dict[str, Any]:
    """What is kept of a parameter: its name in torch.optim, and the extension's `Slot` for it."""
    slot = extension().Slot
    adam = {"exp_avg": slot.FIRST_MOMENT, "exp_avg_sq": slot.SECOND_MOMENT}
    slots = {
        "sgd": {},
        "adam": adam,
        "adamw": adam,
        "rmsprop": {"square_avg": slot.SECOND_MOMENT},
        "muon": {"momentum_buffer": slot.FIRST_MOMENT} if settings.muon else adam,
    }[recipe.optimizer]
    if recipe.momentum:
        name = "momentum" if recipe.optimizer == "sgd" else "momentum_buffer"
        slots[name] = slot.FIRST_MOMENT
    return slots | ({"average": slot.EMA} if recipe.ema else {})


def _rows(plan: Plan) -> Any:
    """The plan's rows and targets as the extension's `Rows`."""
    labels = plan.objective.kind == "multilabel"
    return native_rows(
        plan.inputs,
        targets=None if labels else np.ascontiguousarray(plan.targets, dtype=np.int64),
        labels=np.ascontiguousarray(plan.targets.reshape(-1), np.uint8) if labels else None,
        weights=plan.sample_weights,
    )


def _settings(plan: Plan, nodes: Sequence[Node], augmentation: Augmentation) -> Any:
    """The plan as the extension's `Settings`."""
    native, recipe, rows = extension(), plan.recipe, plan.row_weights
    return native.Settings(
        nodes=[node.spec for node in nodes],
        **number_settings(plan, nodes),
        order=native.OrderSettings(
            batch_size=plan.batch_size,
            seed=recipe.seed,
            purpose=int(Purpose.SHUFFLE if rows is None else Purpose.SAMPLE),
            cumulative_weights=np.zeros(0) if rows is None else np.cumsum(rows),
        ),
        augmentation=native.Augmentation(
            image=augmentation.image or (0, 0, 0),
            shift=recipe.shift,
            cutout=recipe.cutout,
            crop=recipe.crop,
            flip=recipe.flip,
            shift_purpose=int(Purpose.SHIFT),
            cutout_purpose=int(Purpose.CUTOUT),
            crop_purpose=int(Purpose.CROP),
            flip_purpose=int(Purpose.FLIP),
            mixes=augmentation.mixes_rows,
        ),
        threads=recipe.threads or usable_threads(),
        adaptive=not recipe.threads,
        bf16=recipe.precision == "bf16",
    )


def number_settings(plan: Plan, nodes: Sequence[Node]) -> dict[str, Any]:
    """What of the extension's `Settings` a trainer can be given anew."""
    return {"loss": _loss_settings(plan), "optimizer": _optimizer_settings(plan, nodes)}


def _loss_settings(plan: Plan) -> Any:
    loss, multilabel = plan.loss, plan.objective.kind == "multilabel"
    weights = np.zeros(0, dtype=np.float32)
    normalisers = weights
    if loss.class_weights is not None or (loss.pos_weight != 1.0 and not multilabel):
        normalisers = np.array(loss.class_weights or (1.0,) * loss.classes, dtype=np.float32)
        weights = normalisers.copy()
        if plan.objective.kind == "binary":
            weights[1] *= loss.pos_weight
    if multilabel:  # the mean is over rows and classes, whatever their weights
        normalisers = normalisers[:0]
    return extension().LossSettings(
        binary=plan.objective.kind == "binary",
        pos_weight=loss.pos_weight,
        label_smoothing=loss.label_smoothing,
        class_weights=weights,
        class_weight_sum=float(weights.sum()) if len(weights) else float(loss.classes),
        normalisers=normalisers,
    )


def _optimizer_settings(plan: Plan, nodes: Sequence[Node]) -> Any:
    native, recipe = extension(), plan.recipe
    settings = parameter_settings(recipe, plan.model)
    unmoved = ParameterSettings()  # of running statistics, which no optimizer moves
    return native.OptimizerSettings(
        native.Optimizer[recipe.optimizer.upper()],
        momentum=recipe.muon_momentum if recipe.optimizer == "muon" else recipe.momentum,
        nesterov=recipe.nesterov,
        betas=(0.0, recipe.rms_decay) if recipe.optimizer == "rmsprop" else recipe.betas,
        eps=recipe.eps,
        clip_norm=recipe.clip_norm or math.inf,
        clip_value=recipe.clip_value or math.inf,
        accumulate=recipe.accumulate,
        ema=recipe.ema,
        parameters=[
            native.ParameterSettings(**vars(settings.get(name, unmoved)))
            for node in nodes
            for name in node.tensors
        ],
    )


def advance_many(
    engines: Sequence[NativeEngine], rates: Sequence[Sequence[float]], *, workers: int | None = None
) -> list[StepStats]:
    """Advance many loaded engines at once, each on one thread of a pool: many small trainings.

    The extension lets go of the interpreter while it works, so the trainings run side by side; for
    small nets that is quicker than many threads for each in turn. An engine gives what it would
    give alone, bit for bit, whatever the others and however many workers there are.

    Args:
        engines: Loaded with plans whose recipes have `threads=1`, and models of their own.
        rates: For each engine the learning rates of its steps; their numbers may differ.
        workers: How many engines work at a time; None for as many as the process has processors.

    Returns:
        What each engine's `advance` returned, in the order of the engines.

    Raises:
        ValueError: If there are not as many lists of rates as engines.
    """
    if len(engines) != len(rates):
        raise ValueError(f"rates has {len(rates)} lists for {len(engines)} engines")
    with ThreadPoolExecutor(workers or usable_threads()) as pool:
        return list(pool.map(lambda engine, its: engine.advance(its), engines, rates))


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().contiguous().numpy()
    return array


def _layer_stats(layer: Node, sums: Any) -> LayerStats:
    change, weight = sums.change_norm, sums.weight_norm
    return LayerStats(
        layer.name,
        weight,
        sums.gradient_norm,
        change / weight if weight else float("inf") if change else 0.0,
        sums.activation_mean,
        sums.activation_std,
        sums.inactive,
    )
