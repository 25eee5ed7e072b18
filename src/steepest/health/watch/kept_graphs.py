"""Autograd graphs of earlier passes that somebody keeps, as a loss that is summed with its graph.

The node of the logits holds the hook that is set on them, so the hook lives as long as the graph
does: a weak reference to it costs nothing, and keeps nothing.
"""

import weakref
from collections import deque
from dataclasses import dataclass

from torch import Tensor

from steepest.health.check.autograd_graph import graph_nodes

_MOST, _EVERY = 48, 8  # passes that are remembered; between two counts
_FEWEST, _SHARE = 20, 0.9  # graphs that live, and their share of those that are remembered
_LATEST = 4  # steps, or passes of an evaluation, whose graphs may well live


@dataclass(frozen=True)
class KeptGraphs:
    """So many graphs of those that were looked at live: of earlier steps, or of evaluated rows.

    nodes: of the latest graph.
    """

    alive: int
    seen: int
    since: int
    evaluating: bool
    nodes: int


@dataclass(frozen=True)
class _Graph:
    step: int
    training: bool
    hook: weakref.ref[object]


class GraphTrace:
    """The latest passes with gradients. kept: once it was seen that their graphs stay."""

    def __init__(self) -> None:
        self.kept: KeptGraphs | None = None
        self._passes: deque[_Graph] = deque(maxlen=_MOST)
        self._added = 0

    def add(self, hook: object, logits: Tensor, step: int, *, training: bool) -> None:
        """A pass after so many steps. hook: the one on its logits."""
        self._passes.append(_Graph(step, training, weakref.ref(hook)))
        self._added += 1
        if self.kept is None and self._added % _EVERY == 0:
            self.kept = self._count(logits, step, training)

    def _count(self, logits: Tensor, step: int, training: bool) -> KeptGraphs | None:
        alike = [one for one in self._passes if one.training == training]
        if training:  # passes of one step may have one backward pass in common
            earlier = [one for one in alike if one.step <= step - _LATEST]
        else:
            earlier = [one for one in alike if one.step == step][:-_LATEST]
        alive = sum(one.hook() is not None for one in earlier)
        if alive < _FEWEST or alive < _SHARE * len(earlier):
            return None
        nodes = sum(1 for _ in graph_nodes(logits.grad_fn))
        return KeptGraphs(alive, len(earlier), earlier[0].step, not training, nodes)
