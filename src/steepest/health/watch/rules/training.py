"""The rules that look while a training runs: facts of the loop at once, symptoms with evidence."""

import math
import statistics
from collections.abc import Callable, Iterator

import torch

from steepest.health.findings.finding import Evidence, Finding
from steepest.health.watch.rules.unfinished import RESTING, finding, still_falling
from steepest.health.watch.seen import Evaluation, Held, Seen

Rule = Callable[[Seen], Iterator[Finding]]

_FEWEST_ROWS = 100  # of a validation part that is judged


def no_zero_grad(seen: Seen) -> Iterator[Finding]:
    """Each backward pass since the last step began with the gradients of that step."""
    for held in seen.held:
        if held.dirty_steps >= 2:
            yield Finding(
                "NO_ZERO_GRAD",
                "error",
                "gradients of earlier steps are never cleared: each step moves along their sum",
                "optimizer.zero_grad()  # before loss.backward()",
                (
                    Evidence(
                        "the gradients of the last step at the start of the next backward pass",
                        "none, or zero",
                        f"{held.dirty_steps} steps in a row, {_name(held)}",
                    ),
                ),
                ("gradient accumulation: a step was taken in between each time",),
                "fact",
                seen.steps,
            )


def no_step(seen: Seen) -> Iterator[Finding]:
    """Gradients are made and cleared again and again, and no step is taken."""
    if seen.held and seen.steps == 0 and seen.backwards >= 5:
        several = seen.clean_backwards >= 4 * len(seen.held) or seen.backwards >= 64
        if several:
            yield Finding(
                "NO_STEP",
                "error",
                f"{seen.backwards} backward passes and not one optimizer.step()",
                "optimizer.step()  # after loss.backward()",
                (Evidence("0 steps", "1", f"{seen.backwards} backward passes"),),
                ("gradient accumulation: the gradients were cleared in between",),
                "fact",
            )


def zero_after_backward(seen: Seen) -> Iterator[Finding]:
    """Gradients came, and at the step there are none."""
    for held in seen.held:
        if held.emptied_steps >= 2:
            yield Finding(
                "ZERO_AFTER_BACKWARD",
                "error",
                "the gradients are cleared between backward() and step(): no step moves anything",
                "optimizer.zero_grad(); loss.backward(); optimizer.step()  # in this order",
                (Evidence("no gradient at the step", "those of backward()", _name(held)),),
                ("a net without gradients: backward() made some",),
                "fact",
                seen.steps,
            )


def state_reset(seen: Seen) -> Iterator[Finding]:
    """Weights jump between two steps, and the loss goes back towards its start."""
    if seen.reset is not None:
        jump = seen.reset
        yield Finding(
            "STATE_RESET",
            "warn",
            "weights change a lot between two steps: model or weights are set anew in the loop",
            "make or load the model once, before the loop",
            (
                Evidence(f"|dW|/|W| = {jump.change:.2g} outside a step", "0", f"step {jump.step}"),
                Evidence(f"loss {jump.after:.3g} after it", f"{jump.before:.3g}, as before"),
            ),
            ("weights averaged or put back on purpose: the loss would not rise to its start",),
            "fact",
            seen.steps,
        )


def train_in_eval_mode(seen: Seen) -> Iterator[Finding]:
    """Dropout and batch norm rest while gradients are taken."""
    if seen.frozen_forwards >= 3 and seen.backwards >= 3:
        yield Finding(
            "TRAIN_IN_EVAL_MODE",
            "warn",
            "the model trains in eval mode: dropout and batch normalisation do nothing",
            "model.train()  # at the start of each epoch, after model.eval()",
            (Evidence("model.training is False", "True", "training forward passes"),),
            ("frozen on purpose: their own parameters want gradients",),
            "fact",
            seen.steps,
        )


def eval_in_train_mode(seen: Seen) -> Iterator[Finding]:
    """Dropout and batch norm are at work while rows are evaluated."""
    if seen.lax_forwards >= 2:
        yield Finding(
            "EVAL_IN_TRAIN_MODE",
            "warn",
            "rows are evaluated in train mode: dropout and batch normalisation act on the result",
            "model.eval()  # before evaluating, and model.train() after it",
            (
                Evidence(
                    f"{', '.join(seen.lax_names[:3])} in train mode",
                    "eval mode",
                    f"{seen.lax_forwards} forward passes without gradients",
                ),
            ),
            ("the rows of the training step: they are others",),
            "fact",
            seen.steps,
        )


