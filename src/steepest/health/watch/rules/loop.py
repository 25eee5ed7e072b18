"""Facts of the loop, after a step: what is cleared, kept, in which mode, and what the steps do."""

import math
import statistics
from collections import Counter
from collections.abc import Iterator

import torch

from steepest.health.check.data import runs_test
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import (
    AFTER_STEPS,
    DESCENT,
    Phase,
    looks_for,
    make_finding,
    rule,
)
from steepest.health.watch.trace import EVERY, TrainingTrace

_IN_A_ROW = 2  # steps that show a fault of the order of calls
_FEWEST_BACKWARDS = 5  # without a step, of an optimizer whose gradients were cleared each time
_UPHILL, _FEWEST_UPHILL = 0.9, 5  # share of the steps that were looked at, and their number
_SAME = 6  # looks in a row with the same inputs
_SORTED, _FEW_CLASSES = -6.0, 0.7  # as before training (check/rules/facts.py)
_CLIPPED, _STUCK = 0.01, 0.8  # share of the gradient that is left; of the first loss


@rule(
    "NO_ZERO_GRAD",
    "gradients of earlier steps are kept",
    Phase.STEP,
    rank="program",
    place=60,
    severity="error",
    explains=AFTER_STEPS,
)
def no_zero_grad(trace: TrainingTrace) -> Iterator[Finding]:
    """Each backward pass since the last step began with the gradients of that step."""
    for optimizer_trace in trace.optimizers:
        if optimizer_trace.dirty_steps >= _IN_A_ROW:
            yield make_finding(
                "NO_ZERO_GRAD",
                "gradients of earlier steps are never cleared: each step moves along their sum",
                "optimizer.zero_grad()  # before loss.backward()",
                (
                    Evidence(
                        "the gradients of the last step at the start of the next backward pass",
                        "none, or zero",
                        f"{optimizer_trace.dirty_steps} steps in a row, {optimizer_trace.name}",
                    ),
                ),
                ruled_out=("gradient accumulation: a step was taken in between each time",),
                confidence="fact",
                step=trace.steps,
            )


@rule(
    "NO_STEP",
    "no step is taken",
    Phase.END,
    rank="program",
    place=70,
    severity="error",
    explains=AFTER_STEPS,
)
def no_step(trace: TrainingTrace) -> Iterator[Finding]:
    """Gradients are made and cleared again and again, and no step is taken.

    An optimizer may move the weights in methods of its own, which no hook hears of.
    """
    if not trace.optimizers or trace.steps or trace.weights_moved():
        return
    if trace.backwards >= _FEWEST_BACKWARDS:
        repeated = trace.clean_backwards >= 4 * len(trace.optimizers) or trace.backwards >= 64
        if repeated:
            yield make_finding(
                "NO_STEP",
                f"{trace.backwards} backward passes and not one optimizer.step()",
                "optimizer.step()  # after loss.backward()",
                (Evidence("0 steps", "1", f"{trace.backwards} backward passes"),),
                ruled_out=("gradient accumulation: the gradients were cleared in between",),
                confidence="fact",
            )


@rule(
    "ZERO_AFTER_BACKWARD",
    "gradients are cleared before the step",
    Phase.STEP,
    rank="program",
    place=80,
    severity="error",
    explains=AFTER_STEPS,
)
def zero_after_backward(trace: TrainingTrace) -> Iterator[Finding]:
    """Gradients came, and at the step there are none."""
    for optimizer_trace in trace.optimizers:
        if optimizer_trace.emptied_steps >= _IN_A_ROW:
            yield make_finding(
                "ZERO_AFTER_BACKWARD",
                "step() comes before backward(), and the gradients of the minibatch before are "
                "cleared by then: no step moves anything"
                if trace.early_steps >= _IN_A_ROW
                else "the gradients are cleared between backward() and step(): no step moves "
                "anything",
                "optimizer.zero_grad(); loss.backward(); optimizer.step()  # in this order",
                (Evidence("no gradient at the step", "those of backward()", optimizer_trace.name),),
                ruled_out=("a net without gradients: backward() made some",),
                confidence="fact",
                step=trace.steps,
            )


@rule(
    "STATE_RESET",
    "weights change outside a step",
    Phase.STEP,
    rank="program",
    place=100,
    severity="warn",
    explains=DESCENT,
)
def state_reset(trace: TrainingTrace) -> Iterator[Finding]:
    """Weights jump between two steps, and the loss goes back towards its start."""
    if trace.reset is not None:
        jump = trace.reset
        yield make_finding(
            "STATE_RESET",
            "weights change a lot between two steps: model or weights are set anew in the loop",
            "make or load the model once, before the loop",
            (
                Evidence(f"|dW|/|W| = {jump.change:.2g} outside a step", "0", f"step {jump.step}"),
                Evidence(f"loss {jump.after:.3g} after it", f"{jump.before:.3g}, as before"),
            ),
            ruled_out=(
                "weights averaged or put back on purpose: the loss would not rise to its start",
            ),
            confidence="fact",
            step=trace.steps,
        )


