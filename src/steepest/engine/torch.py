"""The torch engine: any nn.Module, by autograd. The data stay in memory and are indexed.

The model's own tensors are trained in place, so they are current after every step and `export`
only copies what the optimizer keeps. What is torch's once for the process (threads, generators) is
changed within a call of `advance` alone, and gradients are none between two updates. Sums are
counted once a call: a small net's step is shorter than its bookkeeping would be.

Where several workers train together (`workers.py`), each takes its part of every minibatch, and
what is a sum over rows (gradients, losses, hits) is added up over them.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from steepest.engine.augment import Augmentation, Mixes
from steepest.engine.bf16 import Bf16Products
from steepest.engine.contract import OptimizerState, Plan, StepStats
from steepest.engine.forward import module_mode, single_values_kept_apart
from steepest.engine.groups import parameter_settings
from steepest.engine.masks import Masks
from steepest.engine.optimizers import (
    LBFGS,
    Average,
    add_penalties,
    make_optimizer,
    require_fitting,
)
from steepest.engine.process import may_draw, process_state, seed_generators
from steepest.engine.rows import Rows
from steepest.engine.scheduled import Factors, factors_at, factors_change
from steepest.engine.statistics import LayerProbe, over_all_rows
from steepest.engine.workers import Workers, tell_to_advance, tell_to_load
from steepest.nn import LinearLayer
from steepest.random import Purpose, torch_seed

_LINEAR = (nn.Linear, LinearLayer)
# Below this a step of a net of linear layers takes longer on two threads than on one (measured:
# the two are equal between 60 and 100 million).
_FLOPS_WORTH_SHARING = 64e6


class TorchEngine:
    """Runs every plan. Fulfils `steepest.engine.contract.Engine`.

    Args:
        workers: Those that take each step together. What the first one loads and how far it
            advances, the others are told, and follow. Without them, as what-ifs are made, this
            process takes the steps alone.
    """

    name = "torch"

    def __init__(self, workers: Workers | None = None) -> None:
        self._workers = workers
        self._loaded: _TorchTraining | None = None

    def load(self, plan: Plan, optimizer: OptimizerState | None = None, step: int = 0) -> None:
        if self._workers is not None and self._workers.is_first:
            tell_to_load(self._workers, plan.model, optimizer or {}, step)
        self._loaded = _TorchTraining(plan, optimizer or {}, step, self._workers)

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        assert self._loaded is not None
        if self._workers is not None and self._workers.is_first:
            tell_to_advance(self._workers, rates, statistics=statistics)
        return self._loaded.advance(rates, statistics=statistics)

    def update_model(self) -> None:
        pass  # its tensors are those that are trained

    def export(self) -> OptimizerState:
        assert self._loaded is not None
        return self._loaded.export()


class _Minibatch(NamedTuple):
    """What a step takes. size: rows of the whole minibatch. part: the places of these in it.

    meant: what TrainingLoss takes beside the outputs. norm: what the whole minibatch weighs, where
    these are a part of it.
    """

    size: int
    part: range
    inputs: Tensor
    meant: tuple[Tensor, Tensor | None, float, Tensor | None]
    norm: float | None


class _Done(NamedTuple):
    """What came of a step. size: as above."""

    size: int
    loss: Tensor
    outputs: Tensor
    targets: Tensor


class _TorchTraining:
    """A plan on its way; `_step` steps are done."""

    def __init__(
        self, plan: Plan, optimizer: OptimizerState, step: int, workers: Workers | None
    ) -> None:
        recipe = plan.recipe
        self._workers = workers
        self._trainable = {n: p for n, p in plan.model.named_parameters() if p.requires_grad}
        require_fitting(optimizer, self._trainable)
        self._plan = plan
        self._step = step
        self._epoch, self._batches = -1, tuple[Tensor, ...]()
        self._probe: LayerProbe | None = None
        self._device = next(iter(self._trainable.values())).device
        self._rows = Rows(plan.inputs, like=next(iter(self._trainable.values())))
        self._augmentation = Augmentation.of(recipe, plan.inputs.shape)
        self._targets = torch.from_numpy(plan.targets).to(self._device)
        given = plan.sample_weights
        self._weights = None if given is None else torch.from_numpy(given).to(self._device)
        with process_state(generators=False):  # another training may have set its own just now
            self._threads = recipe.threads or _threads_worth(plan)
        self._draws = any(map(may_draw, plan.model.modules()))
        self._masks = Masks(plan.model, recipe.seed)
        self._scheduled = factors_change(plan)
        self._factors, self._loss = Factors(), plan.loss
        self._settings = parameter_settings(recipe, plan.model)
        self._penalised = any(own.l1 or own.l2 for own in self._settings.values())
        self._lbfgs = LBFGS(self._trainable) if recipe.optimizer == "lbfgs" else None
        self._optimizer = (
            None if self._lbfgs else make_optimizer(recipe, self._trainable, self._settings)
        )
        self._average = Average(self._trainable, recipe.ema) if recipe.ema else None
        for part in (self._optimizer, self._lbfgs, self._average):
            if part is not None:
                part.load(optimizer)

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        done: list[_Done] = []
        mixes = self._augmentation.mixes(range(self._step, self._step + len(rates)))
        with (
            module_mode(self._plan.model, training=True),
            process_state(self._device, generators=self._draws, threads=self._threads),
            self._masks.installed(),
            Bf16Products() if self._plan.recipe.precision == "bf16" else nullcontext(),
        ):
            for i, rate in enumerate(rates):
                if statistics and i == len(rates) - 1:
                    self._probe = LayerProbe(self._plan.model)
                done.append(self._take_step(self._next_minibatch(mixes, i), rate))
            layers = self._probe.finish() if self._probe else ()
            self._probe = None
        if self._window()[0]:  # an update is done; else its gradient is still being gathered
            self._zero_grad()
        # Counted once a call and not once a step: that is dearer than a small net's own work.
        sizes = torch.tensor([size for size, *_ in done], dtype=torch.double)
        losses = torch.stack([loss for _, loss, *_ in done]).double().cpu()
        there = [(outputs, targets) for *_, outputs, targets in done if len(targets)]
        hits = 0
        if there:
            outputs, targets = map(torch.cat, zip(*there, strict=True))
            hits = int(self._plan.objective.right(outputs, targets).sum())
        sums = losses * sizes
        if self._workers is not None:
            sums = self._workers.add(torch.cat([sums, sums.new_tensor([hits])]))
            sums, hits = sums[:-1], int(sums[-1])
            layers = over_all_rows(layers, len(done[-1].targets), self._workers.add)
        return StepStats.of_call(int(sizes.sum()), sums.tolist(), hits, layers)

    def export(self) -> OptimizerState:
        chosen = self._optimizer or self._lbfgs
        state = chosen.state() if chosen else {}
        for name, kept in (self._average.state() if self._average else {}).items():
            state.setdefault(name, {}).update(kept)
        return state

    def _next_batch(self) -> Tensor:
        """`Plan.minibatch` of the step to come, (B,) int64, cut from its epoch on the device."""
        epoch, i = divmod(self._step, self._plan.steps_per_epoch)
        if epoch != self._epoch:
            order = torch.from_numpy(self._plan.order(epoch)).to(self._device)
            self._batches = torch.split(order, self._plan.batch_size)
            self._epoch = epoch
        return self._batches[i]

    def _next_minibatch(self, mixes: Mixes | None, i: int) -> "_Minibatch":
        """What the i-th of some steps takes, or this worker's part of it."""
        batch = self._next_batch()
        part = range(len(batch)) if self._workers is None else self._workers.part(len(batch))
        rows = batch[part.start : part.stop]
        targets = self._targets.index_select(0, rows)
        places = None if self._workers is None else np.arange(part.start, part.stop)
        inputs = self._augmentation.change(self._rows[rows], self._step, places)
        second, share = None, 1.0
        if mixes is not None and len(rows):
            if self._workers is None:
                other, second = inputs.roll(-1, 0), targets.roll(-1, 0)
            else:  # the row after this part is another worker's
                following = (np.arange(part.start, part.stop) + 1) % len(batch)
                others = batch[torch.from_numpy(following).to(batch.device)]
                second = self._targets.index_select(0, others)
                other = self._augmentation.change(self._rows[others], self._step, following)
            inputs, share = self._augmentation.mix(inputs, other, mixes, i), float(mixes.shares[i])
        weights = None if self._weights is None else self._weights[rows]
        norm = None
        if self._workers is not None:
            whole = None if self._weights is None else self._weights[batch]
            norm = self._plan.loss.weight_of(self._targets[batch], whole)
        return _Minibatch(len(batch), part, inputs, (targets, second, share, weights), norm)

    def _take_step(self, taken: "_Minibatch", rate: float) -> "_Done":
        """One minibatch, and the update if it is the last one of it."""
        opens, closes, share, weight = self._window()
        if self._scheduled:
            self._factors = factors_at(self._plan, self._step)
            smoothing = self._plan.loss.label_smoothing * self._factors.label_smoothing
            self._loss = replace(self._plan.loss, label_smoothing=smoothing)
        first: list[tuple[Tensor, Tensor]] = []
        shared = None if self._workers is None else taken.part

        def evaluate() -> Tensor:
            if opens:
                self._zero_grad()
            if self._draws:
                seed_generators(self._seed_of_modules())
            self._masks.begin(self._step, self._factors.dropout, shared)
            loss, outputs = self._loss_of(taken)
            first.append((loss.detach(), outputs.detach()))
            part = loss if share == 1.0 else loss * share
            if share == 0.0 < weight:  # its rows weigh 0, but smoothing gives each class its share
                part = self._loss.total(outputs, *taken.meant) / weight
            if len(taken.inputs):
                part.backward()  # type: ignore[no-untyped-call]
            if self._workers is not None and closes:
                loss = self._workers.add_gradients(self._trainable.values(), loss)
            if self._probe:
                gathering = self._workers is not None and not closes
                with self._summed() if gathering else nullcontext():
                    self._probe.take_gradients()
            if closes:
                self._change_gradient()
            return loss

        if self._lbfgs is not None:
            self._lbfgs.step(rate, evaluate)
        else:
            evaluate()
            if closes and self._optimizer is not None:
                self._optimizer.step(rate, self._factors.weight_decay)
        if closes and self._average is not None:
            self._average.update()
        self._step += 1
        return _Done(taken.size, *first[0], taken.meant[0])

    def _loss_of(self, taken: "_Minibatch") -> tuple[Tensor, Tensor]:
        """The loss of the minibatch, or what this worker's rows add to it, and the outputs."""
        inputs, model = taken.inputs, self._plan.model
        if not len(inputs):  # fewer rows than workers
            return next(iter(self._trainable.values())).new_zeros(()), inputs
        alone = nullcontext() if len(inputs) > 1 else single_values_kept_apart(model)
        with alone, self._probe or nullcontext():
            outputs = model(inputs)
        if taken.norm is None:
            return self._loss(outputs, *taken.meant), outputs
        total = self._loss.total(outputs, *taken.meant)
        return total / (taken.norm or math.inf), outputs

    @contextmanager
    def _summed(self) -> Iterator[None]:
        """Within the block the gradients are those of all workers, though no update is due yet."""
        assert self._workers is not None
        own = {name: p.grad for name, p in self._trainable.items()}
        for p in self._trainable.values():
            p.grad = None if p.grad is None else p.grad.clone()
        self._workers.add_gradients(self._trainable.values(), torch.zeros(()))
        yield
        for name, p in self._trainable.items():
            p.grad = own[name]

    def _seed_of_modules(self) -> int:
        """What torch's generators are seeded by; each worker draws its own numbers."""
        rank = 0 if self._workers is None else self._workers.rank
        return torch_seed(self._plan.recipe.seed, Purpose.MODULE, self._step, stream=rank)

    def _window(self) -> tuple[bool, bool, float, float]:
        """Whether this minibatch begins an update, ends it, and its share of the update's weight.

        The last number is that weight, 1 where a minibatch is an update.
        """
        size = self._plan.recipe.accumulate
        if size == 1:
            return True, True, 1.0, 1.0
        place = self._step % self._plan.steps_per_epoch
        begin = place // size * size
        weights = [
            self._plan.loss.weight_of(
                self._targets[batch], None if self._weights is None else self._weights[batch]
            )
            for batch in self._batches[begin : begin + size]
        ]
        total = sum(weights)
        last = place == begin + len(weights) - 1
        return place == begin, last, weights[place - begin] / total if total else 0.0, total

    def _change_gradient(self) -> None:
        recipe = self._plan.recipe
        if self._penalised:
            add_penalties(self._trainable, self._settings)
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self._trainable.values(), recipe.clip_norm)
        if recipe.clip_value:
            nn.utils.clip_grad_value_(self._trainable.values(), recipe.clip_value)

    def _zero_grad(self) -> None:
        for parameter in self._trainable.values():
            parameter.grad = None


def _threads_worth(plan: Plan) -> int:
    """One thread where a step is too short to share: there a second one only slows it down."""
    linear = [m for m in plan.model.modules() if isinstance(m, _LINEAR)]
    weights = {p for layer in linear for p in layer.parameters()}
    # Other weights of two dimensions or more may be used many times a row, as in convolutions.
    others = any(p.ndim > 1 and p not in weights for p in plan.model.parameters())
    flops = 6 * plan.batch_size * sum(p.numel() for p in weights)
    return 1 if linear and not others and flops < _FLOPS_WORTH_SHARING else torch.get_num_threads()
