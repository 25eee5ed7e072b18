"""Twelve common faults as edits of one plain loop, so that any two or three can be planted together.

The twelve are those that people meet most by what has been counted or told, one of each kind that
goes together with all the others:

- Karpathy's list of commonest mistakes (2018: "the most common neural net mistakes"): eval mode
  forgotten (`mode`), gradients not cleared (`clear`), probabilities into a loss of logits
  (`softmax`).
- Humbatova et al. (ICSE 2020, 1,059 artefacts and 20 interviews) and Islam et al. (FSE 2019, 2,716
  questions and 500 commits), by their categories: labels (`labels`), preprocessing (`scale`,
  `sorted`), initialisation (`init`), activations (`linear`), learning rate (`rate`), and the
  training process (`params`, `order`, `sign`).

A rate that is too low and gradients cleared before the step are as common, and exclude another of
the twelve; units that are dead from the start need the activations that `linear` leaves out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, evaluate, score
from faults.data import Rows, clouds4, loaders
from faults.nets import sgd
from faults.pairs.order import first_of
from faults.programs import Program

WIDTH, CLASSES = 64, 4


@dataclass
class Plan:
    """A training before it is made: rows, net, optimizer and the lines of its loop."""

    rows: Rows
    shuffled: bool = True
    activation: Callable[[], nn.Module] = nn.ReLU
    end: Callable[[], nn.Module] = nn.Identity
    deviation: float = 0.0  # of the weights; 0 for PyTorch's own initialisation
    rate: float = 0.1
    stale: bool = False  # the optimizer holds the parameters of an earlier model
    clears: bool = True
    sign: float = 1.0
    step_first: bool = False
    rests: bool = True  # dropout, while rows are evaluated

    def model(self) -> nn.Sequential:
        act = self.activation
        layers = [nn.Linear(self.rows.X.shape[1], WIDTH), act(), nn.Dropout(0.5)]
        layers += [nn.Linear(WIDTH, WIDTH), act(), nn.Dropout(0.5)]
        layers += [nn.Linear(WIDTH, CLASSES), self.end()]
        if self.deviation:
            for layer in layers:
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=self.deviation)
        return nn.Sequential(*(m for m in layers if not isinstance(m, nn.Identity)))

    def train_step(self, case: Case, batch: Any) -> Tensor:
        x, y = batch
        if self.clears:
            case.optimizer.zero_grad()
        if self.step_first:  # later, with gradients that are there, torch itself would object
            case.optimizer.step()
        loss = case.loss_fn(case.model(x), y)
        (self.sign * loss).backward()
        if not self.step_first:
            case.optimizer.step()
        return loss.detach()

    def case(self, seed: int) -> Case:
        torch.manual_seed(seed)
        model = self.model()
        optimizer = sgd(model, self.rate)
        if self.stale:
            model = self.model()
        return Case(
            model,
            nn.CrossEntropyLoss(),
            optimizer,
            *loaders(self.rows, seed, shuffle=self.shuffled),
            train_step=self.train_step,
            evaluate=evaluate if self.rests else score,
        )


Edit = Callable[[Plan], None]
_RUNS_AWAY = ("PREMATURE_NAN", "DEAD_RELU", "EXPLODING_GRADIENT")


@dataclass(frozen=True)
class Common:
    """One of the twelve: its edit, and what is right to say of it."""

    edit: Edit
    fault: Fault


COMMON: dict[str, Common] = {}


def _common(fault: Fault) -> Callable[[Edit], Edit]:
    def register(edit: Edit) -> Edit:
        COMMON[edit.__name__.strip("_")] = Common(edit, fault)
        return edit

    return register


@_common(Fault("LOSS_EXPECTS_LOGITS", consequence=("OUTPUT_ACTIVATION",)))
def softmax(plan: Plan) -> None:
    plan.end = lambda: nn.Softmax(1)


@_common(Fault("NO_ZERO_GRAD", consequence=("LR_TOO_HIGH", *_RUNS_AWAY)))
def clear(plan: Plan) -> None:
    plan.clears = False


@_common(Fault("ZERO_AFTER_BACKWARD", consequence=("LR_TOO_LOW",)))
def order(plan: Plan) -> None:
    plan.step_first = True


@_common(Fault("LR_TOO_HIGH", accept=("MOMENTUM_TOO_HIGH",), consequence=_RUNS_AWAY))
def rate(plan: Plan) -> None:
    plan.rate = 10.0


@_common(Fault("LABELS_SHUFFLED", consequence=("OVERFIT", "LABEL_NOISE")))
def labels(plan: Plan) -> None:
    y = plan.rows.y
    plan.rows.y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(7))]


@_common(Fault("INPUT_NOT_NORMALISED", consequence=("INIT_TOO_LARGE", "LR_TOO_HIGH", *_RUNS_AWAY)))
def scale(plan: Plan) -> None:
    plan.rows.X, plan.rows.X_val = 100 * plan.rows.X, 100 * plan.rows.X_val


@_common(Fault("PARAMS_NOT_IN_OPTIMISER", consequence=("NO_STEP", "LR_TOO_LOW")))
def params(plan: Plan) -> None:
    plan.stale = True


@_common(Fault("EVAL_IN_TRAIN_MODE", harm="report"))
def mode(plan: Plan) -> None:
    plan.rests = False


@_common(Fault("INIT_TOO_LARGE", consequence=("LR_TOO_HIGH", *_RUNS_AWAY)))
def init(plan: Plan) -> None:
    plan.deviation = 1.0


@_common(Fault("ASCENT", consequence=("LR_TOO_HIGH", *_RUNS_AWAY)))
def sign(plan: Plan) -> None:
    plan.sign = -1.0


# Without activations this rate lets the loss rise again.
@_common(Fault("NO_NONLINEARITY", consequence=("LEARNING_LOST",)))
def linear(plan: Plan) -> None:
    plan.activation = nn.Identity


@_common(Fault("UNSHUFFLED_SORTED"))
def _sorted(plan: Plan) -> None:
    plan.rows.keep(plan.rows.y.argsort(stable=True))
    plan.shuffled = False


@dataclass(frozen=True)
class Planted:
    """Some of the twelve in one training."""

    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return "+".join(self.names)

    @property
    def first(self) -> frozenset[str]:
        """Codes of the faults that no other of them blocks."""
        return frozenset().union(*(COMMON[n].fault.right for n in first_of(set(self.names))))

    @property
    def allowed(self) -> frozenset[str]:
        """Codes that are no noise."""
        faults = (COMMON[n].fault for n in self.names)
        return frozenset().union(*(f.right.union(f.consequence) for f in faults))

    def without(self, name: str) -> "Planted":
        return Planted(tuple(n for n in self.names if n != name))

    def case(self, seed: int) -> Case:
        """Labels are changed before rows are sorted by them."""
        plan = Plan(clouds4(seed))
        for name in sorted(self.names, key=list(COMMON).index):
            COMMON[name].edit(plan)
        return plan.case(seed)


def planted(together: int) -> list[Planted]:
    """All trainings with so many of the twelve: 66 pairs, 220 triples."""
    return [Planted(names) for names in combinations(COMMON, together)]


def alone(name: str) -> Program:
    """One of them as a program with its twin."""

    def make(seed: int, healthy: bool = False) -> Case:
        return Planted(() if healthy else (name,)).case(seed)

    return Program(name, "pairs", COMMON[name].fault, make, name)