def ascent(seen: Seen) -> Iterator[Finding]:
    """The gradient that arrives raises the true class's loss."""
    if len(seen.uphill) >= 5 and sum(seen.uphill) >= 0.9 * len(seen.uphill):
        yield Finding(
            "ASCENT",
            "error",
            "the loss is made larger: its sign is turned before backward()",
            "loss.backward()  # not (-loss).backward()",
            (
                Evidence(
                    f"dL/dz of the true class positive in {sum(seen.uphill)} of "
                    f"{len(seen.uphill)} steps",
                    "negative",
                ),
            ),
            ("a high learning rate: the sign of the gradient does not depend on it",),
            "fact",
            seen.steps,
        )


def same_batch(seen: Seen) -> Iterator[Finding]:
    """One and the same minibatch in each step. Right for full-batch descent, so only a note."""
    if seen.same_batch >= 6 and seen.steps >= 6:
        yield Finding(
            "SAME_BATCH",
            "info",
            "each step takes the same rows: all of them, or the first batch again and again?",
            "for x, y in loader: ...  # not next(iter(loader)) inside the loop",
            (Evidence(f"the same inputs in {seen.same_batch + 1} looks", "others"),),
            confidence="fact",
            step=seen.steps,
        )


def unshuffled(seen: Seen) -> Iterator[Finding]:
    """Labels come in long runs: batches hold few classes."""
    if len(seen.labels) < 10 or seen.steps > 400 or (seen.steps > 40 and seen.steps % 100):
        return
    y = torch.cat(seen.labels)
    sizes = y[y >= 0].bincount().double()
    share = sizes[sizes > 0] / sizes.sum()
    if len(share) < 2 or len(y) < 100:
        return
    rows = [len(part) for part in seen.labels]
    found = statistics.mean(len(part.bincount().nonzero()) for part in seen.labels)
    expected = statistics.mean(float((1 - (1 - share) ** n).sum()) for n in rows)
    if found < 0.7 * expected and _runs(y) < -6:
        yield Finding(
            "UNSHUFFLED_SORTED",
            "error" if found <= 1.5 else "warn",
            "the rows come sorted by class: most minibatches hold few classes",
            "DataLoader(..., shuffle=True)",
            (Evidence(f"{found:.1f} classes a minibatch", f"{expected:.1f} if shuffled"),),
            ("shuffle=False on mixed rows: the labels come in runs here",),
            "fact",
            seen.steps,
        )


def _runs(y: torch.Tensor) -> float:
    """Z of the number of runs of equal labels, against a random order."""
    n = len(y)
    share = y.bincount().double() / n
    same = float((share**2).sum())
    runs = 1 + int((y[1:] != y[:-1]).sum())
    expected = 1 + (n - 1) * (1 - same)
    spread = math.sqrt(max((n - 1) * same * (1 - same), 1e-9))
    return (runs - expected) / spread


def premature_nan(seen: Seen) -> Iterator[Finding]:
    """The loss is not finite: a consequence, and an error where no cause was found."""
    if seen.first_nonfinite is not None:
        step, where = seen.first_nonfinite
        yield Finding(
            "PREMATURE_NAN",
            "error",
            f"{where} is not finite from step {step} on",
            "torch.autograd.set_detect_anomaly(True), which shows where it begins",
            (Evidence("NaN or infinity", "a number", f"step {step}"),),
            confidence="fact",
            step=step,
        )


def clip_too_tight(seen: Seen) -> Iterator[Finding]:
    """Plain SGD with gradients clipped to less than a hundredth, and no progress."""
    for held in seen.held:
        ratios = held.clip_ratios
        if len(ratios) < 10 or not isinstance(held.optimizer, torch.optim.SGD) or seen.steps < 100:
            continue
        ratio = statistics.median(ratios)
        stuck = seen.losses and seen.loss_now > 0.8 * seen.losses[0]
        if ratio < 0.01 and stuck:
            yield Finding(
                "CLIP_TOO_TIGHT",
                "warn",
                f"clipping leaves {ratio:.2g} of each gradient, and the loss hardly moves",
                "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
                (
                    Evidence(f"{ratio:.2g} of the gradient at the step", "0.1 or more"),
                    Evidence(f"loss {seen.loss_now:.3g}", f"well below {seen.losses[0]:.3g}"),
                ),
                ("Adam, whose steps do not depend on the gradient's size: this is SGD",),
                "suspected",
                seen.steps,
            )


