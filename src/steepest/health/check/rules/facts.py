"""Facts about the data: what is not finite, constant, sorted, ignored, or not a class."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from steepest.health.check.context import CheckContext
from steepest.health.check.data import (
    Table,
    class_indices,
    neighbour_correlation,
    runs_test,
)
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import DESCENT, EVERYTHING, Phase, make_finding, rule
from steepest.health.replay.batches import Batch, LoaderSample, mixed

_MANY_IGNORED = 0.2  # of the labels
_SORTED = -6.0  # z of the runs test: one in a thousand million orders of shuffled rows
_FEW_ROWS = 0.01  # of the validation rows: those of rare classes that a split left to them
_FEW_CLASSES = 0.7  # of those that a shuffled minibatch would have
_SCRAMBLED, _STRAIGHT = 0.3, 0.3  # correlation of neighbouring pixels, and what another order adds


@rule(
    "NONFINITE_INPUT",
    "NaN or infinity in the inputs",
    Phase.ROWS,
    rank="data",
    place=10,
    severity="error",
    explains=EVERYTHING | {"UNSTABLE_LOG"},
)
def nonfinite_input(context: CheckContext) -> Iterator[Finding]:
    for part, x in context.inputs_by_part():
        if not x.is_floating_point():
            continue
        broken = ~x.flatten(1).isfinite() if x.ndim > 1 else ~x.isfinite()[:, None]
        count = int(broken.sum())
        if not count:
            continue
        row, column = (int(v) for v in broken.nonzero()[0])
        rows = int(broken.any(1).sum())
        yield make_finding(
            "NONFINITE_INPUT",
            f"{count} NaN or infinite values in {rows} {part} rows: the loss becomes NaN",
            "keep = X.flatten(1).isfinite().all(1); X, y = X[keep], y[keep]  # or impute",
            (Evidence(f"{count} values", "0", f"first in {part} row {row}, column {column}"),),
            ruled_out=("a NaN born in the net: these are in the inputs",),
        )


@rule(
    "CONSTANT_INPUT",
    "every row is the same",
    Phase.ROWS,
    rank="data",
    place=20,
    severity="error",
    explains=EVERYTHING | {"LABELS_SHUFFLED"},
)
@rule("CONSTANT_FEATURES", "columns with one value", rank="data", place=110, severity="warn")
def constant_input(context: CheckContext) -> Iterator[Finding]:
    """Every row equal, or nearly every column with one value."""
    x = next((x for part, x in context.inputs_by_part() if part == "training"), None)
    if x is None or len(x) < 16 or x.ndim < 2:
        return
    flat = x.flatten(1)
    one_value = (flat == flat[0]).all(0)
    share = float(one_value.float().mean())
    if share == 1.0:
        yield make_finding(
            "CONSTANT_INPUT",
            f"all {len(x)} training rows that were read are equal: there is nothing to learn from",
            "print(next(iter(train_loader))[0][:2])  # look for integer division or empty reads",
            (Evidence("0 columns vary", f"{flat.shape[1]}", f"value {float(flat[0, 0]):.3g}"),),
        )
    elif share > 0.9 and flat.shape[1] >= 10:
        yield make_finding(
            "CONSTANT_FEATURES",
            f"{share:.0%} of the {flat.shape[1]} columns have one value in all rows that were read",
            "look at one row; X = X[:, X.std(0) > 0]",
            (Evidence(f"{int((~one_value).sum())} columns vary", f"{flat.shape[1]}"),),
            confidence="suspected",
        )


@rule(
    "CLASS_SET_MISMATCH",
    "labels and outputs do not belong together",
    Phase.FIRST_PASS,
    rank="data",
    place=30,
    severity="error",
    explains=EVERYTHING | {"LOSS_FAILS"},
)
def class_set_mismatch(context: CheckContext) -> Iterator[Finding]:
    """Labels that the outputs do not have, and validation classes that training never saw."""
    ignored = getattr(context.setup.loss_fn, "ignore_index", -100)
    C = context.logits.shape[1] if context.logits.ndim > 1 else 1
    y = _labels(context.train, context.batches)
    if y is None or context.kind not in ("cross_entropy", "nll") or C < 2:
        return
    y = y[y != ignored]
    known = set(y.tolist())
    wrong = sorted(label for label in known if not 0 <= label < C)
    if wrong:
        yield labels_out_of_range(wrong, C)
        return
    val = _labels(context.val, [context.val_sample] if context.val_sample else [])
    everything = context.train.complete or context.train.whole is not None
    if val is None or not everything:
        return
    val = val[val != ignored]
    new = sorted(set(val.tolist()) - known)
    if new:
        share = float(torch.isin(val, torch.tensor(new, device=val.device)).float().mean())
        yield make_finding(
            "CLASS_SET_MISMATCH",
            f"the validation part has classes that no training row has: {new[:8]}",
            "split with stratify=y, or number the classes of both parts by one list",
            (
                Evidence(f"{len(new)} new classes", "0", f"{len(known)} classes in training"),
                Evidence(f"{share:.2%} of the validation rows", f"below {_FEW_ROWS:.0%}"),
            ),
            severity="warn" if share >= _FEW_ROWS else "info",
        )
    elif len(known) < C - (0 <= ignored < C):
        yield make_finding(
            "CLASS_SET_MISMATCH",
            f"the model has {C} outputs, and the training rows have {len(known)} classes",
            f"nn.Linear(..., {len(known)}), unless the others will come",
            (Evidence(f"{C} outputs", f"{len(known)}"),),
            severity="info",
        )


def labels_out_of_range(wrong: list[int], C: int) -> Finding:
    hint = "y = y - 1  # labels from 1" if wrong == [C] else f"nn.Linear(..., {max(wrong) + 1})"
    return make_finding(
        "CLASS_SET_MISMATCH",
        f"labels {wrong[:8]} are outside of the model's {C} outputs",
        hint,
        (Evidence(f"labels up to {max(wrong)}", f"0 to {C - 1}"),),
    )


def _labels(part: LoaderSample, batches: list[Batch]) -> Tensor | None:
    """Labels in the data's order where they lie in memory, else of the batches."""
    if part.whole and len(part.whole) == 2:
        return class_indices(part.whole[1])
    by_batch = [class_indices(batch.target) for batch in batches]
    labels = [y for y in by_batch if y is not None]
    return torch.cat(labels) if labels and len(labels) == len(by_batch) else None


