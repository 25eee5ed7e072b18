"""Whether labels belong to their rows, judged by the rows' neighbours."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from steepest.health.check.context import CheckContext
from steepest.health.check.data import (
    Neighbours,
    Table,
    best_assignment,
    clustered,
    comparable,
    guessed,
    neighbours,
    one_column_accuracies,
    shift_of_labels,
)
from steepest.health.check.rules.facts import table_of
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import Phase, make_finding, rule

_ENOUGH = 0.5  # seconds for a check that compares many rows
_CONTRADICTED = 0.69  # votes of ten that one other class has more than the row's own, from 7 on
# Of the rows. Sound data whose classes overlap have up to 6.7 % (benchmarks/label_noise.py).
_MOST_SUSPECTS = 0.07
_UNTOLD = 0.5  # of a class's rows: the neighbours cannot tell it, and accuse none of its rows
_NAMED = 20  # suspects
_FEWEST_ROWS = 300  # that are compared with their neighbours
_NO_SIGNAL, _SIGNAL = (
    2.0,
    5.0,
)  # deviations by which neighbours guess better than the commonest class
_AS_WELL = 0.05  # of the rows: another reading of the inputs fits as well as other labels
_RENUMBERED = 0.3  # share of rows that fit under another numbering only
_GIVES_AWAY, _BEYOND_OTHERS, _CLUSTERED = 0.99, 0.15, 0.95  # of a column that encodes the label
_IMBALANCED = 10  # times as many rows of the commonest class as of the rarest


@dataclass(frozen=True)
class NeighbourSignal:
    """T1: training rows, and what their neighbours say."""

    table: Table
    neighbours: Neighbours


def data_signal(context: CheckContext) -> NeighbourSignal | None:
    """T1, made once; None if the rows cannot be compared."""
    if "T1" not in context.known:
        context.known["T1"] = _signal(context)
    signal: NeighbourSignal | None = context.known["T1"]
    return signal


def _signal(context: CheckContext) -> NeighbourSignal | None:
    table = table_of(context.sample, context.train)
    if table is None or table.y is None:
        return None
    # By the time that was given, not by what is left of it: as many rows on any machine.
    table = table.some(2000 if context.clock.seconds >= _ENOUGH else 500)
    if not comparable(table) or not context.classes:
        return None
    return NeighbourSignal(table, neighbours(table))


@rule(
    "LABELS_SHUFFLED",
    "labels do not belong to their rows",
    Phase.NEIGHBOURS,
    rank="labels",
    place=10,
    severity="warn",
    explains={"LABEL_NOISE", "OVERFIT"},
    confirmed_by=(Experiment.NEIGHBOURS,),
)
def labels_shuffled(context: CheckContext) -> Iterator[Finding]:
    """No signal in the data: a note, a warning if a shift of the labels restores it."""
    signal = data_signal(context)
    if signal is None or signal.neighbours.z >= _NO_SIGNAL or len(signal.table) < _FEWEST_ROWS:
        return
    neighbours = signal.neighbours
    if neighbours.dependence < -_SIGNAL:  # far more often wrong than by chance, as in a parity
        return
    guessing = Evidence(
        f"neighbours guess {neighbours.accuracy:.1%} of the labels",
        f"above {neighbours.majority:.1%}, the commonest class",
        f"z = {neighbours.z:.1f}, {len(signal.table)} rows",
        Experiment.NEIGHBOURS,
    )
    shift = None
    if len(signal.table) == context.train.size:
        shift = shift_of_labels(signal.table, neighbours)
    if shift is not None:
        yield make_finding(
            "LABELS_SHUFFLED",
            f"the labels are moved by {abs(shift)} row{'s' if abs(shift) > 1 else ''} against the "
            "inputs",
            f"y = y.roll({-shift})  # better: permute X and y with one index",
            (guessing, Evidence(f"signal with labels rolled by {-shift}", "without rolling")),
            ruled_out=("data without signal: the rolled labels have one",),
            confidence="confirmed",
        )
    else:
        yield make_finding(
            "LABELS_SHUFFLED",
            "the labels of similar rows have nothing in common: shuffled labels, or hard data",
            "perm = torch.randperm(len(X)); X, y = X[perm], y[perm]  # one index for both",
            (guessing,),
            confidence="suspected",
            severity="info",
        )


@rule(
    "VAL_LABELS_MISMATCH",
    "validation labels are numbered differently",
    Phase.NEIGHBOURS,
    rank="labels",
    place=20,
    severity="warn",
    explains={"OVERFIT"},
    confirmed_by=(
        Experiment.NEIGHBOURS,
        Experiment.RENUMBERED,
    ),
)
def val_labels_mismatch(context: CheckContext) -> Iterator[Finding]:
    """Validation labels that fit under another numbering of the classes."""
    train, val = table_of(context.sample, context.train), table_of(context.val_sample, context.val)
    if train is None or val is None or val.y is None or train.X.shape[1:] != val.X.shape[1:]:
        return
    train, val = train.some(), val.some(1000)
    if train.y is None or val.y is None or not comparable(train) or not comparable(val):
        return
    if context.late:
        context.unmeasured.append("validation labels against training labels")
        return
    C = max(context.classes, int(train.y.max()) + 1, int(val.y.max()) + 1)
    confusion = torch.zeros(C, C)
    guesses = guessed(train, val, C)
    confusion.index_put_((guesses, val.y), torch.ones(len(val.y)), accumulate=True)
    plain = float(confusion.diagonal().sum()) / len(val.y)
    mapping, agreed = best_assignment(confusion)  # training class -> validation class
    best = agreed / len(val.y)
    if best - plain < _RENUMBERED:
        return
    usual = neighbours(train).accuracy
    if best < 0.7 * usual or usual < 0.6:
        return
    if found := _read_otherwise(train, val, C, plain, best):
        yield found
        return
    moved = {k: v for k, v in enumerate(mapping) if k != v}
    shown = ", ".join(f"{v} is {k}" for k, v in list(moved.items())[:6])
    yield make_finding(
        "VAL_LABELS_MISMATCH",
        "validation labels are numbered differently from training labels: "
        f"in the validation part {shown}",
        "one list for both parts: class_to_idx = train_dataset.class_to_idx",
        (
            Evidence(
                f"neighbours guess {plain:.1%} of the validation labels",
                f"{best:.1%} under another numbering",
                experiment=Experiment.NEIGHBOURS,
            ),
            Evidence(f"{usual:.1%} within the training part", "the same in validation"),
        ),
        ruled_out=("inputs that differ: the guesses fit under one renumbering",),
        confidence="confirmed",
    )


def _other_readings(X: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Images (N, ..., H, W) as another program would have read them."""
    if X.ndim == 4 and X.shape[1] == 3:
        yield "with the channels in the other order (BGR for RGB)", X.flip(1)
    if X.ndim < 3 or min(X.shape[-2:]) < 4:
        return
    if X.shape[-1] == X.shape[-2]:
        yield "with height and width exchanged", X.transpose(-1, -2)
    yield "upside down", X.flip(-2)
    yield "mirrored", X.flip(-1)