def schedule_collapse(seen: Seen) -> Iterator[Finding]:
    """The rate fell to a thousandth in the first fifth of the steps, and the loss is still high."""
    for held in seen.held:
        at = held.collapsed_at
        if at is None or held.steps < max(5 * at, at + 50):
            continue
        if math.isfinite(seen.prior_loss) and seen.loss_now > 0.5 * seen.prior_loss:
            yield Finding(
                "SCHEDULE_COLLAPSE",
                "warn",
                f"the learning rate has fallen to {held.lr():.2g} after {at} steps",
                "scheduler.step() once an epoch, or a schedule as long as the training",
                (
                    Evidence(f"lr {held.lr():.2g} at step {at}", f"{held.highest_lr:.2g}"),
                    Evidence(f"loss {seen.loss_now:.3g}", f"below {0.5 * seen.prior_loss:.3g}"),
                ),
                ("the end of a schedule: it fell in the first fifth of the steps",),
                "fact",
                seen.steps,
            )


# After an evaluation.


def overfit(seen: Seen) -> Iterator[Finding]:
    """Validation loss well above its best while the training loss falls, for three evaluations."""
    known = [e for e in seen.evaluations if math.isfinite(e.loss)]
    if len(known) < 4:
        return
    best = min(range(len(known)), key=lambda i: known[i].loss)
    now, least = known[-1], known[best]
    large = now.rows == 0 or now.rows >= _FEWEST_ROWS
    if len(known) - 1 - best < 3 or not large:
        return
    margin = max(0.1 * least.loss + 0.02, 2 * (now.loss_error + least.loss_error))
    fell = now.train_loss <= 0.9 * least.train_loss
    if not all(e.loss > least.loss + margin for e in known[-3:]) or not fell:
        return
    better = max(e.accuracy for e in known[-3:]) > max(e.accuracy for e in known[: best + 1]) + 5e-3
    strong = now.loss >= 1.5 * least.loss or now.accuracy < max(e.accuracy for e in known) - 0.02
    yield Finding(
        "OVERFIT",
        "info" if better or not strong else "warn",
        f"the net learns its training rows by heart since step {least.step}"
        if not better
        else "the net grows over-confident: validation loss rises, accuracy too",
        f"stop at step {least.step}; or weight_decay=1e-2, nn.Dropout(0.3), more rows",
        (
            Evidence(f"validation loss {now.loss:.3g}", f"{least.loss:.3g}, its best"),
            Evidence(f"training loss {now.train_loss:.3g}", f"{least.train_loss:.3g} then"),
            Evidence(f"validation accuracy {now.accuracy:.1%}", f"{least.accuracy:.1%} then"),
        ),
        ("noise of a small validation part: more than two standard errors",),
        "confirmed",
        seen.steps,
    )


def metric_wrong(seen: Seen) -> Iterator[Finding]:
    """The accuracy that the loop reports is not that of the outputs it saw."""
    one = seen.evaluations[-1]
    if one.reported is None or one.confusion is None or one.rows < 20:
        return
    told, own = one.reported[1], one.accuracy
    balanced = float(one.recalls.mean())
    if not 0 <= told <= 1 or min(abs(told - own), abs(told - balanced)) <= 0.01:
        return
    yield Finding(
        "METRIC_WRONG",
        "warn",
        f"the loop reports an accuracy of {told:.1%}, and its outputs give {own:.1%}",
        "predicted = logits.argmax(dim=1)  # (logits > 0) for one output",
        (Evidence(f"{told:.1%} reported", f"{own:.1%}, or {balanced:.1%} balanced"),),
        confidence="fact",
        step=seen.steps,
    )


def val_labels_mismatch(seen: Seen) -> Iterator[Finding]:
    """Validation classes are told apart, under other numbers."""
    one = seen.evaluations[-1]
    if not _judged(one) or len(seen.train_hits) < 5:
        return
    assert one.confusion is not None
    from scipy.optimize import linear_sum_assignment

    table = one.confusion.numpy()
    rows, columns = linear_sum_assignment(-table)
    best = float(table[rows, columns].sum() / table.sum())
    train = statistics.mean(list(seen.train_hits)[-5:])
    if best - one.accuracy < 0.3 or train < 0.7 or best < 0.6:
        return
    mapping = ", ".join(f"{t} is {p}" for t, p in zip(rows, columns, strict=True) if t != p)
    yield Finding(
        "VAL_LABELS_MISMATCH",
        "error",
        "the validation labels are numbered otherwise than the training labels",
        f"one mapping for both parts; of the validation labels {mapping[:80]} in training",
        (
            Evidence(f"accuracy {one.accuracy:.1%}", f"{best:.1%} under the best renumbering"),
            Evidence(f"training accuracy {train:.1%}", "about that of validation"),
        ),
        ("overfitting: it would not be cured by a renumbering",),
        "confirmed",
        seen.steps,
    )