@rule(
    "IGNORED_LABELS",
    "labels that the loss leaves out",
    Phase.FIRST_PASS,
    rank="data",
    place=40,
    severity="warn",
    explains={"PREMATURE_NAN"},
)
def ignored_labels(context: CheckContext) -> Iterator[Finding]:
    """Labels equal to ignore_index."""
    y = _labels(context.train, context.batches)
    ignored = getattr(context.setup.loss_fn, "ignore_index", -100)
    if y is None or context.kind not in ("cross_entropy", "nll"):
        return
    share = float((y == ignored).float().mean())
    if not share:
        return
    evidence = [Evidence(f"{share:.1%} of {len(y)} labels", "0 %")]
    fix = f"keep = y != {ignored}; X, y = X[keep], y[keep]  # if they are not meant to be left out"
    # Of places in a row some are padding. A row whose only label is a class has no such place.
    C = context.logits.shape[1] if context.logits.ndim == 2 else 0
    x = context.probe.x
    is_class = 0 <= ignored < C and x is not None and x.ndim > 1 and len(x) == len(context.logits)
    if is_class:
        evidence.append(Evidence(f"{ignored} is one of the model's {C} classes", "none of them"))
        fix = "nn.CrossEntropyLoss()  # without ignore_index, as no row's label is padding"
    yield make_finding(
        "IGNORED_LABELS",
        f"{share:.1%} of the labels are {ignored}: the loss leaves these rows out",
        fix,
        evidence,
        severity="warn" if share > _MANY_IGNORED or is_class else "info",
    )


@rule(
    "UNSHUFFLED_SORTED",
    "rows in the order of their labels",
    Phase.FIRST_PASS,
    rank="data",
    place=50,
    severity="error",
    explains=EVERYTHING | {"BATCHNORM_TINY_BATCH"},
)
def unshuffled_sorted(context: CheckContext) -> Iterator[Finding]:
    """Labels in runs, in the order in which the loader gives them."""
    by_batch = [class_indices(batch.target) for batch in context.batches]
    labels = [y for y in by_batch if y is not None and len(y) > 1]
    if len(labels) < 3 or len(labels) < len(by_batch) - 1:
        return
    y = torch.cat(labels)
    everything = _labels(context.train, []) if context.train.whole else context.labels
    everything = y if everything is None else everything
    share = everything[everything >= 0].bincount().double()
    share = share / share.sum()
    if len(y) < 100 or float(share.max()) > 0.98:
        return
    z, B = runs_test(y, share), len(labels[0])
    distinct = sum(len(set(b.tolist())) for b in labels) / len(labels)
    expected = float((1 - (1 - share) ** B).sum())
    if z >= _SORTED or distinct >= _FEW_CLASSES * expected:
        return
    yield make_finding(
        "UNSHUFFLED_SORTED",
        "the loader gives the rows in the order of their labels: each step unlearns the last",
        "DataLoader(dataset, batch_size, shuffle=True)",
        (
            Evidence(f"{distinct:.1f} classes in a batch", f"{expected:.1f}", f"{B} rows each"),
            Evidence(f"runs test z = {z:.0f}", "above -6", f"{len(y)} labels in order"),
        ),
        ruled_out=("shuffle=False on mixed rows: their labels would not come in runs",),
        severity="error" if distinct <= 1.5 else "warn",
    )
    context.mend("UNSHUFFLED_SORTED", batches=_shuffled(context))