def _read_otherwise(train: Table, val: Table, C: int, plain: float, best: float) -> Finding | None:
    """Whether the guesses fit another reading of the images as well as other labels.

    plain, best: the share that fits as it is, and under another numbering.
    """
    assert val.y is not None
    for reading, X in _other_readings(val.X):
        as_read = float((guessed(train, Table(X, val.y), C) == val.y).float().mean())
        if as_read > best - _AS_WELL:
            return _reading_found(reading, plain, as_read)
    return None


def _reading_found(reading: str, plain: float, as_read: float) -> Finding:
    return make_finding(
        "TRAIN_VAL_PREPROC_MISMATCH",
        f"the validation images are read otherwise than the training images: {reading} they fit",
        "one function that reads an image, for both parts",
        (
            Evidence(
                f"neighbours guess {plain:.1%} of the validation labels",
                f"{as_read:.1%} {reading}",
                experiment=Experiment.NEIGHBOURS,
            ),
        ),
        ruled_out=("labels that are numbered otherwise: they fit as they are",),
        confidence="confirmed",
    )


@rule(
    "TARGET_LEAK_FEATURE",
    "a column that gives the label away",
    Phase.NEIGHBOURS,
    rank="data",
    place=80,
    severity="warn",
)
def target_leak_feature(context: CheckContext) -> Iterator[Finding]:
    """One column of a table that gives the label away, far better than any other."""
    table = table_of(context.sample, context.train)
    if table is None or table.y is None or table.X.ndim != 2:
        return
    if not table.X.is_floating_point():
        yield from _label_among_words(table.some())
        return
    table = table.some()
    if len(table) < 200 or not comparable(table) or not 2 <= table.X.shape[1] <= 256:
        return
    encodes = clustered(table) >= _CLUSTERED
    if not bool(encodes.any()):
        return
    scores = one_column_accuracies(table)
    best, second = scores.topk(2).values.tolist()
    column = int(scores.argmax())
    if best < _GIVES_AWAY or second > best - _BEYOND_OTHERS or not encodes[column]:
        return
    yield make_finding(
        "TARGET_LEAK_FEATURE",
        f"column {column} alone tells the label in {best:.1%} of the rows: it may have been made "
        "from the label",
        f"X = torch.cat([X[:, :{column}], X[:, {column + 1}:]], 1)  # or is it known before?",
        (Evidence(f"{best:.1%} from column {column}", f"{second:.1%}, the second best column"),),
        ruled_out=("easy data: no other column comes close",),
        confidence="suspected",
    )


