"""The net before its first step: units that start equal, weights too large, dropout."""

import math
from collections.abc import Iterator

from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.check.context import CheckContext
from steepest.health.check.probe_pass import LayerSignal
from steepest.health.check.rules.pairing import lower
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import DESCENT, EVERYTHING, Phase, make_finding, rule
from steepest.health.replay.replay import Setup, reinitialised, replaced_by_he

_EQUAL_WEIGHTS, _EQUAL_GRADIENTS = 1e-7, 1e-5  # float32's rounding, the second by the largest
# Nats by which the first loss exceeds log C, that of uniform outputs; for many classes its share.
_TOO_HIGH, _TOO_HIGH_SHARE = 1.5, 0.75
_TOO_LARGE = 1.5  # times as large as He's weights, all layers together
_GROWN = 3  # times by which a layer makes the signal larger
_MUCH_DROPOUT = 0.8


@rule(
    "SYMMETRIC_INIT",
    "units that start equal",
    Phase.FIRST_PASS,
    rank="model",
    place=30,
    severity="error",
    explains=EVERYTHING | {"DETACHED_GRAPH", "NO_NONLINEARITY"},
)
def symmetric_init(context: CheckContext) -> Iterator[Finding]:
    """Units of a layer that start equal and get equal gradients stay equal for ever."""
    assert context.first is not None
    equal = []
    for name, p in context.first.setup.model.named_parameters():
        grad = context.first.grads.get(name)
        # What is only added, as embeddings of places are, has no units.
        added = context.first.used_by.get(id(p), set()) <= {"Add", "Cat"}
        if p.ndim >= 2 and grad is not None and not added and _equal_units(p.detach(), grad):
            equal.append((name, p))
    if not equal:
        return
    name, p = equal[0]
    value = (
        f"all {float(p.flatten()[0]):.3g}"
        if float(p.std(correction=0)) < _EQUAL_WEIGHTS
        else "equal"
    )
    yield make_finding(
        "SYMMETRIC_INIT",
        f"the units of {', '.join(n for n, _ in equal[:3])} start equal and get equal gradients: "
        "they stay one unit",
        "nn.init.kaiming_normal_(layer.weight)",
        (
            Evidence(f"weights {value}", "random", name),
            Evidence("gradients of the units are equal", "different", name),
        ),
        ruled_out=("a zero-initialised last layer: its units get different gradients",),
    )


def _equal_units(p: Tensor, grad: Tensor) -> bool:
    for axis in (0, 1):
        if p.shape[axis] < 2:
            continue
        w, g = p.movedim(axis, 0).flatten(1), grad.movedim(axis, 0).flatten(1)
        if w.shape[1] < 2:
            continue
        # Of most nets two units tell that they differ.
        if float((w[1] - w[0]).abs().max()) >= _EQUAL_WEIGHTS:
            continue
        scale = float(g.abs().max())
        same = float((g - g[0]).abs().max()) <= _EQUAL_GRADIENTS * scale
        if float((w - w[0]).abs().max()) < _EQUAL_WEIGHTS and same:
            return True
    return False


