"""The training and the validation part beside each other."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from steepest.health.check.context import CheckContext
from steepest.health.check.data import Table, near_continuous, nearest, row_hashes
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import Phase, make_finding, rule

# So few rows of the validation part in training are no leak.
_FEW_TWINS = 0.01
_MANY_TWINS = 0.05  # fewer are a note: they lift an accuracy by no more than their share
_FEWEST_TWINS = 5
_NEXT = 0.05  # of the median distance of a training row to its nearest one
_CHANGED = 0.1  # of the inputs' deviation; less is a trace of noise, as against rounding
_AT_ONCE = 256  # columns that are made float64
_MOVED, _STRETCHED = 1.0, 3.0  # the median column, in deviations; times


@rule(
    "TRAIN_VAL_LEAK",
    "training rows in the validation part",
    Phase.ROWS,
    rank="data",
    place=60,
    severity="warn",
)
@rule(
    "EVAL_ON_TRAIN",
    "validated on the training rows",
    rank="data",
    place=70,
    severity="warn",
    explains={"TRAIN_VAL_LEAK"},
)
def train_val_leak(context: CheckContext) -> Iterator[Finding]:
    """Validation rows whose inputs are those of a training row."""
    if context.train.dataset is not None and context.train.dataset is context.val.dataset:
        yield make_finding(
            "EVAL_ON_TRAIN",
            "the validation loader reads the training data: its figures say nothing about new rows",
            "train, val = torch.utils.data.random_split(dataset, [0.8, 0.2])",
            (Evidence("one dataset in both loaders", "two without common rows"),),
        )
        return
    parts = dict(context.inputs_by_part())
    x, v = parts.get("training"), parts.get("validation")
    if x is None or v is None or x.shape[1:] != v.shape[1:] or x.ndim < 2:
        return
    x, v = x[:50_000], v[:20_000]
    train_hashes = row_hashes(x)
    known = set(train_hashes)
    varied = v.flatten(1) != v.flatten(1)[:, :1]
    twins = [k in known and bool(w) for k, w in zip(row_hashes(v), varied.any(1), strict=True)]
    count, share = sum(twins), sum(twins) / len(v)
    if share <= _FEW_TWINS or count < _FEWEST_TWINS:
        yield from _nearly_the_same(x, v)
        return
    repeats = 1 - len(known) / len(train_hashes)
    continuous = x.is_floating_point() and near_continuous(x)
    limit = _FEW_TWINS if continuous else max(_FEW_TWINS, 3 * repeats)
    if share <= limit:
        return
    yield make_finding(
        "TRAIN_VAL_LEAK",
        f"{count} of {len(v)} validation rows ({share:.0%}) are training rows: the validation "
        "figures are too good",
        "split before augmenting or oversampling; drop equal rows first: torch.unique(X, dim=0)",
        (
            Evidence(f"{share:.1%} of the validation rows are in training", f"<= {limit:.1%}"),
            Evidence(f"{repeats:.1%} of the training rows have a twin there", "the same share"),
        ),
        ruled_out=("equal rows by chance: a column takes nearly as many values as there are rows",)
        if continuous
        else (f"equal rows by chance: training rows repeat in {repeats:.1%} only",),
        severity="warn" if share >= _MANY_TWINS else "info",
    )


def _nearly_the_same(x: Tensor, v: Tensor) -> Iterator[Finding]:
    """Validation rows that lie next to a training row, as noise or compression leaves them."""
    table, other = Table(x, None).some(4000), Table(v, None).some(1000)
    if not x.is_floating_point() or len(table) < 50 or len(other) < 50:
        return
    if not bool(table.flat.isfinite().all() and other.flat.isfinite().all()):
        return
    within, across = nearest(table, other)
    usual = float(within.median())
    close, alike = (float((d < _NEXT * usual).float().mean()) for d in (across, within))
    if usual == 0 or close * len(other) < _FEWEST_TWINS or close <= max(_FEW_TWINS, 3 * alike):
        return
    yield make_finding(
        "TRAIN_VAL_LEAK",
        f"{close:.0%} of the validation rows are all but equal to a training row: the validation "
        "figures are too good",
        "split before augmenting or resampling; keep what was made of one row in one part",
        (
            Evidence(
                f"{close:.1%} of {len(other)} validation rows next to a training row",
                f"about {alike:.1%}, as training rows to each other",
                f"closer than {_NEXT:g} of the usual distance",
            ),
        ),
        ruled_out=("rows that lie close by chance: training rows do not lie so close",),
        confidence="suspected",
    )


@rule(
    "RANDOM_VALIDATION",
    "validation rows that differ each time",
    Phase.ROWS,
    rank="generalisation",
    place=4,
    severity="warn",
    explains={"TRAIN_VAL_PREPROC_MISMATCH"},
)
def random_validation(context: CheckContext) -> Iterator[Finding]:
    """Rows of the validation data that are others when they are read again: a random transform."""
    if context.val.twice is None:
        return
    first, second = (context.form(raw).x for raw in context.val.twice)
    if first is None or second is None or first.shape != second.shape or first.ndim < 2:
        return
    if not first.is_floating_point() or not bool(first.isfinite().all() & second.isfinite().all()):
        return
    moved, spread = float((first - second).std()), float(first.std())
    changed = int((first != second).flatten(1).any(1).sum())
    if not changed or spread == 0:
        return
    yield make_finding(
        "RANDOM_VALIDATION",
        f"{changed} of {len(first)} validation rows are others when they are read again: a random "
        "transform is in the validation data, and its figures are of other rows each time",
        "a transform of its own for the validation part, without what is random",
        (Evidence(f"inputs move by {moved / spread:.2g} of their deviation", "0", "read twice"),),
        ruled_out=("dropout and the like: the model was not asked",),
        severity="warn" if moved > _CHANGED * spread else "info",
    )


@rule(
    "TRAIN_VAL_PREPROC_MISMATCH",
    "the two parts are prepared differently",
    Phase.ROWS,
    rank="data",
    place=90,
    severity="warn",
    explains={"OVERFIT", "VAL_LABELS_MISMATCH"},
    confirmed_by=(Experiment.NEIGHBOURS,),
)
def preprocessing_mismatch(context: CheckContext) -> Iterator[Finding]:
    """Columns of the validation part moved or stretched as a whole."""
    parts = dict(context.inputs_by_part())
    x, v = parts.get("training"), parts.get("validation")
    if x is None or v is None or x.shape[1:] != v.shape[1:] or not x.is_floating_point():
        return
    (mean_a, of_a), (mean_b, of_b) = (_of_columns(t[:5000].flatten(1)) for t in (x, v))
    vary = (of_a > 1e-8) & (of_b > 1e-12)
    if len(v) < 30 or not bool(vary.any()) or not bool((mean_a + mean_b).isfinite().all()):
        return
    shift = float(((mean_a - mean_b).abs() / of_a)[vary].median())
    stretch = float((of_b / of_a)[vary].log().abs().median())
    if shift <= _MOVED and stretch <= math.log(_STRETCHED):
        return
    yield make_finding(
        "TRAIN_VAL_PREPROC_MISMATCH",
        "validation inputs are not prepared like training inputs: the net has never seen such rows",
        "mean, std = X_train.mean(0), X_train.std(0); X_val = (X_val - mean) / std  # both parts",
        tuple(
            Evidence(measured, expected)
            for beyond, measured, expected in (
                (shift > _MOVED, f"median column moved by {shift:.3g} deviations", "below 1"),
                (
                    stretch > math.log(_STRETCHED),
                    f"median column stretched {math.exp(stretch):.3g} times",
                    "below 3",
                ),
            )
            if beyond
        ),
        ruled_out=("a natural shift of a few columns: this is the median over all",),
    )


def _of_columns(x: Tensor) -> tuple[Tensor, Tensor]:
    """Means and deviations of the columns, in float64; some columns at a time, for their memory."""
    means, deviations = [], []
    for part in torch.split(x, _AT_ONCE, 1):
        part = part.double()
        means.append(part.mean(0))
        deviations.append(part.std(0))
    return torch.cat(means), torch.cat(deviations)
