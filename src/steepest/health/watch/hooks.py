"""Hooks that never reach the loop: not with an exception, not in a copy, not in a file."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from steepest.health.foreign import swallow
from steepest.health.watch.optimizer_trace import OptimizerTrace


class Hook:
    """Calls an action and keeps its exception to itself.

    A module that is copied or pickled takes its hooks along. A copy (a teacher, an average of the
    weights) is another model, and a file must not depend on who looked on: there, a callable of the
    standard library that does nothing stands in.
    """

    def __init__(
        self, action: Callable[..., None], first: tuple[Any, ...], fail: Callable[[Exception], None]
    ) -> None:
        self._action = functools.partial(action, *first) if first else action
        self._fail = fail

    def __call__(self, *arguments: Any) -> None:
        try:
            self._action(*arguments)
        except Exception as error:
            swallow(error)
            self._fail(error)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (contextlib.nullcontext(), "__exit__")


class Listener(Protocol):
    """What happens in a loop, as hooks tell it. Each is called with what torch gives its hook."""

    def after_forward(self, model: nn.Module, args: Any, kwargs: Any, output: Any) -> None: ...

    def after_loss(self, loss_fn: nn.Module, args: Any, kwargs: Any, loss: Any) -> None: ...

    def gradient_arrived(self, optimizer: OptimizerTrace, parameter: Tensor) -> None: ...

    def before_step(self, optimizer: OptimizerTrace, *given: Any) -> None: ...

    def after_step(self, optimizer: OptimizerTrace, *given: Any) -> None: ...


class Hooks:
    """The hooks of a watch, in three sets.

    The model's forward hook and one on each optimizer stay until the end. Those of the gradients of
    a few parameters go after the first steps. Those of the loss and of what precedes a step are
    there at looks alone: a hook that does nothing takes 1 % of a small net's step.

    problem: the last exception within a hook, a mistake of ours; "" if there was none.
    """

    def __init__(
        self, model: nn.Module, loss_fn: object, optimizers: Sequence[OptimizerTrace]
    ) -> None:
        self.problem = ""
        self._model, self._loss_fn, self._optimizers = model, loss_fn, optimizers
        self._listener: Listener | None = None
        self._staying: list[Any] = []
        self._early: list[Any] = []
        self._at_looks: list[Any] = []

    @property
    def set(self) -> bool:
        return bool(self._staying)

    @property
    def looking(self) -> bool:
        return bool(self._at_looks)

    def guard(self, action: Callable[..., None], *first: Any) -> Hook:
        """The action with these first arguments, as a hook that raises nothing."""
        return Hook(action, first, self._fail)

    def _fail(self, error: Exception) -> None:
        self.problem = f"{type(error).__name__}: {error}"

    def start(self, listener: Listener) -> None:
        """Set the hooks of all three sets."""
        self._listener = listener
        forward = self.guard(listener.after_forward)
        self._staying.append(self._model.register_forward_hook(forward, with_kwargs=True))
        for one in self._optimizers:
            after = self.guard(listener.after_step, one)
            self._staying.append(one.optimizer.register_step_post_hook(after))
            for p in one.sentinels:
                arrived = self.guard(listener.gradient_arrived, one)
                self._early.append(p.register_post_accumulate_grad_hook(arrived))  # type: ignore[no-untyped-call]
        self.look()

    def look(self) -> None:
        """Set the hooks of looks, if they rest."""
        if self._at_looks or self._listener is None:
            return
        if isinstance(self._loss_fn, nn.Module):
            after = self.guard(self._listener.after_loss)
            self._at_looks.append(self._loss_fn.register_forward_hook(after, with_kwargs=True))
        for one in self._optimizers:
            before = self.guard(self._listener.before_step, one)
            self._at_looks.append(one.optimizer.register_step_pre_hook(before))

    def rest(self) -> None:
        """Take the hooks of looks away."""
        self._at_looks = _removed(self._at_looks)

    def end_early(self) -> None:
        """Take away the hooks of the first steps."""
        self._early = _removed(self._early)

    def stop(self) -> None:
        """Take all of them away."""
        self._staying = _removed(self._staying)
        self.end_early()
        self.rest()


def _removed(handles: list[Any]) -> list[Any]:
    for handle in handles:
        handle.remove()
    return []
