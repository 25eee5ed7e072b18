"""From hooks to the trace: which passes belong together, what they say, and when to look.

The state machine of a watch. A training is a sequence of rounds: forward passes, a backward pass
through some of them, a step. Hooks come in the order in which the loop calls torch:

    after_forward      a pass is added to the round; one without gradients belongs to an evaluation
    after_loss         the pass whose logits the loss got knows its target and its loss
    _backward_begins   the pass knows the gradient of its logits; those of the weights are to come
    gradient_arrived   a parameter's gradient is there
    before_step        the round is over, and judged; the gradients are as the step takes them
    after_step         the step is counted; it is decided whether the next one is looked at

A round is also over at the next forward pass after its backward pass (accumulated gradients, or no
step at all) and, with a closure (L-BFGS), at the end of the step. Passes of a round that no
backward pass went through, in eval mode, were evaluations with gradients switched on. Backward
passes for the sake of the inputs (attacks, penalties) leave nothing in the parameters, and are not
counted (`arrivals`).

Looks and rests: all of the first steps are looked at, then two in succession of every forty, later
of every eighty, so that what one step left can be compared with what the next one finds. In between
only the hooks that stay are called: after_forward for passes without gradients, after_step to
count.
"""

import math
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from steepest.health.check.data import class_indices
from steepest.health.replay.replay import first_tensor
from steepest.health.watch.arrivals import Arrivals, Mark
from steepest.health.watch.evaluations import decided
from steepest.health.watch.hooks import Hooks
from steepest.health.watch.judge import Judge
from steepest.health.watch.modes import ModalLayers
from steepest.health.watch.optimizer_trace import CAREFUL, OptimizerTrace
from steepest.health.watch.passes import ForwardPass, Round
from steepest.health.watch.reading import cross_entropy_of, turned_round
from steepest.health.watch.trace import TrainingTrace, number_of, since_look

_ALL_LOOKED_AT = 60  # first steps (docs/decisions/0009: eight in a hundred of a step is the most)
_KEPT_LABELS = 200  # backward passes whose labels and minibatches are kept
_RESET = 0.2  # change of the weights outside a step, as a share of their norm
_UPHILL = 0.9  # share of rows whose true class the gradient pushes down


