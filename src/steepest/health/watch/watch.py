"""watch(): look on while somebody's own loop trains, by hooks alone."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from steepest.errors import HealthWarning, warn
from steepest.health.check.probes import class_indices
from steepest.health.findings.finding import Finding, Findings
from steepest.health.findings.ranking import ranked
from steepest.health.findings.registry import Phase
from steepest.health.replay.replay import Setup, first_tensor
from steepest.health.replay.untouched import untouched
from steepest.health.watch.hooks import Hook
from steepest.health.watch.passes import Pass, Round
from steepest.health.watch.reading import cross_entropy_of
from steepest.health.watch.rules import functions_of
from steepest.health.watch.suspicion import lost_since, pre_flight, suspicious
from steepest.health.watch.trace import CAREFUL, EVERY, Evaluation, OptimizerTrace, TrainingTrace

_ALL_LOOKED_AT = 60
_MODES = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)


class Watch:
    """Looks on; `findings` at any moment. A context manager, or start() and stop().

    What it is shown through hooks: forward passes, what reaches the loss, gradients, steps of the
    optimizers. A loss that is a plain function cannot be hooked: its targets are then read from the
    gradient of the logits, and validation losses only if `log_validation` is given them.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[..., Any],
        optimizers: Sequence[Any],
        seconds: float,
    ) -> None:
        self._model, self._loss_fn = model, loss_fn
        self._optimizers = tuple(optimizers)
        self._seconds = seconds
        self._hooks: list[Any] = []
        self._early_hooks: list[Any] = []  # of the careful steps alone
        self._trace = TrainingTrace(self._optimizers)
        self._found: dict[str, Finding] = {}
        self._started: Setup | None = None
        self._inputs: tuple[Any, ...] = ()  # of the latest pass with gradients
        self._due = True  # whether the next passes are looked at
        self._looking: list[Any] = []  # their hooks
        self._closures = False  # passes come within a step
        self._pass: Pass | None = None
        self._round = Round()
        self._shown: Tensor | None = None  # logits without gradients
        self._trained_in_eval = 0
        self._evaluation: Evaluation | None = None
        self._modal = [(n, m) for n, m in model.named_modules() if isinstance(m, _MODES)]
        self._momenta = [getattr(m, "momentum", None) for _, m in self._modal]
        self._suspected = False
        self._broken = ""

    @property
    def findings(self) -> Findings:
        """What is known now, the cause first."""
        return ranked(self._found.values())

    def report(self) -> str:
        """The findings in words, and whether something could not be looked at."""
        unseen = f"\nnot all could be looked at: {self._broken}" if self._broken else ""
        return str(self.findings) + unseen

    def __enter__(self) -> "Watch":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> "Watch":
        """Set the hooks and keep a copy of the model as it is now, to answer what-ifs with."""
        if self._hooks:
            return self
        setup = Setup(self._model, self._loss_fn, self._optimizers)
        with untouched():
            self._started = setup.copy()
        model = self._model
        forward = self._guard(self._after_forward)
        self._hooks = [model.register_forward_hook(forward, with_kwargs=True)]
        for optimizer_trace in self._trace.optimizers:
            after = self._guard(self._after_step, optimizer_trace)
            self._hooks.append(optimizer_trace.optimizer.register_step_post_hook(after))
            for p in optimizer_trace.sentinels:
                arrived = self._guard(self._gradient_arrived, optimizer_trace)
                hook = p.register_post_accumulate_grad_hook(arrived)  # type: ignore[no-untyped-call]
                self._hooks.append(hook)
                self._early_hooks.append(hook)
        self._look()
        return self

    def _look(self) -> None:
        """Hooks of the passes and steps that are looked at."""
        if self._looking:
            return
        if isinstance(self._loss_fn, nn.Module):
            after = self._guard(self._after_loss)
            self._looking.append(self._loss_fn.register_forward_hook(after, with_kwargs=True))
        for optimizer_trace in self._trace.optimizers:
            before = self._guard(self._before_step, optimizer_trace)
            self._looking.append(optimizer_trace.optimizer.register_step_pre_hook(before))

    def _rest(self) -> None:
        """A hook that does nothing takes 1 % of a small net's step: away with them meanwhile."""
        for hook in self._looking:
            hook.remove()
        self._looking = []

    def stop(self) -> None:
        """Take the hooks away, judge the whole, and warn once of each cause."""
        if not self._hooks:
            return
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._rest()
        self._guard(self._end_round)()
        self._guard(self._end_evaluation)()
        self._guard(self._judge_end)()
        for finding in self.findings:
            if finding.severity != "info":
                text = f"{finding.code}: {finding.message}; fix: {finding.fix}"
                warn(text, HealthWarning)

    def log_validation(self, loss: float, accuracy: float) -> None:
        """Tell what your own loop reports of the validation rows that it has just gone through."""
        self._guard(self._end_round)()
        if self._evaluation is None:
            self._evaluation = self._new_evaluation()
        self._evaluation.reported = (float(loss), float(accuracy))
        self._end_evaluation()

    # Hooks. An exception in here is ours and never the loop's.

    def _guard(self, action: Callable[..., None], *first: Any) -> Hook:
        return Hook(action, first, self._fail)

    def _fail(self, error: Exception) -> None:
        self._broken = f"{type(error).__name__}: {error}"

    def _is_frozen(self, model: nn.Module) -> bool:
        """Whether dropout or batch norm is in eval mode while gradients are wanted."""
        inactive = [m for _, m in self._modal if not m.training and not _is_fixed(m)]
        return not model.training and len(inactive) == len(self._modal)

    def _after_forward(self, model: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if not torch.is_grad_enabled():
            self._look()
            self._shown = first_tensor(output)
            self._look_at_evaluation(args)
            return
        self._inputs, self._pass = args, None
        if not self._closures:
            for optimizer_trace in self._trace.optimizers:
                self._see_reset(optimizer_trace)
        if not self._due:
            if model.training or self._trained_in_eval:
                return
            self._look()  # rows that are only evaluated, as far as is known
        if self._round.used:
            self._end_round()
        elif self._round.passes and (model.training or not self._trained_in_eval):
            self._evaluate_rest()
        logits = first_tensor(output)
        if logits is not None and logits.requires_grad:
            frozen = bool(self._modal) and self._is_frozen(model)
            self._pass = Pass(args, kwargs, model.training, frozen, logits.detach())
            self._round.add(self._pass)
            begins = self._guard(self._backward_begins, self._pass)
            logits.register_hook(begins)  # type: ignore[no-untyped-call]

    def _look_at_evaluation(self, args: Any) -> None:
        if (
            not self._modal
            or not self._trace.steps
            or first_tensor(args) is first_tensor(self._inputs)
        ):
            return
        if any(m.momentum is None and was is not None for _, m, was in self._norms()):
            return  # statistics that are taken anew on purpose, as swa_utils.update_bn does
        active = [n for n, m in self._modal if m.training and not _is_harmless(m)]
        if active:
            self._trace.lax_forwards += 1
            self._trace.lax_names = active

    def _norms(self) -> Iterator[tuple[str, Any, Any]]:
        """Batch norm layers, with the momentum that they had at the start."""
        for (name, m), was in zip(self._modal, self._momenta, strict=True):
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                yield name, m, was

    def _after_loss(self, _: nn.Module, args: Any, kwargs: Any, loss: Any) -> None:
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
        elif self._shown is not None:
            self._add_to_evaluation(self._shown, target, loss)

    def _backward_begins(self, one: Pass, gradient: Tensor) -> None:
        """The gradient of the logits is there; those of the parameters are still to come."""
        trace, first = self._trace, not self._round.used
        one.gradient = gradient.detach()
        if not first or one not in self._round.passes:
            return
        trace.backwards += 1
        for optimizer_trace in trace.optimizers:
            optimizer_trace.backwards += 1
            if optimizer_trace.steps < CAREFUL or trace.steps % EVERY < 2:
                optimizer_trace.clean = optimizer_trace.clean or not any(
                    _holds(p) for p in optimizer_trace.sentinels
                )
            else:
                optimizer_trace.clean = True
            trace.clean_backwards += optimizer_trace.clean

    def _end_round(self) -> None:
        """What is known of the passes since the last step, or since the last backward pass."""
        if not self._round.passes:
            return
        used = self._round.used
        for one in used:
            self._trained_in_eval += not one.training
            if self._modal:
                self._trace.frozen_forwards = self._trace.frozen_forwards + 1 if one.frozen else 0
            self._take_in(one, alone=len(used) == 1)
        self._evaluate_rest()
        self._round = Round()

    def _evaluate_rest(self) -> None:
        for one in self._round.evaluated():
            self._add_to_evaluation(one.logits, one.target, one.loss)

    def _take_in(self, one: Pass, *, alone: bool) -> None:
        """Loss, labels and batch of a pass. alone: it was the only one of its backward pass."""
        trace, z = self._trace, one.logits
        if one.gradient is None:
            return
        trace.shared += not alone
        target, value = self._target_and_loss(one)
        if target is not None and alone and trace.backwards <= 200:
            trace.label(target)
            trace.keep(one.batch(target))
        if math.isinf(value) or (math.isnan(value) and one.loss is not None):
            self._note_nonfinite("the loss")
        if math.isfinite(value):
            trace.add_loss(value)
        trace.classes = trace.classes or (z.shape[1] if z.ndim == 2 and z.shape[1] > 1 else 2)
        if not alone:
            return
        y = class_indices(target)
        if y is not None and len(y) == len(z):
            trace.train_hits.append(float((_decided(z) == y).float().mean()))
        else:
            y = None
        if trace.backwards <= CAREFUL or trace.steps % EVERY == 0:
            self._look_closely(one, y)

    def _target_and_loss(self, one: Pass) -> tuple[Any, float]:
        """As the loss was shown; of a function, as far as the gradient tells them."""
        assert one.gradient is not None
        if isinstance(self._loss_fn, nn.Module):
            return one.target, math.nan if one.loss is None else float(one.loss.mean())
        read = cross_entropy_of(one.logits, one.gradient)
        if read is not None:
            self._trace.uphill.append(read.ascending)
            single = read.target.is_floating_point()
            return read.target.reshape(one.logits.shape) if single else read.target, read.loss
        if not bool(torch.isfinite(one.logits).all()):
            self._note_nonfinite("the output")
        return _targets_of(one.gradient), math.nan

    def _look_closely(self, one: Pass, y: Tensor | None) -> None:
        """y: the class indices of its rows, if they are known."""
        trace, x, gradient = self._trace, first_tensor(one.args), one.gradient
        assert gradient is not None
        if x is not None:
            mark = float(x.detach().double().sum())
            same = bool(trace.fingerprints) and trace.fingerprints[-1] == mark
            trace.same_batch = trace.same_batch + 1 if same else 0
            trace.fingerprints.append(mark)
        if (
            y is not None
            and one.target is not None
            and gradient.ndim == 2
            and gradient.shape[1] > 1
        ):
            of_the_label = gradient.gather(1, y.clamp(min=0)[:, None])
            trace.uphill.append(bool((of_the_label > 0).float().mean() > 0.9))

    def _gradient_arrived(self, optimizer_trace: OptimizerTrace, p: Tensor) -> None:
        assert p.grad is not None
        optimizer_trace.arrived = optimizer_trace.arrived or _holds(p)
        if p is optimizer_trace.sentinels[0]:
            optimizer_trace.norm_arrived = float(p.grad.norm())

    def _before_step(self, optimizer_trace: OptimizerTrace, *_: Any) -> None:
        self._see_reset(optimizer_trace)
        optimizer_trace.before = optimizer_trace.backwards
        self._end_round()
        self._see_clearing(optimizer_trace)
        if (
            optimizer_trace.steps < CAREFUL
            and optimizer_trace.backwards
            and optimizer_trace.arrived
        ):
            gone = not any(_holds(p) for p in optimizer_trace.sentinels)
            optimizer_trace.emptied_steps = optimizer_trace.emptied_steps + 1 if gone else 0
        if optimizer_trace.steps <= 2 * CAREFUL:
            self._see_clipping(optimizer_trace)
        lr = optimizer_trace.lr()
        # Of two steps in a row: one spike is not where a schedule begins.
        optimizer_trace.highest_lr = max(
            optimizer_trace.highest_lr,
            lr if optimizer_trace.last_lr is None else min(lr, optimizer_trace.last_lr),
        )
        optimizer_trace.last_lr = lr
        if lr < 1e-3 * optimizer_trace.highest_lr:
            optimizer_trace.collapsed_at = (
                optimizer_trace.steps
                if optimizer_trace.collapsed_at is None
                else optimizer_trace.collapsed_at
            )
        else:
            optimizer_trace.collapsed_at = None

    def _see_clearing(self, optimizer_trace: OptimizerTrace) -> None:
        if optimizer_trace.backwards and (
            optimizer_trace.steps < CAREFUL or self._trace.steps % EVERY < 2
        ):
            optimizer_trace.dirty_steps = (
                0
                if optimizer_trace.clean or not optimizer_trace.steps
                else optimizer_trace.dirty_steps + 1
            )

    def _see_clipping(self, optimizer_trace: OptimizerTrace) -> None:
        p = optimizer_trace.sentinels[0] if optimizer_trace.sentinels else None
        if (
            p is not None
            and p.grad is not None
            and optimizer_trace.backwards == 1
            and optimizer_trace.norm_arrived > 0
        ):
            optimizer_trace.clip_ratios.append(float(p.grad.norm()) / optimizer_trace.norm_arrived)

    def _see_reset(self, optimizer_trace: OptimizerTrace) -> None:
        """Weights that are not those that the last step left."""
        if optimizer_trace.after is None:
            return
        p, version, kept = optimizer_trace.after
        if p._version == version or self._trace.jump is not None:
            return
        optimizer_trace.after = None
        change = float((p.detach() - kept).norm() / kept.norm().clamp(min=1e-12))
        if change > 0.2:
            self._trace.note_jump(change)
            self._due = True
            self._look()

    def _after_step(self, optimizer_trace: OptimizerTrace, *_: Any) -> None:
        trace = self._trace
        looked_at = bool(self._looking)
        if looked_at:
            self._end_round()
            if optimizer_trace.backwards and not optimizer_trace.before:
                self._closures = True
                self._see_clearing(optimizer_trace)
            self._end_evaluation()
            optimizer_trace.clean, optimizer_trace.backwards, optimizer_trace.arrived = (
                False,
                0,
                False,
            )
            optimizer_trace.norm_arrived = math.nan
        optimizer_trace.steps += 1
        trace.steps = max(trace.steps, optimizer_trace.steps)
        optimizer_trace.keep_smallest(values=self._due)
        # All of the first steps, then two in succession of every forty: a look is not free.
        steps = trace.steps
        self._due = steps < _ALL_LOOKED_AT or steps % EVERY < 2 or trace.jump is not None
        if looked_at or self._due:
            self._judge_step()
        if self._due:
            self._look()
        elif looked_at and not self._closures:
            self._rest()

    # Evaluations.

    def _new_evaluation(self) -> Evaluation:
        losses = self._trace.since_evaluation
        mean = sum(losses) / len(losses) if losses else math.nan
        return Evaluation(self._trace.steps, train_loss=mean)

    def _add_to_evaluation(self, z: Tensor, target: Any, loss: Tensor | None) -> None:
        y = class_indices(target)
        if y is None or len(y) != len(z) or z.ndim > 2 or not self._trace.steps:
            return
        if self._evaluation is None:
            self._evaluation = self._new_evaluation()
        one, C = self._evaluation, z.shape[1] if z.ndim == 2 and z.shape[1] > 1 else 2
        known = (y >= 0) & (y < C)
        counts = torch.bincount(y[known] * C + _decided(z)[known], minlength=C * C)
        table = counts.reshape(C, C).double()
        one.confusion = table if one.confusion is None else one.confusion + table
        losses = _row_losses(z, y.clamp(0, C - 1))
        one.rows += len(y)
        one.loss_sum += float(losses.sum() if loss is None else loss.mean() * len(y))
        one.square_sum += float(losses.square().sum())

    def _end_evaluation(self) -> None:
        if self._evaluation is None:
            return
        self._trace.evaluations.append(self._evaluation)
        self._trace.since_evaluation = []
        self._evaluation = None
        self._judge(Phase.EVALUATION)

    # Judgement.

    def _note_nonfinite(self, where: str) -> None:
        if self._trace.first_nonfinite is None:
            self._trace.first_nonfinite = (self._trace.steps + 1, where)

    def _judge_step(self) -> None:
        trace = self._trace
        if trace.steps <= CAREFUL or trace.steps % EVERY == 0 or trace.first_nonfinite:
            self._judge(Phase.STEP)
        if trace.steps == 1:
            self._pre_flight(experiments=False)
        if trace.steps == 2 * CAREFUL:
            for hook in self._early_hooks:
                hook.remove()
            self._early_hooks = []
        due = trace.steps <= 50 or trace.steps % EVERY == 0 or trace.first_nonfinite
        if due and not self._suspected and suspicious(trace):
            self._suspected = True
            self._pre_flight(experiments=True)

    def _judge_end(self) -> None:
        self._judge(Phase.STEP)
        self._judge(Phase.END)
        if not self._suspected and suspicious(self._trace, at_end=True):
            self._pre_flight(experiments=True)

    def _judge(self, phase: Phase) -> None:
        for look in functions_of(phase):
            for finding in look(self._trace):
                self._add(finding)

    def _pre_flight(self, *, experiments: bool) -> None:
        if self._started is None:
            return
        seconds = self._seconds if experiments else 0.2
        for finding in pre_flight(self._started, self._trace, seconds, experiments):
            self._add(finding)
        if experiments and all(f.severity == "info" for f in self._found.values()):
            with untouched():
                now = Setup(self._model, self._loss_fn, self._optimizers).copy()
            for finding in lost_since(now, self._trace, seconds) if now else ():
                self._add(finding)

    def _add(self, finding: Finding) -> None:
        """The first of its code counts, unless a later one is more severe."""
        known = self._found.get(finding.code)
        weight = ("info", "warn", "error").index
        if known is None or weight(finding.severity) > weight(known.severity):
            self._found[finding.code] = finding


def watch(
    model: nn.Module,
    loss_fn: Callable[..., Any],
    optimizer: Any = None,
    *,
    seconds: float = 2.0,
) -> Watch:
    """Look on while your own loop trains, and name what is wrong with it.

    with watch(model, loss_fn, optimizer) as w: for batch in loader: ...; print(w.findings)

    model: any nn.Module. loss_fn: the criterion; a module shows more than a function. optimizer: a
    torch optimizer, or several in a list. seconds: for the experiments, which are made once and
    only on suspicion. `w.findings` holds at any moment what was found, the cause first; at the end
    a HealthWarning is given for each. Final weights are bit for bit those of an unwatched loop.
    """
    given = () if optimizer is None else optimizer
    optimizers = given if isinstance(given, (tuple, list)) else (given,)
    return Watch(model, loss_fn, optimizers, seconds)


def _is_fixed(module: nn.Module) -> bool:
    """Batch norm that is frozen on purpose."""
    parameters = list(module.parameters(recurse=False))
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def _is_harmless(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p == 0
    return not getattr(module, "track_running_stats", True)


def _holds(p: Tensor) -> bool:
    # The norm, for sparse gradients have no any().
    return p.grad is not None and float(p.grad.norm()) != 0


def _decided(z: Tensor) -> Tensor:
    """The likelier class of each row, (N,): of one output by the middle of its range."""
    if z.ndim == 1 or z.shape[1] == 1:
        probabilities = bool(((z >= 0) & (z <= 1)).all())
        return (z.reshape(-1) > (0.5 if probabilities else 0.0)).long()
    return z.argmax(1)


def _row_losses(z: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of each row, for the spread of the mean."""
    if z.ndim == 1 or z.shape[1] == 1:
        target = y.to(z.dtype)
        return nn.functional.binary_cross_entropy_with_logits(
            z.reshape(-1), target, reduction="none"
        )
    return nn.functional.cross_entropy(z, y, reduction="none")


def _targets_of(gradient: Tensor) -> Tensor | None:
    """Labels from the gradient of cross entropy, p - y: only the true class's part is negative."""
    if gradient.ndim != 2 or gradient.shape[1] < 2:
        return None
    negative = gradient < 0
    return gradient.argmin(1) if bool((negative.sum(1) == 1).all()) else None
