"""Whether the end of the model and the loss belong together."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from steepest.health.check.autograd_graph import graph_nodes, head_name, head_node
from steepest.health.check.context import CheckContext
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import EVERYTHING, Phase, make_finding, rule
from steepest.health.replay.replay import Replay, Setup, lr_times, mean_loss, on_logits

_ON_LOGITS = ("cross_entropy", "bce_logits")
_LOSS_NAMES = {
    "cross_entropy": "cross entropy",
    "bce_logits": "binary cross entropy with logits",
    "nll": "the negative log likelihood",
}


def lower(other: Replay | None, plain: Replay | None, share: float = 0.2) -> bool:
    """Whether a what-if ended at least this share lower."""
    return bool(other and plain and other.finite and other.final <= (1 - share) * plain.final)


@rule(
    "LOSS_EXPECTS_LOGITS",
    "probabilities into a loss that takes logits",
    Phase.SHOWN,
    rank="loss",
    place=10,
    severity="warn",
    explains=EVERYTHING | {"OUTPUT_ACTIVATION"},
)
def loss_expects_logits(context: CheckContext) -> Iterator[Finding]:
    """Softmax or sigmoid before a loss that applies one itself."""
    assert context.first is not None
    z = context.first.logits
    head = head_name(z)
    if context.kind not in _ON_LOGITS or _softmax_over_rows(z):
        return
    p = z.detach()
    inside = bool(((p >= 0) & (p <= 1)).all())
    sums = p.sum(-1) if p.ndim > 1 else p
    is_softmax = inside and p.ndim > 1 and p.shape[1] > 1 and bool(((sums - 1).abs() < 1e-3).all())
    if not (head in ("Softmax", "Sigmoid") or (is_softmax and context.kind == "cross_entropy")):
        return
    name = "softmax" if is_softmax or head == "Softmax" else "sigmoid"
    C = p.shape[1] if p.ndim > 1 else 1
    floor = math.log(1 + (C - 1) / math.e) if context.kind == "cross_entropy" else 0.313
    evidence = [
        Evidence(f"outputs in [{float(p.min()):.3g}, {float(p.max()):.3g}]", "logits", name),
        Evidence(f"loss never below {floor:.3g}", "0", "for outputs between 0 and 1"),
    ]
    back = (lambda q: q.clamp_min(1e-30).log()) if name == "softmax" else torch.logit
    shown, rate = _on_logits(context, back)
    ends = head or "probabilities"
    no_log = f"log_softmax, which would do no harm: the graph ends in {ends}"
    yield make_finding(
        "LOSS_EXPECTS_LOGITS",
        f"the model ends in a {name}, and {_LOSS_NAMES[context.kind]} applies its own: "
        "gradients are flattened and the loss cannot reach 0",
        f"return the logits: remove the {name} at the end of the model (apply it only where "
        f"probabilities are shown){rate}",
        (*evidence, *shown),
        ruled_out=(no_log,) if name == "softmax" else (),
    )
    context.mend("LOSS_EXPECTS_LOGITS", on_logits(back)(context.setup))


def _on_logits(
    context: CheckContext, back: Callable[[Tensor], Tensor]
) -> tuple[list[Evidence], str]:
    """What the first steps do on logits, if that is better, and the rate that they need for it.

    Gradients that were flattened are longer without the softmax: at the same rate they may diverge.
    """
    other = context.what_if("logits in place of probabilities", change=on_logits(back))
    if other is None or context.plain is None:
        return [], ""
    if other.final < context.plain.final:
        return [_compared(context.plain, other, "on logits")], ""

    def slower(setup: Setup) -> Setup:
        return lr_times(0.1)(on_logits(back)(setup))

    other = context.what_if("logits in place of probabilities, lr x 0.1", change=slower)
    if other is None or not other.final < context.plain.final:
        return [], ""
    what = "on logits, at a tenth of the rate"
    return [_compared(context.plain, other, what)], ", and take a tenth of the learning rate"


def _compared(plain: Replay, other: Replay, what: str) -> Evidence:
    steps = len(plain.losses)
    return Evidence(
        f"loss {plain.final:.3g} after {steps} steps",
        f"{other.final:.3g} {what}",
        "same batches",
        Experiment.STEPS_AGAIN,
    )


def _softmax_over_rows(z: Tensor) -> bool:
    """Whether the outputs (N, C) come from a softmax over axis 0, perhaps with a log behind it."""
    if z.ndim != 2 or len(z) < 2:
        return False
    node = head_node(z)
    while node is not None and node.name().startswith(("Log", "Add", "Clamp")):
        if node.name().startswith("LogSoftmax"):
            break
        node = node.next_functions[0][0] if node.next_functions else None
    if node is None or not node.name().startswith(("Softmax", "LogSoftmax")):
        return False
    dim = int(node._saved_dim)
    return dim in (0, 2**64 - 2, -2)


@rule(
    "SOFTMAX_WRONG_DIM",
    "softmax over the rows",
    Phase.FIRST_PASS,
    rank="loss",
    place=20,
    severity="error",
    explains=EVERYTHING
    | {"BATCH_MIXING", "LOSS_EXPECTS_LOGITS", "NLL_WITHOUT_LOGSOFTMAX", "UNSTABLE_LOG"},
)
def softmax_wrong_dim(context: CheckContext) -> Iterator[Finding]:
    assert context.first is not None
    z = context.first.logits
    if not _softmax_over_rows(z):
        return
    p = z.detach()
    p = p.exp() if float(p.max()) <= 0 else p
    yield make_finding(
        "SOFTMAX_WRONG_DIM",
        "the softmax runs over the rows of the batch in place of the classes: what a row gets "
        "depends on its neighbours",
        "torch.log_softmax(z, dim=1)",
        (
            Evidence(f"columns sum to {float(p.sum(0).mean()):.3g}", "any sum", "over the batch"),
            Evidence(f"rows sum to {float(p.sum(1).mean()):.3g}", "1", "over the classes"),
        ),
    )


@rule(
    "NLL_WITHOUT_LOGSOFTMAX",
    "NLLLoss without log_softmax",
    Phase.FIRST_PASS,
    rank="loss",
    place=30,
    severity="error",
    explains=EVERYTHING | {"UNSTABLE_LOG"},
)
def nll_without_logsoftmax(context: CheckContext) -> Iterator[Finding]:
    z = context.logits
    if context.kind != "nll" or z.ndim < 2:
        return
    gap = float(torch.logsumexp(z.double(), 1).abs().median())
    if gap > 1e-3:
        yield make_finding(
            "NLL_WITHOUT_LOGSOFTMAX",
            "NLLLoss gets values that are no log probabilities: the loss has no lower bound",
            "torch.log_softmax(z, dim=1) at the end of the model, or nn.CrossEntropyLoss()",
            (Evidence(f"|logsumexp| of a row is {gap:.3g}", "0"),),
        )


@rule(
    "SINGLE_OUTPUT_CE",
    "cross entropy of one output",
    Phase.FIRST_PASS,
    rank="loss",
    place=40,
    severity="error",
    explains=EVERYTHING | {"DETACHED_GRAPH", "SYMMETRIC_INIT"},
)
def single_output_ce(context: CheckContext) -> Iterator[Finding]:
    z = context.logits
    if context.kind == "cross_entropy" and z.ndim == 2 and z.shape[1] == 1:
        yield make_finding(
            "SINGLE_OUTPUT_CE",
            "cross entropy over a single output is 0 whatever the weights are",
            "two outputs: nn.Linear(h, 2); or nn.BCEWithLogitsLoss() with targets of 0.0 and 1.0",
            (
                Evidence("1 output", "at least 2"),
                Evidence(f"loss {context.loss_at_start:.3g}", "about 0.69"),
            ),
        )


@rule(
    "MSE_FOR_CLASSES",
    "squared error between classes",
    Phase.FIRST_PASS,
    rank="loss",
    place=50,
    severity="error",
    explains=EVERYTHING,
)
def mse_for_classes(context: CheckContext) -> Iterator[Finding]:
    """Squared or absolute error where the targets are classes."""
    y, z = context.probe.target, context.logits
    if context.kind not in ("mse", "l1") or not isinstance(y, Tensor):
        return
    if y.shape != z.shape:
        yield make_finding(
            "MSE_FOR_CLASSES",
            f"outputs {tuple(z.shape)} and targets {tuple(y.shape)} are spread over each other "
            "before the error is taken: every output is compared with every target",
            "nn.CrossEntropyLoss() for class indices; or targets of the outputs' shape",
            (Evidence(f"targets of shape {tuple(y.shape)}", f"{tuple(z.shape)}"),),
        )
    elif context.labels is not None and y.ndim == 2 and y.shape[1] > 1:
        yield make_finding(
            "MSE_FOR_CLASSES",
            "one-hot targets with a squared error (Brier score): cross entropy learns faster",
            "nn.CrossEntropyLoss()",
            (Evidence(f"loss kind {context.kind}", "cross entropy"),),
            severity="info",
        )


@rule(
    "UNSTABLE_LOG",
    "log of a probability that can be 0",
    Phase.SHOWN,
    rank="loss",
    place=60,
    severity="warn",
    explains={"PREMATURE_NAN"},
)
def unstable_log(context: CheckContext) -> Iterator[Finding]:
    """Log of a softmax or sigmoid with nothing that keeps it from 0."""
    assert context.first is not None
    z = context.first.logits
    probe = context.probe
    loss = context.first.setup.loss_of(context.first.output, probe.target, probe.weights)
    chains = [z.grad_fn, loss.grad_fn]
    if not any(_bare_log(node) for root in chains for node in graph_nodes(root, 2000)):
        return
    plain = context.plain
    broken = plain is not None and not plain.finite
    yield make_finding(
        "UNSTABLE_LOG",
        "the log of a probability is taken as it is: the loss is infinite once one rounds to 0",
        "torch.log_softmax(z, dim=1) and nn.NLLLoss(), or nn.CrossEntropyLoss() on the logits",
        (Evidence("Log behind Softmax or Sigmoid in the graph", "log_softmax or logits"),),
        severity="warn" if broken else "info",
    )


def _bare_log(node: object) -> bool:
    name = node.name()  # type: ignore[attr-defined]
    if not name.startswith("LogBackward"):
        return False
    parents = [p.name() for p, _ in node.next_functions if p is not None]  # type: ignore[attr-defined]
    return any(p.startswith(("SoftmaxBackward", "SigmoidBackward")) for p in parents)


@rule(
    "SUM_REDUCTION",
    "the loss is summed over the batch",
    Phase.SHOWN,
    rank="loss",
    place=70,
    severity="warn",
    explains=EVERYTHING,
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
def sum_reduction(context: CheckContext) -> Iterator[Finding]:
    """The gradient grows with the batch; a warning if the mean learns better at its rate."""
    if not context.summed:
        return
    B = context.batches[0].rows
    other = context.what_if("the mean in place of the sum", change=mean_loss)
    harmful = lower(other, context.plain)
    evidence = [Evidence(f"loss of a batch twice over is twice as large, {B} rows", "the same")]
    if harmful and other and context.plain:
        evidence.append(_compared(context.plain, other, "with the mean"))
    yield make_finding(
        "SUM_REDUCTION",
        f"the loss is summed over the batch: gradients are {B} times as long as those of the mean",
        'reduction="mean", or divide the learning rate by the batch size',
        tuple(evidence),
        ruled_out=("too high a learning rate: the same rate learns with the mean",)
        if harmful
        else (),
        confidence="confirmed" if harmful else "fact",
        severity="warn" if harmful else "info",
    )
    if harmful:
        context.mend("SUM_REDUCTION", mean_loss(context.setup))


@rule(
    "OUTPUT_ACTIVATION",
    "an activation on the logits",
    Phase.FIRST_PASS,
    rank="loss",
    place=90,
    severity="warn",
    explains=EVERYTHING,
)
def output_activation(context: CheckContext) -> Iterator[Finding]:
    """A bounded or one-sided function on the logits."""
    assert context.first is not None
    head, z = head_name(context.first.logits), context.logits
    if context.kind not in _ON_LOGITS or z.ndim > 2:
        return
    zeros = float((z == 0).float().mean())
    one_sided = head in ("Relu", "Threshold") or (float(z.min()) == 0 and 0.1 < zeros < 1)
    bounded = head in ("Tanh", "Hardtanh", "Hardsigmoid", "Relu6")
    if not (one_sided and head in ("Relu", "Threshold", "ClampMin", "ClampMax")) and not bounded:
        return
    C = context.classes
    evidence = [Evidence(f"outputs in [{float(z.min()):.3g}, {float(z.max()):.3g}]", "any number")]
    if bounded and C > 1:
        floor = math.log(1 + (C - 1) * math.exp(-2))
        evidence.append(Evidence(f"loss never below {floor:.3g}", "0", "outputs in [-1, 1]"))
    else:
        evidence.append(Evidence(f"{zeros:.0%} of the outputs are exactly 0", "0 %"))
    yield make_finding(
        "OUTPUT_ACTIVATION",
        f"the logits go through {head.lower()}: "
        + ("they are bounded" if bounded else "no gradient comes back from those below 0"),
        f"remove the {head.lower()} after the last layer",
        tuple(evidence),
    )


@rule(
    "CLASS_WEIGHTS_INVERTED",
    "frequent classes weigh more",
    Phase.FIRST_PASS,
    rank="loss",
    place=80,
    severity="warn",
    explains={"CLASS_IMBALANCE_COLLAPSE"},
)
def class_weights_inverted(context: CheckContext) -> Iterator[Finding]:
    """Weights that rise with the frequency of a class."""
    loss_fn, y = context.setup.loss_fn, context.labels
    if not isinstance(loss_fn, nn.Module) or y is None or len(y) < 60 or bool((y < 0).any()):
        return
    counts = y.bincount().double()
    weight = getattr(loss_fn, "weight", None)
    positive = getattr(loss_fn, "pos_weight", None)
    if isinstance(positive, Tensor) and positive.numel() == 1 and len(counts) == 2:
        weight = torch.cat([torch.ones(1), positive.detach().reshape(1).float()])
    if not isinstance(weight, Tensor) or weight.ndim != 1 or len(weight) != len(counts):
        return
    w = weight.detach().double()
    if float(counts.min()) == 0 or counts.max() < 1.5 * counts.min() or w.max() < 1.5 * w.min():
        return
    ranks = torch.stack([counts.argsort().argsort(), w.argsort().argsort()]).double()
    correlation = float(torch.corrcoef(ranks)[0, 1])
    if correlation <= 0.5:
        return
    measured = f"weights {[round(float(v), 3) for v in w[:6]]}, rows {counts[:6].int().tolist()}"
    yield make_finding(
        "CLASS_WEIGHTS_INVERTED",
        "frequent classes weigh more than rare ones: the imbalance is made worse",
        "weight = counts.sum() / (len(counts) * counts)",
        (Evidence(measured, "the larger the count, the smaller the weight"),),
    )
