"""The torch engine: any nn.Module, by autograd. The data stay in memory and are indexed.

The model's own tensors are trained in place, so they are current after every step and `export`
only copies what the optimizer keeps. What is torch's once for the process (threads, generators) is
changed within a call of `advance` alone, and gradients are none between two updates. Sums are
counted once a call: a small net's step is shorter than its bookkeeping would be.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from steepest.engine.augment import Augmentation
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
from steepest.engine.statistics import LayerProbe
from steepest.nn import LinearLayer
from steepest.random import Purpose, torch_seed

_LINEAR = (nn.Linear, LinearLayer)
# Below this a step of a net of linear layers takes longer on two threads than on one (measured:
# the two are equal between 60 and 100 million).
_FLOPS_WORTH_SHARING = 64e6


class TorchEngine:
    """Runs every plan. Fulfils `steepest.engine.contract.Engine`."""

    name = "torch"

    def __init__(self) -> None:
        self._loaded: _TorchTraining | None = None

    def load(self, plan: Plan, optimizer: OptimizerState | None = None, step: int = 0) -> None:
        self._loaded = _TorchTraining(plan, optimizer or {}, step)

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        assert self._loaded is not None
        return self._loaded.advance(rates, statistics=statistics)

    def update_model(self) -> None:
        pass  # its tensors are those that are trained

    def export(self) -> OptimizerState:
        assert self._loaded is not None
        return self._loaded.export()


class _TorchTraining:
    """A plan on its way; `_step` steps are done."""

    def __init__(self, plan: Plan, optimizer: OptimizerState, step: int) -> None:
        recipe = plan.recipe
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
        losses: list[Tensor] = []
        outputs: list[Tensor] = []
        targets: list[Tensor] = []
        mixes = self._augmentation.mixes(range(self._step, self._step + len(rates)))
        with (
            module_mode(self._plan.model, training=True),
            process_state(self._device, generators=self._draws, threads=self._threads),
            self._masks.installed(),
        ):
            for i, rate in enumerate(rates):
                if statistics and i == len(rates) - 1:
                    self._probe = LayerProbe(self._plan.model)
                batch = self._next_batch()
                targets.append(self._targets.index_select(0, batch))
                inputs = self._augmentation.change(self._rows[batch], self._step)
                mixed = None
                if mixes is not None:
                    inputs = self._augmentation.mix(inputs, mixes, i)
                    mixed = (targets[-1].roll(-1, 0), float(mixes.shares[i]))
                weights = None if self._weights is None else self._weights[batch]
                loss, output = self._take_step(
                    inputs, (targets[-1], *(mixed or (None, 1.0)), weights), rate
                )
                losses.append(loss)
                outputs.append(output)
            layers = self._probe.finish() if self._probe else ()
            self._probe = None
        if self._window()[0]:  # an update is done; else its gradient is still being gathered
            self._zero_grad()
        # Counted once a call and not once a step: that is dearer than a small net's own work.
        sizes = torch.tensor([len(target) for target in targets], dtype=torch.double)
        hits = self._plan.objective.right(torch.cat(outputs), torch.cat(targets))
        return StepStats(
            steps=len(losses),
            rows=len(hits),
            loss_sum=float(torch.stack(losses).double().cpu() @ sizes),
            correct=int(hits.sum()),
            layers=layers,
        )

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

    def _take_step(
        self, inputs: Tensor, meant: tuple[Tensor, Tensor | None, float, Tensor | None], rate: float
    ) -> tuple[Tensor, Tensor]:
        """One minibatch, and the update if it is the last one of it: loss and outputs.

        meant: what TrainingLoss takes beside the outputs.
        """
        opens, closes, share, weight = self._window()
        if self._scheduled:
            self._factors = factors_at(self._plan, self._step)
            smoothing = self._plan.loss.label_smoothing * self._factors.label_smoothing
            self._loss = replace(self._plan.loss, label_smoothing=smoothing)
        first: list[tuple[Tensor, Tensor]] = []

        def evaluate() -> Tensor:
            if opens:
                self._zero_grad()
            if self._draws:
                seed_generators(torch_seed(self._plan.recipe.seed, Purpose.MODULE, self._step))
            self._masks.begin(self._step, self._factors.dropout)
            with nullcontext() if len(inputs) > 1 else single_values_kept_apart(self._plan.model):
                outputs = self._plan.model(inputs)
            loss = self._loss(outputs, *meant)
            first.append((loss.detach(), outputs.detach()))
            part = loss if share == 1.0 else loss * share
            if share == 0.0 < weight:  # its rows weigh 0, but smoothing gives each class its share
                part = self._loss.total(outputs, *meant) / weight
            part.backward()  # type: ignore[no-untyped-call]
            if self._probe:
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
        return first[0]

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
