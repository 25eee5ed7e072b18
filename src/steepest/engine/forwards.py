"""A module's own forward as a line of steps, or what keeps it from being one.

The calls of two forward passes, in training and in evaluation mode and with different numbers of
rows, must be the same. They are read backwards from the value that the forward gives. A value that
is used twice must be where a sum begins, with one use on each of its two sides.
"""

from dataclasses import dataclass

from torch import nn

from steepest.engine.functions import Function
from steepest.engine.masks import draws_masks
from steepest.engine.nodes import Dims, Obstacle
from steepest.engine.tracing import Call, calls_of

_BATCHES = (3, 5)  # rows of the two passes


@dataclass(frozen=True)
class Part:
    """A module that is called.

    Attributes:
        name: As in `named_modules` if it is a child; else of the function that it stands for.
        module: The child, or one without parameters.
        dims: Of a row of what it gives.
    """

    name: str
    module: nn.Module
    dims: Dims


@dataclass(frozen=True)
class Reshape:
    """A row has the shape `dims`, its numbers in the same order."""

    dims: Dims


@dataclass(frozen=True)
class Sum:
    """Two lines that begin at the same value, added; the second is empty where that is added."""

    block: tuple["Step", ...]
    shortcut: tuple["Step", ...]


Step = Part | Reshape | Sum


def steps_of(module: nn.Module, dims: Dims, where: str) -> tuple[Step, ...]:
    """What the module's forward does with rows of this shape.

    Args:
        module: It is neither run itself nor changed.
        dims: Of a row.
        where: The module's name in messages.

    Raises:
        Obstacle: If it is no such line of steps, in one line.
    """
    first, second = (
        calls_of(module, dims, where, batch=batch, training=batch == _BATCHES[0])
        for batch in _BATCHES
    )
    if first != second:
        raise Obstacle(
            f"{where} has a forward that does other things in training, or with more rows"
        )
    return _Lines(*first, where).whole()


class _Lines:
    """Reads calls backwards from the value that a forward gives."""

    def __init__(self, calls: tuple[Call, ...], given: int, where: str) -> None:
        self._made_by = {call.output: call for call in calls}
        self._given, self._where = given, where
        self._read: set[int] = set()
        self._starts: dict[int, int] = {}  # of sums, by their values

    def whole(self) -> tuple[Step, ...]:
        steps = self._line(0, self._given)
        if unused := self._made_by.keys() - self._read:
            name = self._made_by[min(unused)].name
            raise Obstacle(f"{self._where} has a forward that does not use what {name} gives")
        return steps

    def _line(self, start: int, end: int) -> tuple[Step, ...]:
        steps: list[Step] = []
        while end != start:
            call = self._made_by.get(end)
            if call is None or end in self._read:
                raise Obstacle(
                    f"{self._where} has a forward in which values meet other than in sums of two"
                )
            self._read.add(end)
            steps.append(self._step(call))
            end = self._before(call)
        return tuple(reversed(steps))

    def _step(self, call: Call) -> Step:
        if call.does is None or call.dims is None or -1 in call.inputs:
            raise Obstacle(f"{self._where} has a forward that calls {call.name}")
        if isinstance(call.does, nn.Module):
            return Part(call.name, call.does, call.dims)
        if call.does is Function.RESHAPE:
            return Reshape(call.dims)
        start = self._before(call)
        block, shortcut = (self._line(start, term) for term in call.inputs)
        if _drawing(block) & _drawing(shortcut):  # in which order is not kept here
            raise Obstacle(f"{self._where} has a forward with one Dropout on both sides of a sum")
        if not block and not shortcut:
            raise Obstacle(f"{self._where} has a forward that adds a value to itself")
        return Sum(block, shortcut) if block else Sum(shortcut, block)

    def _before(self, call: Call) -> int:
        """The value that all of what the call adds begins at; of other calls, the input."""
        if call.does is not Function.SUM:
            return call.inputs[0]
        if call.output not in self._starts:
            one, other = (self._spine(term) for term in call.inputs)
            both = set(other)
            self._starts[call.output] = next((value for value in one if value in both), 0)
        return self._starts[call.output]

    def _spine(self, value: int) -> list[int]:
        """The values that all of this one is made of, from itself back to the input."""
        values = [value]
        while (call := self._made_by.get(values[-1])) and call.inputs and -1 not in call.inputs:
            values.append(self._before(call))
        return values


def _drawing(steps: tuple[Step, ...]) -> set[str]:
    """The children among the steps that draw masks."""
    found: set[str] = set()
    for step in steps:
        if isinstance(step, Sum):
            found |= _drawing(step.block) | _drawing(step.shortcut)
        elif isinstance(step, Part) and any(map(draws_masks, step.module.modules())):
            found.add(step.name)
    return found