def labels_shuffled(seen: Seen) -> Iterator[Finding]:
    """Training rows are learned, and validation stays at the majority class."""
    known = [e for e in seen.evaluations if _judged(e)]
    if len(known) < 3 or len(seen.train_hits) < 5:
        return
    one = known[-1]
    assert one.confusion is not None
    majority = float(one.confusion.sum(1).max() / one.confusion.sum())
    error = math.sqrt(majority * (1 - majority) / one.rows)
    train = statistics.mean(list(seen.train_hits)[-20:])
    share = one.confusion.sum(1) / one.confusion.sum()
    agreement = float((share**2).sum())  # of labels drawn without looking
    mean = statistics.mean(e.accuracy for e in known)
    at_chance = agreement - 4 * error <= mean <= majority + 2 * error
    gap = 0.2 if len(known) < 6 else 0.12
    learned = seen.loss_now < 0.97 * seen.prior_loss
    if train - mean <= gap or not at_chance or not learned:
        return
    yield Finding(
        "LABELS_SHUFFLED",
        "error",
        "the labels do not belong to their rows: what is learned holds for no other row",
        "order = torch.randperm(len(X)); X, y = X[order], y[order]  # one order for both",
        (
            Evidence(f"validation accuracy {one.accuracy:.1%}", f"above {majority:.1%}, the most"),
            Evidence(f"training accuracy {train:.1%}", "about that of validation"),
        ),
        confidence="confirmed",
        step=seen.steps,
    )  # fmt: skip


def imbalance_collapse(seen: Seen) -> Iterator[Finding]:
    """Nearly everything is called the largest class, and the rare ones are never found."""
    known = [e for e in seen.evaluations if _judged(e)]
    if len(known) < 2 or seen.steps < 50:
        return
    one = known[-1]
    assert one.confusion is not None
    sizes = one.confusion.sum(1)
    sizes = sizes[sizes > 0]
    called = one.confusion.sum(0)
    ratio = float(sizes.max() / sizes.min())
    share = float(called[one.confusion.sum(1).argmax()] / called.sum())
    rarest = float(one.recalls[sizes.argmin()])
    if ratio < 5 or share <= 0.98 or rarest >= 0.1:
        return
    yield Finding(
        "CLASS_IMBALANCE_COLLAPSE",
        "warn",
        f"{share:.0%} of the rows are called the largest class; the rarest is hardly ever found",
        "nn.CrossEntropyLoss(weight=counts.sum() / counts)  # or a WeightedRandomSampler",
        (
            Evidence(f"recall {rarest:.0%} of the rarest class", "well above 10 %"),
            Evidence(f"classes of {int(sizes.max())} and {int(sizes.min())} rows", "below 5 to 1"),
        ),
        ("a collapse of balanced classes: these are not balanced",),
        "confirmed",
        seen.steps,
    )  # fmt: skip


def stopped_too_early(seen: Seen) -> Iterator[Finding]:
    """The validation loss was still falling. A note: who looks on may have seen a part only."""
    known = [e for e in seen.evaluations if e.rows and e.step]
    rests = any(h.lr() <= RESTING * h.highest_lr * (1 + 1e-9) for h in seen.held)
    if rests or len({e.rows for e in known}) != 1:
        return
    steps, losses = [e.step for e in known], [e.loss for e in known]
    course = still_falling(steps, losses, known[-1].rows, seen.prior_loss)
    if course is not None:
        fix = f"more epochs: {steps[-1]} steps more"
        yield finding(course, of="validation loss", severity="info", fix=fix, step=seen.steps)


def _judged(one: Evaluation) -> bool:
    return one.confusion is not None and one.rows >= _FEWEST_ROWS


def _name(held: Held) -> str:
    return type(held.optimizer).__name__


AFTER_STEP: tuple[Rule, ...] = (
    no_zero_grad,
    zero_after_backward,
    state_reset,
    train_in_eval_mode,
    eval_in_train_mode,
    ascent,
    same_batch,
    unshuffled,
    premature_nan,
    clip_too_tight,
    schedule_collapse,
)
AFTER_EVALUATION: tuple[Rule, ...] = (
    eval_in_train_mode,
    overfit,
    metric_wrong,
    val_labels_mismatch,
    labels_shuffled,
    imbalance_collapse,
)
AT_END: tuple[Rule, ...] = (no_step, stopped_too_early)
