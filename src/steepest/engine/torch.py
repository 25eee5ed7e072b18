"""The torch engine: any nn.Module, by autograd. The data stay in memory and are indexed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from steepest.engine.contract import OptimiserState, Plan, StepStats
from steepest.engine.forward import module_mode
from steepest.engine.rows import Rows
from steepest.engine.statistics import LayerProbe
from steepest.random import Purpose, torch_seed

# Modules of torch.nn that draw random numbers while they train, by a part of their name.
_DRAWING = ("Dropout", "RReLU", "Fractional", "Attention", "Transformer", "RNN", "LSTM", "GRU")


class TorchEngine:
    """Runs every plan. Fulfils `steepest.engine.contract.Engine`."""

    name = "torch"

    def load(self, plan: Plan, optimiser: OptimiserState | None = None, step: int = 0) -> None:
        trainable = {n: p for n, p in plan.model.named_parameters() if p.requires_grad}
        self._plan = plan
        self._step = step
        self._epoch = -1
        self._parameters = trainable
        self._device = next(iter(trainable.values())).device
        self._rows = Rows(plan.inputs, like=next(iter(trainable.values())))
        self._targets = torch.from_numpy(plan.targets).to(self._device)
        self._draws = any(_may_draw(module) for module in plan.model.modules())
        recipe = plan.recipe
        self._sgd = torch.optim.SGD(
            trainable.values(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        for name, state in (optimiser or {}).items():
            self._sgd.state[trainable[name]]["momentum_buffer"] = state["momentum"].clone()

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        losses: list[Tensor] = []
        correct: list[Tensor] = []
        sizes: list[int] = []
        probe = None
        with module_mode(self._plan.model, training=True), self._generator_kept():
            for i, rate in enumerate(rates):
                if statistics and i == len(rates) - 1:
                    probe = LayerProbe(self._plan.model)
                batch = self._next_batch()
                targets = self._targets.index_select(0, batch)
                loss, outputs = self._take_step(self._rows[batch], targets, rate)
                losses.append(loss)
                correct.append(self._plan.objective.predictions(outputs).eq(targets).sum())
                sizes.append(len(batch))
        layers = probe.finish() if probe else ()
        self._sgd.zero_grad()
        # Read once a call and not once a step: each .item() waits for the device.
        per_row = torch.stack(losses).double().cpu()
        loss_sum = float(per_row @ torch.tensor(sizes, dtype=torch.double))
        hits = int(torch.stack(correct).sum())
        return StepStats(len(sizes), sum(sizes), loss_sum, hits, layers)

    def export(self) -> OptimiserState:
        state: OptimiserState = {}
        for name, parameter in self._parameters.items():
            buffer = self._sgd.state[parameter].get("momentum_buffer")
            if buffer is not None:
                state[name] = {"momentum": buffer.clone()}
        return state

    def _next_batch(self) -> Tensor:
        """The rows of the minibatch of the step to come, (B,) int64."""
        plan = self._plan
        epoch, i = divmod(self._step, plan.steps_per_epoch)
        if epoch != self._epoch:
            self._order = torch.from_numpy(plan.order(epoch)).to(self._device)
            self._epoch = epoch
        return self._order[i * plan.batch_size : (i + 1) * plan.batch_size]

    def _take_step(self, inputs: Tensor, targets: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        if self._draws:
            torch.manual_seed(torch_seed(self._plan.recipe.seed, Purpose.MODULE, self._step))
        outputs = self._plan.model(inputs)
        loss = self._plan.objective.loss(outputs, targets)
        self._sgd.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._sgd.param_groups[0]["lr"] = rate
        self._sgd.step()
        self._step += 1
        return loss.detach(), outputs.detach()

    @contextmanager
    def _generator_kept(self) -> Iterator[None]:
        """Leave torch's own generators as they were found, if the model may draw from them."""
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices, enabled=self._draws):
            yield


def _may_draw(module: nn.Module) -> bool:
    """Whether a module may draw random numbers: torch.nn's drawing ones, and all foreign ones."""
    kind = type(module)
    if kind.__module__.startswith(("torch.nn.modules", "steepest.nn")):
        return any(part in kind.__name__ for part in _DRAWING)
    return True