def _shuffled(context: CheckContext) -> list[Batch]:
    """The first minibatches of rows in another order, from all over the data if it is a table."""
    read, whole = sum(batch.rows for batch in context.batches), context.train.whole
    if whole is None or len(whole) != 2 or len(whole[0]) <= read:
        return mixed(context.batches)
    rows = torch.randperm(len(whole[0]), generator=torch.Generator().manual_seed(0))[:read]
    device = context.labels.device if context.labels is not None else rows.device
    drawn = context.form(tuple(part[rows] for part in whole)).to(device)
    sizes = [batch.rows for batch in context.batches]
    return [drawn.take(part) for part in torch.split(torch.arange(read), sizes)]


@rule(
    "IMAGE_LAYOUT_SCRAMBLED",
    "pixels in the wrong order",
    Phase.ROWS,
    rank="data",
    place=100,
    severity="warn",
    explains=EVERYTHING,
    confirmed_by=(Experiment.REARRANGED,),
)
def image_layout(context: CheckContext) -> Iterator[Finding]:
    """Channels-last memory viewed as channels-first."""
    x = context.sample.x
    if x is None or x.ndim != 4 or x.shape[1] not in (2, 3, 4) or not x.is_floating_point():
        return
    n, c, h, w = x.shape
    if min(h, w) < 6 or not bool(x.isfinite().all()):
        return
    fed = neighbour_correlation(x)
    other = neighbour_correlation(x.contiguous().view(n, h, w, c).permute(0, 3, 1, 2))
    if fed < _SCRAMBLED and other >= fed + _STRAIGHT:
        yield make_finding(
            "IMAGE_LAYOUT_SCRAMBLED",
            "the pixels are in the wrong order: (N, H, W, C) memory is read as (N, C, H, W)",
            "x = x.view(N, H, W, C).permute(0, 3, 1, 2)  # not x.view(N, C, H, W)",
            (
                Evidence(
                    f"correlation of neighbouring pixels {fed:.2f}",
                    f"{other:.2f} permuted",
                    experiment=Experiment.REARRANGED,
                ),
            ),
            confidence="confirmed",
        )


@rule(
    "BATCHNORM_TINY_BATCH",
    "batch normalisation of too few values",
    Phase.FIRST_PASS,
    rank="model",
    place=110,
    severity="error",
    explains=DESCENT,
)
def batchnorm_tiny_batch(context: CheckContext) -> Iterator[Finding]:
    """A last batch of one row, and statistics over too few values."""
    assert context.first is not None
    norms = {
        name: m
        for name, m in context.setup.model.named_modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and name in context.first.signals
    }
    B, N = context.train.batch_size, context.train.size
    flat = [name for name, m in norms.items() if isinstance(m, nn.BatchNorm1d)]
    if B and N and B > 1 and flat and N % B == 1 and not context.train.drop_last:
        yield make_finding(
            "BATCHNORM_TINY_BATCH",
            f"the last batch of an epoch has one row ({N} rows in batches of {B}), and "
            f"{flat[0]!r} cannot normalise a single row: the training stops with an error",
            "DataLoader(..., drop_last=True)",
            (Evidence(f"{N} mod {B} = 1 row", "0 or at least 2", flat[0]),),
        )
    elif norms and context.batches[0].rows <= 2:
        name = next(iter(norms))
        yield make_finding(
            "BATCHNORM_TINY_BATCH",
            f"batches of {context.batches[0].rows} rows are too few for the statistics of {name!r}",
            "a batch_size of 16 or more, or nn.GroupNorm / nn.LayerNorm",
            (Evidence(f"{context.batches[0].rows} rows", "at least 8", name),),
            severity="warn",
        )


def table_of(batch: Batch | None, part: LoaderSample) -> Table | None:
    """Rows with their classes, for what compares rows."""
    if part.whole and len(part.whole) == 2:
        X, targets = part.whole
        return Table(X, class_indices(targets), torch.arange(len(X)))
    if batch is None or batch.x is None:
        return None
    y = class_indices(batch.target)
    return Table(batch.x, y if y is not None and len(y) == len(batch.x) else None)