@rule(
    "TRAIN_IN_EVAL_MODE",
    "trained in eval mode",
    Phase.STEP,
    rank="program",
    place=110,
    severity="warn",
    explains={"OVERFIT"},
)
def train_in_eval_mode(trace: TrainingTrace) -> Iterator[Finding]:
    """Dropout and batch norm rest while gradients are taken."""
    if trace.frozen_forwards >= 3 and trace.backwards >= 3:
        yield make_finding(
            "TRAIN_IN_EVAL_MODE",
            "the model trains in eval mode: dropout and batch normalisation do nothing",
            "model.train()  # at the start of each epoch, after model.eval()",
            (Evidence("model.training is False", "True", "training forward passes"),),
            ruled_out=("frozen on purpose: their own parameters want gradients",),
            confidence="fact",
            step=trace.steps,
        )


@rule(
    "EVAL_IN_TRAIN_MODE",
    "validated in train mode",
    Phase.STEP,
    Phase.EVALUATION,
    rank="generalisation",
    place=5,
    severity="warn",
    explains={"METRIC_WRONG", "OVERFIT"},
)
def eval_in_train_mode(trace: TrainingTrace) -> Iterator[Finding]:
    """Dropout and batch norm are at work while rows are evaluated."""
    passes = trace.lax.evaluating(math.inf if trace.ended else trace.steps)
    if passes >= 2:
        yield make_finding(
            "EVAL_IN_TRAIN_MODE",
            "rows are evaluated in train mode: dropout and batch normalisation act on the result",
            "model.eval()  # before evaluating, and model.train() after it",
            (
                Evidence(
                    f"{', '.join(trace.lax.names[:3])} in train mode",
                    "eval mode",
                    f"{passes} forward passes without gradients",
                ),
            ),
            ruled_out=(
                "rows of the training step: they are others",
                "labels that the net gives in each step: these passes come apart from the steps",
            ),
            confidence="fact",
            step=trace.steps,
        )


@looks_for("ASCENT", Phase.STEP)
def ascent(trace: TrainingTrace) -> Iterator[Finding]:
    """The gradient that arrives raises the true class's loss.

    In nearly all of the first looks; in each of them where the numbers break before there are five.
    """
    looks, up = len(trace.uphill), sum(trace.uphill)
    broken = trace.first_nonfinite is not None and 0 < up == looks
    if broken or (looks >= _FEWEST_UPHILL and up >= _UPHILL * looks):
        yield make_finding(
            "ASCENT",
            "the loss is made larger: its sign is turned before backward()",
            "loss.backward()  # not (-loss).backward()",
            (
                Evidence(
                    f"dL/dz of the true class positive in {up} of {looks} steps",
                    "negative",
                ),
            ),
            ruled_out=("a high learning rate: the sign of the gradient does not depend on it",),
            confidence="fact",
            step=trace.steps,
        )


@rule(
    "SAME_BATCH",
    "the same batch every step",
    Phase.STEP,
    rank="program",
    place=90,
    severity="warn",
    explains={"OVERFIT"},
)
def same_batch(trace: TrainingTrace) -> Iterator[Finding]:
    """One and the same minibatch in each step: a warning if the loader has more rows than that.

    Without a loader it is a note: full-batch descent takes the same rows each time, and rightly.
    """
    if trace.same_batch < _SAME or trace.steps < _SAME:
        return
    more = trace.data.exceeds(trace.batch_rows) if trace.data else None
    if more is False:
        return
    # A loop may take some steps on each batch on purpose, and then go on to the next.
    always = len(set(trace.fingerprints)) == 1 and (trace.steps >= EVERY or trace.ended)
    evidence = [Evidence(f"the same inputs in {trace.same_batch + 1} looks", "others")]
    if more and trace.data:
        rows, batches = trace.data
        of_the_loader = f"{batches} minibatches" if rows is None else f"{rows} rows"
        evidence.append(Evidence(f"{trace.batch_rows} rows a step", f"{of_the_loader} in turn"))
    yield make_finding(
        "SAME_BATCH",
        f"each step takes the same {trace.batch_rows} rows, and the loader has more"
        if more
        else "each step takes the same rows: all of them, or the first batch again and again?",
        "for x, y in loader: ...  # not next(iter(loader)) inside the loop",
        tuple(evidence),
        ruled_out=("descent on all rows: the loader has more than these",) if more else (),
        confidence="fact",
        step=trace.steps,
        severity="warn" if more and always else "info",
    )