@rule(
    "INIT_TOO_LARGE",
    "weights that start too large",
    Phase.EXPERIMENT,
    rank="model",
    place=40,
    severity="warn",
    explains=DESCENT
    | {
        "DEAD_RELU",
        "INIT_TOO_SMALL",
        "INPUT_IGNORED",
        "SATURATED",
        "VANISHING_GRADIENT",
        "WEIGHT_DECAY_TOO_LARGE",
    },
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
def init_too_large(context: CheckContext) -> Iterator[Finding]:
    """A first loss far above that of uniform outputs, of weights that are larger than He's.

    Where they are not, the loss is that of large inputs, and another start only draws another one.
    """
    assert context.first is not None
    L0, chance = context.loss_at_start, context.chance
    if context.kind not in ("cross_entropy", "bce_logits") or not math.isfinite(chance):
        return
    limit = chance + max(_TOO_HIGH, _TOO_HIGH_SHARE * chance)
    if not limit < L0 and math.isfinite(L0):
        return
    if not _beside_he(context.setup.model) > _TOO_LARGE:
        return
    plain, other = context.plain, context.what_if("He's initialisation", change=reinitialised)
    if other is None or not math.isfinite(other.final):  # the rate is too high for any start
        plain = context.by_adam("as it is")
        other = context.by_adam("He's initialisation", change=reinitialised)
    if not lower(other, plain):
        return
    grown = [s for s in context.first.signals.values() if s.gain > _GROWN and s.weight is not None]
    worst = max(grown, key=lambda s: s.gain, default=None)
    evidence = [
        Evidence(f"loss {L0:.3g} before training", f"about {chance:.3g}", "uniform outputs")
    ]
    if worst is not None:
        evidence.append(_deviation(worst))
    if other and plain:
        evidence.append(
            Evidence(
                f"loss {plain.final:.3g} after {len(plain.losses)} steps",
                f"{other.final:.3g} with He's",
                experiment=Experiment.STEPS_AGAIN,
            )
        )
    where = (
        f" (layer {worst.name!r} makes the signal {worst.gain:.3g} times as large)" if worst else ""
    )
    yield make_finding(
        "INIT_TOO_LARGE",
        f"the weights start too large{where}: the first loss is {L0:.3g}",
        "nn.init.kaiming_normal_(layer.weight); nn.init.zeros_(layer.bias)",
        tuple(evidence),
        ruled_out=("the learning rate: the loss is high before the first step",),
        confidence="confirmed",
    )
    seed_generators(0)
    if (clone := context.setup.copy()) is not None:
        context.mend("INIT_TOO_LARGE", reinitialised(clone))


def _beside_he(model: nn.Module) -> float:
    """How many times as large He's initialisation lets the signal be; 1 where nothing is larger.

    Infinite for biases larger than 1: his are 0.
    """
    times = 1.0
    for p in replaced_by_he(model):
        size = float(p.detach().square().mean().sqrt()) if p.numel() else 0.0
        if p.ndim >= 2:
            times *= max(1.0, size / math.sqrt(2 / p[0].numel()))
        elif size > 1:
            return math.inf
    return times


def _deviation(signal: LayerSignal) -> Evidence:
    weight = signal.weight
    assert weight is not None
    fan_in = weight[0].numel()
    measured = float(weight.detach().std())
    return Evidence(
        f"deviation of the weights {measured:.3g}", f"{math.sqrt(2 / fan_in):.3g}", signal.name
    )


@rule(
    "DROPOUT_TOO_HIGH",
    "too much dropout",
    Phase.LONG_EXPERIMENT,
    rank="model",
    place=120,
    severity="warn",
    explains={"LR_TOO_LOW"},
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
def dropout_too_high(context: CheckContext) -> Iterator[Finding]:
    """A dropout of 0.8 and more, if half as much learns better."""
    drops = {
        name: m
        for name, m in context.setup.model.named_modules()
        if isinstance(m, nn.modules.dropout._DropoutNd) and m.p >= _MUCH_DROPOUT
    }
    if not drops:
        return

    def milder(setup: Setup) -> Setup:
        for m in setup.model.modules():
            if isinstance(m, nn.modules.dropout._DropoutNd):
                m.p = min(m.p, 0.5)
        return setup

    other = context.what_if("dropout of at most 0.5", 60, change=milder)
    plain = context.what_if("60 steps as they are", 60)
    if other is None or plain is None or not lower(other, plain):
        return
    name, worst = max(drops.items(), key=lambda item: item[1].p)
    yield make_finding(
        "DROPOUT_TOO_HIGH",
        f"{name} sets {worst.p:.0%} of its units to 0: too little is left to learn from",
        "nn.Dropout(0.5) or less",
        (
            Evidence(f"p = {worst.p:g}", "at most 0.5", name),
            Evidence(
                f"loss {plain.final:.3g} after 60 steps",
                f"{other.final:.3g} with p = 0.5",
                experiment=Experiment.STEPS_AGAIN,
            ),
        ),
        confidence="confirmed",
    )
