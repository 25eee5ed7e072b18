"""Where numbers first stopped being finite: the last steps are taken again, one at a time."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from steepest.engine import (
    Engine,
    OptimizerState,
    Plan,
    Rows,
    module_mode,
    reference_parameter,
    seeded,
)
from steepest.training.schedule import Schedule, TorchSchedule
from steepest.training.weights import load_tensors, snapshot

_SHOWN = 5
_SECONDS_BETWEEN_KEPT = 0.5
_LARGEST_TO_KEEP = 256 * 2**20  # bytes of parameters


@dataclass(frozen=True, eq=False)
class State:
    """A model and its optimizer after a step: enough to take the following steps again.

    constants: the buffers that are not finite by design (`infinite_buffers`).
    """

    step: int
    model: dict[str, Tensor]
    optimizer: OptimizerState
    constants: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, plan: Plan, step: int, optimizer: OptimizerState, constants: frozenset[str]
    ) -> "State":
        return cls(step, snapshot(plan.model), optimizer, constants)

    @property
    def broken(self) -> list[str]:
        """The names of the parameters and buffers that hold a NaN or an infinity."""
        return [name for name in non_finite(self.model) if name not in self.constants]

    @property
    def is_finite(self) -> bool:
        return not self.broken


@dataclass(frozen=True, eq=False)
class Divergence:
    """What happened first. before: the state ahead of the step in which it did, all finite."""

    before: State
    text: str


class LastFinite:
    """The last state of a run whose numbers are all finite: what its model goes back to.

    It is what the run began with or went on from, until an epoch ends with finite weights; those
    are kept now and then, so that it costs nothing, and only where the model is small enough to be
    kept twice.

    Attributes:
        state: That state. Before `begin` it is of no model.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._size = sum(p.nbytes for p in plan.model.parameters())
        self._kept_at = -math.inf
        self.state = State(0, {}, {})

    def begin(self, state: State) -> None:
        """Set out from this state, finite or not."""
        self.state = state

    def offer(self, step: int, optimizer: OptimizerState) -> None:
        """Keep the training as it is after `step` steps, if it is finite and a while has passed.

        The model must be current; optimizer: what the engine exported with it.
        """
        recent = time.monotonic() - self._kept_at < _SECONDS_BETWEEN_KEPT
        if recent or self._size > _LARGEST_TO_KEEP:
            return
        state = State.of(self._plan, step, optimizer, self.state.constants)
        if state.is_finite:
            self.state, self._kept_at = state, time.monotonic()

    def explain(
        self, engine: Engine, begin: int, end: int, loss_sum: float, schedule: Schedule
    ) -> str:
        """What happened first, found by taking the steps since the last finite state again.

        From then on the state is the one ahead of the step in which it happened.

        Args:
            engine: A new one, of the kind that the run uses.
            begin: Steps that were done before the engine's call in which it happened.
            end: Steps that are done.
            loss_sum: What the loss of that call came to.
            schedule: The run's; one of torch's cannot tell earlier rates again.
        """
        if broken := self.state.broken:
            return (
                f"the loss became {loss_sum}: {broken[0]!r} held a NaN or an infinity before step "
                f"{self.state.step + 1}; give the model finite weights"
            )
        found = None
        if not isinstance(schedule, TorchSchedule):
            found = locate_divergence(self._plan, engine, self.state, begin, end, schedule.rate)
        if found is not None:
            self.state = found.before
            what = f"the loss became {loss_sum}: {found.text}"
        else:
            what = f"the loss became {loss_sum} within the {end - begin} steps up to step {end}"
        return (
            f"{what}; the model has its weights of step {self.state.step}; try a learning rate "
            f"below {schedule.rate(end - 1):g}"
        )


def non_finite(tensors: dict[str, Tensor]) -> list[str]:
    """The names of those that hold a NaN or an infinity."""
    floating = {name: t for name, t in tensors.items() if t.is_floating_point()}
    return [name for name, t in floating.items() if not bool(torch.isfinite(t).all())]


def infinite_buffers(model: nn.Module) -> frozenset[str]:
    """The buffers that are not finite before a run: a mask of minus infinity, for instance."""
    return frozenset(non_finite(dict(model.named_buffers())))