@looks_for("UNSHUFFLED_SORTED", Phase.STEP)
def unshuffled(trace: TrainingTrace) -> Iterator[Finding]:
    """Labels come in long runs: batches hold few classes."""
    if len(trace.labels) < 10 or trace.steps > 400 or (trace.steps > 40 and trace.steps % 100):
        return
    y = torch.cat(trace.labels)
    sizes = y[y >= 0].bincount().double()
    share = sizes[sizes > 0] / sizes.sum()
    if len(share) < 2 or len(y) < 100:
        return
    rows = torch.tensor([len(part) for part in trace.labels])
    batch = torch.arange(len(rows)).repeat_interleave(rows).to(y.device)
    pairs = batch * len(sizes) + y  # of minibatch and class, each once
    classes = len(torch.unique(pairs[y >= 0])) / len(rows)
    expected = sum(
        n * float((1 - (1 - share) ** k).sum()) for k, n in Counter(rows.tolist()).items()
    )
    expected /= len(rows)
    if classes < _FEW_CLASSES * expected and runs_test(y, share) < _SORTED:
        yield make_finding(
            "UNSHUFFLED_SORTED",
            "the rows come sorted by class: most minibatches hold few classes",
            "DataLoader(..., shuffle=True)",
            (Evidence(f"{classes:.1f} classes a minibatch", f"{expected:.1f} if shuffled"),),
            ruled_out=("shuffle=False on mixed rows: the labels come in runs here",),
            confidence="fact",
            step=trace.steps,
            severity="error" if classes <= 1.5 else "warn",
        )


@rule(
    "PREMATURE_NAN",
    "the loss is not finite",
    Phase.STEP,
    rank="dynamics",
    place=10,
    severity="error",
)
def premature_nan(trace: TrainingTrace) -> Iterator[Finding]:
    """The loss is not finite: a consequence, and an error where no cause was found."""
    if trace.first_nonfinite is not None:
        step, where = trace.first_nonfinite
        yield make_finding(
            "PREMATURE_NAN",
            f"{where} is not finite from step {step} on",
            "torch.autograd.set_detect_anomaly(True), which shows where it begins",
            (Evidence("NaN or infinity", "a number", f"step {step}"),),
            confidence="fact",
            step=step,
        )


@rule(
    "CLIP_TOO_TIGHT",
    "gradients are clipped to almost nothing",
    Phase.STEP,
    rank="optimizer",
    place=50,
    severity="warn",
    explains={"LR_TOO_LOW"},
)
def clip_too_tight(trace: TrainingTrace) -> Iterator[Finding]:
    """Plain SGD with gradients clipped to less than a hundredth, and no progress."""
    for optimizer_trace in trace.optimizers:
        ratios = optimizer_trace.clip_ratios
        if (
            len(ratios) < 10
            or not isinstance(optimizer_trace.optimizer, torch.optim.SGD)
            or trace.steps < 100
        ):
            continue
        ratio = statistics.median(ratios)
        stuck = trace.losses and trace.loss_now > _STUCK * trace.losses[0]
        if ratio < _CLIPPED and stuck:
            yield make_finding(
                "CLIP_TOO_TIGHT",
                f"clipping leaves {ratio:.2g} of each gradient, and the loss hardly moves",
                "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
                (
                    Evidence(f"{ratio:.2g} of the gradient at the step", "0.1 or more"),
                    Evidence(f"loss {trace.loss_now:.3g}", f"well below {trace.losses[0]:.3g}"),
                ),
                ruled_out=("Adam, whose steps do not depend on the gradient's size: this is SGD",),
                confidence="suspected",
                step=trace.steps,
            )


@rule(
    "SCHEDULE_COLLAPSE",
    "the schedule falls too soon",
    Phase.STEP,
    rank="optimizer",
    place=60,
    severity="warn",
    explains={"LR_TOO_LOW", "STOPPED_TOO_EARLY"},
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
def schedule_collapse(trace: TrainingTrace) -> Iterator[Finding]:
    """The rate fell to a thousandth in the first fifth of the steps, and the loss is still high."""
    for optimizer_trace in trace.optimizers:
        at = optimizer_trace.collapsed_at
        if at is None or optimizer_trace.steps < max(5 * at, at + 50):
            continue
        if math.isfinite(trace.prior_loss) and trace.loss_now > 0.5 * trace.prior_loss:
            yield make_finding(
                "SCHEDULE_COLLAPSE",
                f"the learning rate has fallen to {optimizer_trace.lr():.2g} after {at} steps",
                "scheduler.step() once an epoch, or a schedule as long as the training",
                (
                    Evidence(
                        f"lr {optimizer_trace.lr():.2g} at step {at}",
                        f"{optimizer_trace.highest_lr:.2g}",
                    ),
                    Evidence(f"loss {trace.loss_now:.3g}", f"below {0.5 * trace.prior_loss:.3g}"),
                ),
                ruled_out=("the end of a schedule: it fell in the first fifth of the steps",),
                confidence="fact",
                step=trace.steps,
            )