def _label_among_words(table: Table) -> Iterator[Finding]:
    """One place of a sequence of numbers of words that holds the label itself."""
    X, y = table.X, table.y
    assert y is not None
    if len(y) < 200 or X.shape[1] < 2 or bool((y == y[0]).all()):
        return
    equal = (y[:, None] == X).float().mean(0)
    best, second = equal.topk(2).values.tolist()
    if best < _GIVES_AWAY or second > best - _BEYOND_OTHERS:
        return
    column = int(equal.argmax())
    yield make_finding(
        "TARGET_LEAK_FEATURE",
        f"the label is in the input: column {column} of {X.shape[1]} equals it in {best:.1%} of "
        "the rows",
        "x, y = text[i : i + n], text[i + n]  # to guess what comes next; or leave the column out",
        (Evidence(f"{best:.1%} equal column {column}", f"{second:.1%}, the second best column"),),
        ruled_out=("chance: no other column comes close",),
        confidence="suspected",
    )


@rule(
    "CLASS_IMBALANCE_COLLAPSE",
    "rare classes are never said",
    Phase.NEIGHBOURS,
    rank="labels",
    place=40,
    severity="warn",
)
def imbalance(context: CheckContext) -> Iterator[Finding]:
    """A note before training: rare classes."""
    train = table_of(context.sample, context.train)
    y = context.labels if train is None or train.y is None else train.y
    if y is None or not context.classes or bool((y < 0).any()) or len(y) < 100:
        return
    counts = y.bincount()
    counts = counts[counts > 0]
    ratio = float(counts.max()) / float(counts.min())
    if (
        len(counts) > 1
        and ratio >= _IMBALANCED
        and getattr(context.setup.loss_fn, "weight", None) is None
    ):
        yield make_finding(
            "CLASS_IMBALANCE_COLLAPSE",
            f"the commonest class has {ratio:.0f} times the rows of the rarest: accuracy alone "
            "says little",
            "report recall by class; weight = counts.sum() / (len(counts) * counts)",
            (Evidence(f"ratio {ratio:.0f}", "below 10"),),
            confidence="suspected",
            severity="info",
        )


def suspects(table: Table, votes: Tensor) -> Tensor:
    """Positions (S,) of the rows whose neighbours clearly say another class, the surest first."""
    assert table.y is not None
    y = table.y
    margin = votes.max(1).values - votes.gather(1, y[:, None])[:, 0]
    contradicted = margin >= _CONTRADICTED
    sizes = y.bincount(minlength=votes.shape[1]).clamp(min=1)
    untold = y[contradicted].bincount(minlength=votes.shape[1]) > _UNTOLD * sizes
    contradicted &= ~untold[y]
    surest = margin[contradicted].argsort(descending=True, stable=True)
    return contradicted.nonzero()[surest, 0]


@rule("LABEL_NOISE", "wrong labels", Phase.NEIGHBOURS, rank="labels", place=30, severity="info")
def label_noise(context: CheckContext) -> Iterator[Finding]:
    """Rows whose neighbours agree on another label: a note, since some of them are right."""
    signal = data_signal(context)
    if signal is None or signal.neighbours.z < _SIGNAL or len(signal.table) < _FEWEST_ROWS:
        return
    table = signal.table
    found = suspects(table, signal.neighbours.votes)
    share = len(found) / len(table)
    if share <= _MOST_SUSPECTS:
        return
    named = found[:_NAMED] if table.numbers is None else table.numbers[found[:_NAMED]]
    of = "of those that were read" if table.numbers is None else "counted from 0"
    yield make_finding(
        "LABEL_NOISE",
        f"{share:.0%} of the rows have a label that their neighbours contradict",
        "look at these rows; nn.CrossEntropyLoss(label_smoothing=0.1), and stop early",
        (
            Evidence(
                f"{share:.1%} of {len(table)} rows",
                f"below {_MOST_SUSPECTS:.0%}",
                f"the surest, {of}: rows {', '.join(map(str, named.tolist()))}",
            ),
        ),
        ruled_out=("labels without any signal: the neighbours of most rows agree with them",),
        confidence="suspected",
    )
