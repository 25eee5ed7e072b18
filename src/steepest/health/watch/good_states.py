"""The last good states of a watched training: what-ifs of harm in mid-run start from them."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from steepest.health.replay.replay import Setup, groups_of
from steepest.health.watch.rules.relapse import AS_GOOD, LATER, LEARNED, LOST, ROSE, Good
from steepest.health.watch.trace import TrainingTrace

_LARGEST = 128 * 2**20  # bytes of a state; of larger nets none is kept
_LATEST, _LAST = 5, 3  # losses whose mean says how good it is now; how bad
_BETWEEN = 10  # steps between two states at least

Settings = dict[str, Any]


@dataclass(frozen=True)
class GoodState:
    """Weights and optimizers after a step at which all was well.

    loss, accuracy: the means of the latest minibatches. settings: of each optimizer's groups, all
    but their parameters.
    """

    step: int
    loss: float
    accuracy: float
    tensors: dict[str, Tensor]
    kept: list[list[dict[str, Any]]]
    settings: list[list[Settings]]

    @classmethod
    def of(cls, setup: Setup, step: int, loss: float, accuracy: float) -> "GoodState":
        """A copy of what the objects hold now; reads them and nothing else."""
        with torch.no_grad():
            tensors = {name: t.detach().clone() for name, t in _tensors(setup.model)}
            kept = [[_copied(o.state.get(p, {})) for p in _held(o)] for o in setup.optimizers]
        return cls(step, loss, accuracy, tensors, kept, settings_of(setup))

    @property
    def rate(self) -> float:
        """The highest of all groups."""
        return max((float(g["lr"]) for g in self._groups if "lr" in g), default=0.0)

    @property
    def momentum(self) -> float:
        """The highest of all groups."""
        return max((float(g.get("momentum") or 0.0) for g in self._groups), default=0.0)

    @property
    def told(self) -> Good:
        return Good(self.step, self.loss, self.rate, self.momentum, self.accuracy)

    @property
    def reach(self) -> float:
        """How far a lasting gradient of 1 moves a weight in a step: the rate / (1 - momentum)."""
        return self.rate / max(1 - self.momentum, 1e-6)

    @property
    def _groups(self) -> list[Settings]:
        return [group for groups in self.settings for group in groups]

    def start(self, setup: Setup) -> Setup | None:
        """A copy of the setup in this state; None if it has other parts by now."""
        clone = setup.copy()
        if clone is None:
            return None
        now = dict(_tensors(clone.model))
        groups = [groups_of(o) for o in clone.optimizers]
        if now.keys() != self.tensors.keys() or list(map(len, groups)) != list(
            map(len, self.settings)
        ):
            return None
        with torch.no_grad():
            for name, tensor in now.items():
                tensor.copy_(self.tensors[name])
        for optimizer, kept, settings in zip(
            clone.optimizers, self.kept, self.settings, strict=True
        ):
            held = _held(optimizer)
            if len(held) != len(kept):
                return None
            optimizer.state.clear()
            optimizer.state.update({p: _copied(k) for p, k in zip(held, kept, strict=True) if k})
            for group, known in zip(groups_of(optimizer), settings, strict=True):
                group.update(copy.copy(known))
        return clone


class GoodStates:
    """Keeps two at most: the latest, and one from before the rate rose to what it is there.

    Taken where the mean of the latest losses is about the best that was seen, the next one after
    an eighth more steps: a long training is copied about 20 times in ten times the steps.

    best: the least mean. lost_since: the step from which on half of what was learned has been lost,
    None while it has not.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._states: list[GoodState] = []
        self._fits: bool | None = None
        self.best = math.inf
        self.lost_since: int | None = None

    def __iter__(self) -> Iterator[GoodState]:
        """The one from before a rise first."""
        return iter(self._states)

    def __bool__(self) -> bool:
        return bool(self._states)

    def look(self, trace: TrainingTrace) -> None:
        """Take in the latest losses of a training, and keep its state if they are low."""
        if len(trace.recent) < _LATEST:
            return
        losses = list(islice(reversed(trace.recent), _LATEST))
        start, step = trace.untrained_loss, trace.steps
        level, last = sum(losses) / _LATEST, sum(losses[:_LAST]) / _LAST
        learned = start - self.best
        if learned > LEARNED * start and last > self.best + LOST * learned:
            self.lost_since = self.lost_since or step
            return
        self.lost_since = None
        good = level <= AS_GOOD * self.best
        self.best = min(self.best, level)
        kept = self._states[-1].step if self._states else 0
        if good and level < start and step >= max(kept + _BETWEEN, LATER * kept) and self._small:
            hits = list(trace.train_hits)[-_LATEST:]
            accuracy = sum(hits) / len(hits) if hits else math.nan
            self._keep(GoodState.of(self._setup, step, level, accuracy))
            for optimizer in trace.optimizers:
                optimizer.peak = 0.0

    def _keep(self, state: GoodState) -> None:
        before = [one for one in self._states if state.reach > ROSE * one.reach]
        self._states = [*before[-1:], state]

    @property
    def _small(self) -> bool:
        if self._fits is None:
            weights = sum(t.nbytes for _, t in _tensors(self._setup.model))
            self._fits = 3 * weights <= _LARGEST
        return self._fits


def settings_of(setup: Setup) -> list[list[Settings]]:
    """All but the parameters of each optimizer's groups, as they are now."""
    return [
        [
            {name: _number(value) for name, value in group.items() if name != "params"}
            for group in groups_of(optimizer)
        ]
        for optimizer in setup.optimizers
    ]


def _number(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _held(optimizer: Any) -> list[Tensor]:
    return [p for group in groups_of(optimizer) for p in group["params"]]


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's state of one parameter."""
    return {
        name: value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for name, value in state.items()
    }
