"""watch(): look on while somebody's own loop trains, by hooks alone."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from steepest.errors import HealthWarning, warn
from steepest.health.arguments import optimizers_in, require_arguments
from steepest.health.findings.collection import Findings
from steepest.health.replay.batches import DataSize, size_of
from steepest.health.replay.replay import Setup
from steepest.health.watch.hooks import Hooks
from steepest.health.watch.judge import Judge
from steepest.health.watch.observer import Observer
from steepest.health.watch.trace import TrainingTrace


class Watch:
    """Looks on while a loop trains. A context manager, as `watch` gives it.

    The idea (docs/decisions/0009): looking on changes no bit of the loop and costs a small net
    little of a step. So hooks come and go (`Hooks`): all of the first 60 steps are looked at, then
    two in succession of every forty, from step 800 on of every eighty. What they tell is written
    down as it happens (`Observer`, into a `TrainingTrace`), and judged when a pass, its loss and
    its gradient are all there (`Judge`). Rules read the trace alone. Only on suspicion are steps
    taken again, on copies.

    A loss that is a plain function cannot be hooked: its targets are then read from the gradient of
    the logits, and validation losses only if `log_validation` is given them.

    Attributes:
        findings: What is known now, the cause first.
        problem: The last mistake of ours within a hook, "" if there was none.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[..., Any],
        optimizers: Sequence[Any],
        seconds: float,
        data: DataSize | None = None,
    ) -> None:
        self._trace = TrainingTrace(tuple(optimizers))
        self._trace.data = data
        self._hooks = Hooks(model, loss_fn, self._trace.optimizers)
        self._judge = Judge(Setup(model, loss_fn, tuple(optimizers)), self._trace, seconds)
        self._observer = Observer(model, loss_fn, self._trace, self._hooks, self._judge)

    @property
    def findings(self) -> Findings:
        """What is known now, the cause first."""
        return self._judge.findings

    @property
    def problem(self) -> str:
        """The last mistake of ours within a hook, "" if there was none."""
        return self._hooks.problem

    def report(self) -> str:
        """The findings in words, and whether something could not be looked at."""
        unseen = f"\nnot all could be looked at: {self.problem}" if self.problem else ""
        return str(self.findings) + unseen

    def __enter__(self) -> "Watch":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> "Watch":
        """Set the hooks and keep a copy of the model as it is now, to answer what-ifs with."""
        if not self._hooks.set:
            self._judge.start()
            self._hooks.start(self._observer)
        return self

    def stop(self) -> None:
        """Take the hooks away, judge the whole, and give a HealthWarning for each cause."""
        if not self._hooks.set:
            return
        self._hooks.stop()
        self._hooks.guard(self._observer.end_round)()
        self._hooks.guard(self._observer.end_evaluation)()
        self._hooks.guard(self._judge.at_end)()
        for finding in self.findings.actionable:
            warn(f"{finding.code}: {finding.message}; fix: {finding.fix}", HealthWarning)

    def log_validation(self, loss: float, accuracy: float) -> None:
        """Say what your own loop reports of the validation rows that it has just gone through.

        Args:
            loss: Their mean loss, in nats.
            accuracy: The share of them that is right, 0 to 1.
        """
        self._hooks.guard(self._observer.end_round)()
        self._trace.report(float(loss), float(accuracy))
        self._observer.end_evaluation()


def watch(
    model: nn.Module,
    loss_fn: Callable[..., Any],
    optimizer: Any = None,
    train_loader: Any = None,
    *,
    seconds: float = 2.0,
) -> Watch:
    """Look on while your own loop trains, and name what is wrong with it.

    with watch(model, loss_fn, optimizer, loader) as w: for batch in loader: ...; print(w.findings)

    Final weights are bit for bit those of an unwatched loop.

    Args:
        model: Any nn.Module.
        loss_fn: The criterion; a module shows more than a function.
        optimizer: A torch optimizer, or several in a list.
        train_loader: Nothing is read from it. Its length tells one minibatch that is taken again
            and again from descent on all rows.
        seconds: For the experiments, which are made once and only on suspicion.

    Returns:
        A context manager whose `findings` hold at any moment what is known, the cause first; when
        it ends, a HealthWarning is given for each.

    Raises:
        TypeError: One of model, loss_fn and optimizer cannot be that.
    """
    optimizers = optimizers_in(optimizer)
    require_arguments(model, loss_fn, optimizers)
    # An object with step() alone says neither what it holds nor when it steps.
    optimizers = tuple(one for one in optimizers if hasattr(one, "param_groups"))
    return Watch(model, loss_fn, optimizers, seconds, size_of(train_loader))
