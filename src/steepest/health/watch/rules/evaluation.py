"""What an evaluation shows: rules of its numbers, which whoever measured them may ask."""

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor

from steepest.health.check.data import best_assignment
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import Phase, looks_for, make_finding, rule
from steepest.health.watch.evaluations import EvaluationTrace
from steepest.health.watch.rules.unfinished import RESTING, still_falling, unfinished
from steepest.health.watch.trace import TrainingTrace

# Of a validation part that is judged: 4 standard errors of its accuracy are at most 0.2.
_FEWEST_ROWS = 100
_COMMON = 0.8  # share of the commonest class, above which answers that know nothing look good
_FEWEST_STEPS = 50  # of a training whose rare classes should have been found


class Measured(Protocol):
    """What is known of one evaluation. rows: 0 if nobody says. loss_error: standard error."""

    @property
    def step(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def loss(self) -> float: ...
    @property
    def loss_error(self) -> float: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def train_loss(self) -> float: ...


@rule(
    "OVERFIT",
    "the training rows are learned by heart",
    Phase.EVALUATION,
    rank="generalisation",
    place=10,
    severity="warn",
)
def overfit(trace: TrainingTrace) -> Iterator[Finding]:
    yield from overfitting(trace.evaluations, trace.steps)


def overfitting(evaluations: Sequence[Measured], step: int) -> Iterator[Finding]:
    """Validation loss well above its best while the training loss falls, for three evaluations.

    evaluations: in their order. step: the training's steps so far.
    """
    known = [e for e in evaluations if math.isfinite(e.loss)]
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
    yield make_finding(
        "OVERFIT",
        f"the net learns its training rows by heart since step {least.step}"
        if not better
        else "the net grows over-confident: validation loss rises, accuracy too",
        f"stop at step {least.step}; or weight_decay=1e-2, nn.Dropout(0.3), more rows",
        (
            Evidence(f"validation loss {now.loss:.3g}", f"{least.loss:.3g}, its best"),
            Evidence(f"training loss {now.train_loss:.3g}", f"{least.train_loss:.3g} then"),
            Evidence(f"validation accuracy {now.accuracy:.1%}", f"{least.accuracy:.1%} then"),
        ),
        ruled_out=("noise of a small validation part: more than two standard errors",),
        confidence="suspected",
        step=step,
        severity="info" if better or not strong else "warn",
    )


@rule(
    "METRIC_WRONG",
    "the reported accuracy is not the net's",
    Phase.EVALUATION,
    rank="generalisation",
    place=20,
    severity="warn",
)
def metric_wrong(trace: TrainingTrace) -> Iterator[Finding]:
    """The accuracy that the loop reports is not that of the outputs it saw."""
    one = trace.evaluations[-1]
    if one.reported is None or one.confusion is None or one.rows < 20:
        return
    reported, measured = one.reported[1], one.accuracy
    balanced = float(one.recalls.mean())
    if not 0 <= reported <= 1 or min(abs(reported - measured), abs(reported - balanced)) <= 0.01:
        return
    yield make_finding(
        "METRIC_WRONG",
        f"the loop reports an accuracy of {reported:.1%}, and its outputs give {measured:.1%}",
        "predicted = logits.argmax(dim=1)  # (logits > 0) for one output",
        (Evidence(f"{reported:.1%} reported", f"{measured:.1%}, or {balanced:.1%} balanced"),),
        confidence="fact",
        step=trace.steps,
    )


@looks_for("VAL_LABELS_MISMATCH", Phase.EVALUATION)
def val_labels_mismatch(trace: TrainingTrace) -> Iterator[Finding]:
    """Validation classes are told apart, under other numbers."""
    one = trace.evaluations[-1]
    if not _judged(one) or len(trace.train_hits) < 5:
        return
    assert one.confusion is not None
    columns, agreed = best_assignment(one.confusion)
    best = agreed / float(one.confusion.sum())
    train = statistics.mean(list(trace.train_hits)[-5:])
    if best - one.accuracy < 0.3 or train < 0.7 or best < 0.6:
        return
    mapping = ", ".join(f"{t} is {p}" for t, p in enumerate(columns) if t != p)
    yield make_finding(
        "VAL_LABELS_MISMATCH",
        "the validation labels are numbered otherwise than the training labels",
        f"one mapping for both parts; of the validation labels {mapping[:80]} in training",
        (
            Evidence(
                f"accuracy {one.accuracy:.1%}",
                f"{best:.1%} under the best renumbering",
                experiment=Experiment.RENUMBERED,
            ),
            Evidence(f"training accuracy {train:.1%}", "about that of validation"),
        ),
        ruled_out=("overfitting: it would not be cured by a renumbering",),
        confidence="confirmed",
        step=trace.steps,
    )


@looks_for("LABELS_SHUFFLED", Phase.EVALUATION)
def labels_shuffled(trace: TrainingTrace) -> Iterator[Finding]:
    """Training rows are learned, and validation stays at the majority class."""
    known = [e for e in trace.evaluations if _judged(e)]
    if len(known) < 3 or len(trace.train_hits) < 5:
        return
    one = known[-1]
    assert one.confusion is not None
    majority = float(one.confusion.sum(1).max() / one.confusion.sum())
    error = math.sqrt(majority * (1 - majority) / one.rows)
    train = statistics.mean(list(trace.train_hits)[-20:])
    share = one.confusion.sum(1) / one.confusion.sum()
    agreement = float((share**2).sum())  # of labels drawn without looking
    mean = statistics.mean(e.accuracy for e in known)
    at_chance = agreement - 4 * error <= mean <= majority + 2 * error
    gap = 0.2 if len(known) < 6 else 0.12
    learned = trace.loss_now < 0.97 * trace.prior_loss
    if train - mean <= gap or not at_chance or not learned:
        return
    asked = trace.ask_labels()
    if asked is None or asked.hold:
        return
    yield make_finding(
        "LABELS_SHUFFLED",
        "what is learned holds for no other row: the labels do not belong to their rows, or nothing"
        " here finds what they depend on",
        "order = torch.randperm(len(X)); X, y = X[order], y[order]  # one order for both",
        (
            Evidence(f"validation accuracy {one.accuracy:.1%}", f"above {majority:.1%}, the most"),
            Evidence(f"training accuracy {train:.1%}", "about that of validation"),
            *asked.evidence,
        ),
        confidence="suspected",
        step=trace.steps,
    )


@looks_for("LABELS_SHUFFLED", Phase.END)
def no_label_told(trace: TrainingTrace) -> Iterator[Finding]:
    """At the end the validation is at chance, and two tests that ask no training find no more.

    Whatever else went wrong: neighbours and a new start do not go through the loop's own steps.
    """
    known = [e for e in trace.evaluations if _judged(e)]
    if len(known) < 3 or trace.steps < _FEWEST_STEPS:
        return
    confusion = known[-1].confusion
    assert confusion is not None
    majority = float(confusion.sum(1).max() / confusion.sum())
    error = math.sqrt(majority * (1 - majority) / known[-1].rows)
    best = statistics.mean(sorted(e.accuracy for e in known)[-3:])
    if majority > _COMMON or best > majority + 4 * error:
        return
    asked = trace.ask_labels()
    if asked is None or asked.hold or len(asked.evidence) < 2:
        return
    yield make_finding(
        "LABELS_SHUFFLED",
        "nothing was learned that holds for other rows, and nothing here finds what the labels "
        "depend on: they do not belong to their rows, or the task is a very hard one",
        "order = torch.randperm(len(X)); X, y = X[order], y[order]  # one order for both",
        (
            Evidence(f"validation accuracy {best:.1%} at its best", f"above {majority:.1%}"),
            *asked.evidence,
        ),
        ruled_out=("loop, optimizer and start: the tests take no step of them",),
        confidence="suspected",
        step=trace.steps,
    )


@looks_for("CLASS_IMBALANCE_COLLAPSE", Phase.EVALUATION)
def imbalance_collapse(trace: TrainingTrace) -> Iterator[Finding]:
    known = [e.confusion for e in trace.evaluations if e.confusion is not None and _judged(e)]
    if len(known) >= 2:  # the first evaluation of a training says little
        yield from collapse(known[-1], trace.steps)


def collapse(confusion: Tensor, step: int) -> Iterator[Finding]:
    """Nearly everything is called the largest class, and the rare ones are never found.

    confusion: (C, C) counts, true class by row. step: the training's steps so far.
    """
    if step < _FEWEST_STEPS or float(confusion.sum()) < _FEWEST_ROWS:
        return
    sizes, called = confusion.sum(1), confusion.sum(0)
    there = sizes > 0
    recalls = confusion.diag()[there] / sizes[there]
    ratio = float(sizes.max() / sizes[there].min())
    share = float(called[sizes.argmax()] / called.sum())
    rarest, least = float(recalls[sizes[there].argmin()]), int(sizes[there].min())
    if ratio < 5 or share <= 0.98 or rarest >= 0.1:
        return
    yield make_finding(
        "CLASS_IMBALANCE_COLLAPSE",
        f"{share:.0%} of the rows are called the largest class; the rarest is hardly ever found",
        "nn.CrossEntropyLoss(weight=counts.sum() / counts)  # or a WeightedRandomSampler",
        (
            Evidence(f"recall {rarest:.0%} of the rarest class", "well above 10 %"),
            Evidence(f"classes of {int(sizes.max())} and {least} rows", "below 5 to 1"),
        ),
        ruled_out=("a collapse of balanced classes: these are not balanced",),
        confidence="fact",
        step=step,
    )


@looks_for("STOPPED_TOO_EARLY", Phase.END)
def stopped_too_early(trace: TrainingTrace) -> Iterator[Finding]:
    """The validation loss was still falling. A note: who looks on may have seen a part only."""
    known = [e for e in trace.evaluations if e.rows and e.step]
    rests = any(h.lr() <= RESTING * h.highest_lr * (1 + 1e-9) for h in trace.optimizers)
    if rests or len({e.rows for e in known}) != 1:
        return
    steps, losses = [e.step for e in known], [e.loss for e in known]
    course = still_falling(steps, losses, known[-1].rows, trace.prior_loss)
    if course is not None:
        fix = f"more epochs: {steps[-1]} steps more"
        yield unfinished(course, of="validation loss", severity="info", fix=fix, step=trace.steps)


def _judged(one: EvaluationTrace) -> bool:
    return one.confusion is not None and one.rows >= _FEWEST_ROWS