class Observer:
    """Listens to the hooks and writes the trace. See the words at the top of this module.

    Invariants: `_round` holds the passes that the next backward pass may go through; `_pass` is the
    latest of them, None where the latest pass is not looked at; `_due` says whether the next passes
    are looked at, and if it is true the hooks of looks are set.
    """

    def __init__(
        self, model: nn.Module, loss_fn: object, trace: TrainingTrace, hooks: Hooks, judge: Judge
    ) -> None:
        self._loss_fn = loss_fn if isinstance(loss_fn, nn.Module) else None
        self._trace, self._hooks, self._judge = trace, hooks, judge
        self._modal = ModalLayers(model)
        self._arrivals = Arrivals(model)
        self._round = Round()
        self._pass: ForwardPass | None = None
        self._inputs: tuple[Any, ...] = ()  # of the latest pass with gradients
        self._evaluated: Tensor | None = None  # logits of the latest pass without
        self._due = True
        self._closures = False  # passes come within a step
        self._trained_in_eval = 0  # passes in eval mode with a backward pass

    # Hooks.

    def after_forward(self, model: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if not torch.is_grad_enabled():
            self._hooks.look()
            self._evaluated = first_tensor(output)
            self._note_layers_at_work(args)
            return
        self._inputs, self._pass = args, None
        if not self._closures:
            for optimizer in self._trace.optimizers:
                if optimizer.written_to:
                    self._note_reset(optimizer)
        if not self._due:
            if model.training or self._trained_in_eval:
                return
            self._hooks.look()  # rows that are only evaluated, as far as is known
        if self._round.used:
            self.end_round()
        elif self._round.passes and (model.training or not self._trained_in_eval):
            self._take_evaluated()
        logits = first_tensor(output)
        if logits is not None and logits.requires_grad:
            frozen = self._modal.all_rest(model)
            self._pass = ForwardPass(args, kwargs, model.training, frozen, logits.detach())
            self._round.add(self._pass)
            # By a weak reference: who keeps the graph would keep the inputs with it.
            begins = self._hooks.guard(self._backward_begins, weakref.ref(self._pass))
            logits.register_hook(begins)  # type: ignore[no-untyped-call]
            self._trace.graphs.add(begins, logits, self._trace.steps, training=model.training)

    def after_loss(self, _: nn.Module, args: Any, kwargs: Any, loss: Any) -> None:
        grads = torch.is_grad_enabled()
        if grads and self._pass is None:
            return
        given = [*args, *kwargs.values()]
        if not given or not isinstance(loss, Tensor):
            return
        target = given[1] if len(given) == 2 else None
        if grads:
            asked = self._round.of(given[0])
            if asked is not None:
                asked.judged(given[0], target, loss)
        elif self._evaluated is not None:
            self._trace.evaluate(self._evaluated, target, loss)

    def _backward_begins(self, known: weakref.ref[ForwardPass], gradient: Tensor) -> None:
        """The gradient of the logits is there; those of the parameters are still to come."""
        one = known()
        if one is None:
            return
        one.settle(self._arrivals.since)
        first = not self._round.used
        one.pending = gradient.detach(), self._arrivals.mark()
        if first and one in self._round.passes:
            self._trace.backward_begins()

    def gradient_arrived(self, optimizer: OptimizerTrace, parameter: Tensor) -> None:
        optimizer.gradient_arrived(parameter)

    def before_step(self, optimizer: OptimizerTrace, *_: Any) -> None:
        self._note_reset(optimizer)
        optimizer.before = optimizer.backwards
        self.end_round(by_step=True)
        optimizer.step_begins(closely=self._trace.looks_closely(optimizer))

    def after_step(self, optimizer: OptimizerTrace, *_: Any) -> None:
        trace = self._trace
        looked_at = self._hooks.looking
        if looked_at:
            self.end_round()
            if optimizer.backwards and not optimizer.before:
                self._closures = True
                optimizer.note_clearing(closely=trace.looks_closely(optimizer))
            self.end_evaluation()
            optimizer.forget_step()
            trace.end_labels()
        optimizer.step_ended(values=self._due)
        steps = trace.steps = max(trace.steps, optimizer.steps)
        # All of the first steps, then two in succession now and then: a look is not free.
        self._due = since_look(steps) < 2 or steps < _ALL_LOOKED_AT or trace.jump is not None
        if not (looked_at or self._due):
            return
        self._judge.after_step()
        if steps == 2 * CAREFUL:
            self._hooks.end_early()
        if self._due:
            self._hooks.look()
        elif not self._closures:
            self._hooks.rest()

    # What they say.

    def end_round(self, *, by_step: bool = False) -> None:
        """What is known of the passes since the last step, or since the last backward pass.

        A backward pass of which the parameters keep nothing until the next forward pass was none of
        training. Before a step it counts: that nothing is left then is what the rules look for.
        """
        if not self._round.passes:
            return
        trace = self._trace
        always = by_step or not trace.optimizers
        for one in self._round.used:
            # What a late one left is cleared before the next pass.
            one.settle(_always if always or one.late else self._arrivals.since)
        used = [one for one in self._round.used if one.gradient is not None]
        for one in used:
            self._trained_in_eval += not one.training
            if self._modal:
                trace.frozen_forwards = trace.frozen_forwards + 1 if one.frozen else 0
            self._take_in(one, alone=len(used) == 1)
        self._take_evaluated()
        self._round = self._round.rest(by_step=by_step)
        trace.early_steps += by_step and bool(self._round.passes)

    def end_evaluation(self) -> None:
        """Judge the rows that were evaluated, if any were."""
        if self._trace.end_evaluation():
            self._judge.after_evaluation()

    def _take_evaluated(self) -> None:
        for one in self._round.evaluated():
            self._trace.evaluate(one.logits, one.target, one.loss)

    def _note_layers_at_work(self, args: Any) -> None:
        """Of a pass without gradients over other rows than those of the training step."""
        trace = self._trace
        if not self._modal or not trace.steps or first_tensor(args) is first_tensor(self._inputs):
            return
        x = first_tensor(args)
        if x is not None and (names := self._modal.at_work()):
            trace.lax.add(trace.steps, x, names)

    def _note_reset(self, optimizer: OptimizerTrace) -> None:
        """Weights that are not those that the last step left."""
        if self._trace.jump is not None:
            return
        change = optimizer.changed_outside()
        if change > _RESET:
            self._trace.note_jump(change)
            self._due = True
            self._hooks.look()

    def _take_in(self, one: ForwardPass, *, alone: bool) -> None:
        """Loss, labels and batch of a pass. alone: it was the only one of its backward pass."""
        trace, z = self._trace, one.logits
        if one.gradient is None:
            return
        trace.shared += not alone
        target, value = self._target_and_loss(one)
        y = class_indices(target)
        if target is not None and alone and trace.backwards <= _KEPT_LABELS:
            trace.label(y)
            trace.keep(one.batch(target))
        if math.isinf(value) or (math.isnan(value) and one.loss is not None):
            trace.note_nonfinite("the loss")
        if math.isfinite(value):
            trace.add_loss(value)
        trace.classes = trace.classes or (z.shape[1] if z.ndim == 2 and z.shape[1] > 1 else 2)
        if not alone:
            return
        if y is not None and len(y) == len(z):
            trace.train_hits.append(int((decided(z) == y).sum()) / max(len(z), 1))
        else:
            y = None
        if trace.backwards <= CAREFUL or not since_look(trace.steps):
            self._look_closely(one, y)

    def _target_and_loss(self, one: ForwardPass) -> tuple[Any, float]:
        """As the loss was shown; of a function, as far as the gradient tells them."""
        assert one.gradient is not None
        if self._loss_fn is not None:
            loss = one.loss
            if loss is None:
                return one.target, math.nan
            return one.target, float(loss if loss.ndim == 0 else loss.mean())
        read = cross_entropy_of(one.logits, one.gradient)
        if read is not None:
            self._trace.uphill.append(read.ascending)
            single = read.target.is_floating_point()
            return read.target.reshape(one.logits.shape) if single else read.target, read.loss
        if not bool(torch.isfinite(one.logits).all()):
            self._trace.note_nonfinite("the output")
        return _targets_of(one.gradient), math.nan

    def _look_closely(self, one: ForwardPass, y: Tensor | None) -> None:
        """y: the class indices of its rows, if they are known."""
        trace, x, gradient = self._trace, first_tensor(one.args), one.gradient
        assert gradient is not None
        if x is not None:
            trace.note_inputs(number_of(x), len(x) if x.ndim else 1)
        if (
            self._loss_fn is None
            or y is None
            or one.target is None
            or gradient.ndim != 2
            or gradient.shape[1] < 2
        ):
            return
        of_the_label = gradient.gather(1, y.clamp(min=0)[:, None])
        pushed = int(of_the_label.count_nonzero())  # rows that the net is sure of are not
        up = pushed > 0 and int((of_the_label > 0).sum()) > _UPHILL * pushed
        trace.uphill.append(up and turned_round(self._loss_fn, one.logits, one.target, gradient))


def _always(_: Mark) -> bool:
    return True


def _targets_of(gradient: Tensor) -> Tensor | None:
    """Labels from the gradient of cross entropy, p - y: only the true class's part is negative."""
    if gradient.ndim != 2 or gradient.shape[1] < 2:
        return None
    negative = gradient < 0
    return gradient.argmin(1) if bool((negative.sum(1) == 1).all()) else None
