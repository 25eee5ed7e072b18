"""The torch engine: any nn.Module, by autograd. The data stay in memory and are indexed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from steepest.engine.contract import OptimiserState, Plan, StepStats
from steepest.engine.forward import module_mode
from steepest.engine.rows import Rows
from steepest.engine.sgd import SGD
from steepest.engine.statistics import LayerProbe
from steepest.nn import LinearLayer
from steepest.random import Purpose, torch_seed

# Modules of torch.nn that draw random numbers while they train, by a part of their name.
_DRAWING = ("Dropout", "RReLU", "Fractional", "Attention", "Transformer", "RNN", "LSTM", "GRU")

_LINEAR = (nn.Linear, LinearLayer)
# Below this a step of a net of linear layers takes longer on two threads than on one (measured:
# the two are equal between 60 and 100 million).
_FLOPS_WORTH_SHARING = 64e6


class TorchEngine:
    """Runs every plan. Fulfils `steepest.engine.contract.Engine`."""

    name = "torch"

    def load(self, plan: Plan, optimiser: OptimiserState | None = None, step: int = 0) -> None:
        trainable = {n: p for n, p in plan.model.named_parameters() if p.requires_grad}
        self._plan = plan
        self._step = step
        self._epoch = -1
        self._device = next(iter(trainable.values())).device
        self._rows = Rows(plan.inputs, like=next(iter(trainable.values())))
        self._targets = torch.from_numpy(plan.targets).to(self._device)
        self._threads = plan.recipe.threads or _threads_worth(plan)
        self._draws = any(_may_draw(module) for module in plan.model.modules())
        recipe = plan.recipe
        self._sgd = SGD(
            trainable,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
        self._sgd.load(optimiser or {})

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        losses: list[Tensor] = []
        outputs: list[Tensor] = []
        targets: list[Tensor] = []
        probe = None
        with (
            module_mode(self._plan.model, training=True),
            self._generator_kept(),
            _torch_threads(self._threads),
        ):
            for i, rate in enumerate(rates):
                if statistics and i == len(rates) - 1:
                    probe = LayerProbe(self._plan.model)
                batch = self._next_batch()
                targets.append(self._targets.index_select(0, batch))
                loss, output = self._take_step(self._rows[batch], targets[-1], rate)
                losses.append(loss)
                outputs.append(output)
        layers = probe.finish() if probe else ()
        self._sgd.zero_grad()
        # Counted once a call and not once a step: that is dearer than a small net's own work.
        sizes = torch.tensor([len(target) for target in targets], dtype=torch.double)
        hits = self._plan.objective.predictions(torch.cat(outputs)) == torch.cat(targets)
        return StepStats(
            steps=len(losses),
            rows=len(hits),
            loss_sum=float(torch.stack(losses).double().cpu() @ sizes),
            correct=int(hits.sum()),
            layers=layers,
        )

    def export(self) -> OptimiserState:
        return self._sgd.state()

    def _next_batch(self) -> Tensor:
        """The rows of the minibatch of the step to come, (B,) int64."""
        epoch, i = divmod(self._step, self._plan.steps_per_epoch)
        if epoch != self._epoch:
            order = torch.from_numpy(self._plan.order(epoch)).to(self._device)
            self._batches: tuple[Tensor, ...] = torch.split(order, self._plan.batch_size)
            self._epoch = epoch
        return self._batches[i]

    def _take_step(self, inputs: Tensor, targets: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        if self._draws:
            torch.manual_seed(torch_seed(self._plan.recipe.seed, Purpose.MODULE, self._step))
        outputs = self._plan.model(inputs)
        loss = self._plan.objective.loss(outputs, targets)
        self._sgd.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._sgd.step(rate)
        self._step += 1
        return loss.detach(), outputs.detach()

    @contextmanager
    def _generator_kept(self) -> Iterator[None]:
        """Leave torch's own generators as they were found, if the model may draw from them."""
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices, enabled=self._draws):
            yield


def _threads_worth(plan: Plan) -> int:
    """One thread where a step is too short to share: there a second one only slows it down."""
    weights = [m.weight.numel() for m in plan.model.modules() if isinstance(m, _LINEAR)]
    others = sum(p.numel() for p in plan.model.parameters()) > 2 * sum(weights)
    flops = 6 * plan.batch_size * sum(weights)
    return 1 if weights and not others and flops < _FLOPS_WORTH_SHARING else torch.get_num_threads()


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _may_draw(module: nn.Module) -> bool:
    """Whether a module may draw random numbers: torch.nn's drawing ones, and all foreign ones."""
    kind = type(module)
    if kind.__module__.startswith(("torch.nn.modules", "steepest.nn")):
        return any(part in kind.__name__ for part in _DRAWING)
    return True