def locate_divergence(
    plan: Plan,
    engine: Engine,
    last_finite: State,
    begin: int,
    end: int,
    rate: Callable[[int], float],
) -> Divergence | None:
    """Take the steps from the last finite state on again and find the one that broke the numbers.

    begin, end: the steps of the engine's call in which the loss stopped being finite. rate: of a
    step. The model is left as it was ahead of that step. None if the steps, taken one at a time,
    stay finite.
    """
    begin = max(last_finite.step, begin - 1)  # the cause may be the update ahead of the call
    load_tensors(plan.model, last_finite.model)
    engine.load(plan, last_finite.optimizer, last_finite.step)
    if begin > last_finite.step:
        engine.advance([rate(step) for step in range(last_finite.step, begin)])
    before = last = State.of(plan, begin, engine.export(), last_finite.constants)
    for step in range(begin, end):
        loss = engine.advance([rate(step)]).loss
        now = State.of(plan, step + 1, engine.export(), last_finite.constants)
        if not math.isfinite(loss) and not last.is_finite:
            return _divergence(plan, before, _in_update(plan, before, rate(before.step)))
        if not math.isfinite(loss):
            # With weights that are finite and yet too large the step before was the mistake.
            return _divergence(plan, before, _in_forward(plan, last), step + 1)
        if not now.is_finite:
            return _divergence(plan, last, _in_update(plan, last, rate(step)))
        before, last = last, now
    return None


def _divergence(plan: Plan, before: State, text: str, step: int | None = None) -> Divergence:
    load_tensors(plan.model, before.model)
    return Divergence(before, f"in step {step or before.step + 1}, {text}")


def _in_forward(plan: Plan, state: State) -> str:
    """The first module that makes something not finite of finite inputs, and for which rows."""
    for name, outputs in _outputs(plan, state):
        wrong = ~torch.isfinite(outputs.flatten(1)).all(1)
        if wrong.any():
            rows = _rows(plan, state, wrong)
            return f"the output of {name} was the first not to be finite, for {rows}"
    return "the loss was not finite, though all outputs were"


def _in_update(plan: Plan, state: State, rate: float) -> str:
    """The last layer with a gradient that is not finite: backward it came first."""
    model = _copy(plan.model, state)
    inputs, targets = _minibatch(plan, state.step)
    with torch.enable_grad(), _as_in_step(plan, model, state.step):
        plan.loss(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    wrong = non_finite(gradients)
    if wrong:
        return f"the gradient of {wrong[-1]} was the first not to be finite"
    largest = max(gradients, key=lambda name: float(gradients[name].abs().max()))
    size = float(gradients[largest].abs().max())
    return (
        f"the update at learning rate {rate:g} left the range of numbers; the largest gradient was "
        f"that of {largest}, {size:.3g}"
    )


def _outputs(plan: Plan, state: State) -> list[tuple[str, Tensor]]:
    """What each innermost module gave for the minibatch of this step, in order."""
    found: list[tuple[str, Tensor]] = []
    model = _copy(plan.model, state)

    def keep(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.is_floating_point() and output.ndim:
                found.append((f"module {name!r} ({type(module).__name__})", output.detach()))

        return hook

    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(keep(name))
    inputs, _ = _minibatch(plan, state.step)
    with torch.no_grad(), _as_in_step(plan, model, state.step):
        found.insert(0, ("the scaled input", inputs))
        outputs = model(inputs)
    return [*found, ("the model", outputs)]


@contextmanager
def _as_in_step(plan: Plan, model: nn.Module, step: int) -> Iterator[None]:
    with seeded(model, plan.recipe.seed, step), module_mode(model, training=True):
        yield


def _copy(model: nn.Module, state: State) -> nn.Module:
    """A copy to look at: running statistics and gradients of the model stay as they are."""
    copied = copy.deepcopy(model)
    load_tensors(copied, state.model)
    for module in copied.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return copied


def _minibatch(plan: Plan, step: int) -> tuple[Tensor, Tensor]:
    batch = _indices(plan, step)
    like = reference_parameter(plan.model)
    targets = torch.from_numpy(plan.targets).to(like.device)
    return Rows(plan.inputs, like)[batch.to(like.device)], targets[batch.to(like.device)]


def _indices(plan: Plan, step: int) -> Tensor:
    return torch.from_numpy(plan.minibatch(step).copy())


def _rows(plan: Plan, state: State, wrong: Tensor) -> str:
    """Which rows of the data they are: "3 of 32 rows: 4, 17 and 80"."""
    batch = _indices(plan, state.step)
    if bool(wrong.all()):
        return f"all {len(batch)} rows of the minibatch"
    chosen = batch[wrong.cpu()].numpy()
    rows = (chosen if plan.inputs.rows is None else plan.inputs.rows[chosen]).tolist()
    shown = ", ".join(map(str, rows[:_SHOWN]))
    more = ", ..." if len(rows) > _SHOWN else ""
    return f"{len(rows)} of {len(batch)} rows of the minibatch, of the data: {shown}{more}"
