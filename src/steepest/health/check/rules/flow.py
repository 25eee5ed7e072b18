"""Whether signals and gradients come through the net before its first step."""

import math
from collections.abc import Iterator

from torch import nn

from steepest.health.check.autograd_graph import graph_nodes
from steepest.health.check.context import MEMORISED, CheckContext
from steepest.health.check.probe_pass import LayerSignal, ProbePass
from steepest.health.check.rules.pairing import lower
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import DESCENT, EVERYTHING, Phase, make_finding, rule
from steepest.health.replay.replay import reinitialised

_RECTIFIERS = ("Relu", "Threshold", "ClampMin", "Hardtanh", "LeakyRelu", "MaxPool")
_NO_BETTER = 0.95  # of the loss of a net that ignores its input: the first steps lead nowhere
_DIED = 1e-4  # deviation of the outputs beside that of the inputs
_VANISHED = 1e-3  # gradient of the first matrix beside that of the last, each by its weights
_WEAK_GAIN = 0.1  # of a layer that is named, about 1 in a sound net
_DEAD, _WIDE = 0.75, 8  # share of units that are 0 in a layer of at least so many; all in others
_SATURATED = 0.5  # share of what a layer is fed that lies within 1 % of a bound


def _layers(passed: ProbePass) -> list[LayerSignal]:
    """Layers with a matrix or a kernel, in the order in which they ran; not embeddings."""
    return [
        s
        for s in passed.signals.values()
        if s.weight is not None and not isinstance(s.module, (nn.Embedding, nn.EmbeddingBag))
    ]


def _harm(context: CheckContext) -> Evidence | None:
    """Evidence of harm: the few rows are not learned, or the first steps lead nowhere."""
    if context.net_learns is False:
        return _not_by_heart()
    plain = context.plain
    stuck = plain is not None and plain.final > _NO_BETTER * max(context.prior_loss, 1e-6)
    if not stuck or context.descends is not False:
        return None
    measured = f"the own optimizer does not halve the loss of {MEMORISED} rows"
    return Evidence(measured, "halved in 200 steps", experiment=Experiment.BY_HEART)


def _not_by_heart() -> Evidence:
    measured = f"{MEMORISED} rows are not learned by heart with Adam"
    return Evidence(measured, "learned", experiment=Experiment.BY_HEART)


@rule(
    "INIT_TOO_SMALL",
    "the signal dies on its way through the net",
    Phase.LONG_EXPERIMENT,
    rank="model",
    place=70,
    severity="warn",
    explains=EVERYTHING | {"NO_NONLINEARITY"},
    confirmed_by=(Experiment.BY_HEART,),
)
@rule(
    "VANISHING_GRADIENT",
    "the first layers get no gradient",
    rank="model",
    place=80,
    severity="warn",
    explains=DESCENT
    | {
        "DEAD_RELU",
        "INIT_TOO_LARGE",
        "INPUT_IGNORED",
        "NO_NONLINEARITY",
        "SATURATED",
        "WEIGHT_DECAY_TOO_LARGE",
    },
    confirmed_by=(Experiment.BY_HEART,),
)
def signal_dies(context: CheckContext) -> Iterator[Finding]:
    """Outputs or gradients that vanish with depth; said with evidence of harm."""
    assert context.first is not None
    layers = _layers(context.first)
    if not context.classes:
        return
    flow = _gradient_flow(context)
    x, z = context.probe.x, context.logits
    into = layers[0].scale_in if layers else math.nan
    if math.isnan(into) and x is not None and x.is_floating_point():
        into = float(x.detach().flatten(1).std(0, correction=0).mean())
    out = float(z.flatten(1).std(0, correction=0).mean()) if z.ndim > 1 and len(z) > 1 else math.nan
    if layers and "LOSS_EXPECTS_LOGITS" in context.mended:
        out = layers[-1].scale_out  # what a softmax flattens did not die on its way
    hidden = layers[-1].scale_in if layers else out
    dead_head = layers and layers[-1].scale_out == 0
    died = into > 0 and out / into < _DIED and (not dead_head or hidden / into < _DIED)
    vanished = flow is not None and 0 < flow < _VANISHED
    harm = _harm(context) if died or vanished else None
    if harm is None:
        return
    squashing = [
        s.fed_by for s in context.first.signals.values() if s.fed_by in ("Sigmoid", "Tanh")
    ]
    squashing += _squashing_in_graph(context)
    evidence = [harm]
    if flow is not None:
        evidence.append(
            Evidence(f"gradient of the first layer {flow:.2g} of the last", "above 1e-3")
        )
    if died:
        share = f"deviation of the outputs {out / into:.2g} of the inputs"
        evidence.append(Evidence(share, "above 1e-4"))
    weak = [s.name for s in layers if s.gain < _WEAK_GAIN]
    if weak:
        evidence.append(Evidence("gain below 0.1", "about 1", ", ".join(weak[:4])))
    if len(squashing) >= 3:
        name = max(set(squashing), key=squashing.count).lower()
        yield make_finding(
            "VANISHING_GRADIENT",
            f"{len(squashing)} {name}s in a row: the first layers get no gradient",
            "nn.ReLU() in place of the squashing activations, nn.init.kaiming_normal_, or "
            "normalisation layers",
            tuple(evidence),
            ruled_out=("convergence: nothing has been learned yet",),
            confidence="confirmed",
        )
    else:
        other = context.what_if("He's initialisation", change=reinitialised)
        cured = lower(other, context.plain)
        if cured and other and context.plain:
            measured = f"loss {context.plain.final:.3g} after {len(context.plain.losses)} steps"
            new = f"{other.final:.3g} with He's initialisation"
            evidence.append(Evidence(measured, new, experiment=Experiment.STEPS_AGAIN))
        yield make_finding(
            "INIT_TOO_SMALL",
            "the signal dies on its way through the net: the weights start too small for its depth",
            f"{'nn.init.kaiming_normal_(layer.weight), ' if cured else ''}normalisation layers or "
            "residual connections",
            tuple(evidence),
            ruled_out=("a zero-initialised last layer: the signal has died before it",),
            confidence="confirmed",
        )


def _squashing_in_graph(context: CheckContext) -> list[str]:
    """Sigmoids and tanhs in the forward pass that no module hears of."""
    assert context.first is not None
    names = [n.name().partition("Backward")[0] for n in graph_nodes(context.first.logits.grad_fn)]
    heard = sum(s.fed_by in ("Sigmoid", "Tanh") for s in context.first.signals.values())
    return [n for n in names if n in ("Sigmoid", "Tanh")][heard:]


def _gradient_flow(context: CheckContext) -> float | None:
    """rms(g)/rms(W) of the first matrix beside that of the last."""
    assert context.first is not None
    ratios = []
    for name, p in context.setup.model.named_parameters():
        grad = context.first.grads.get(name)
        if p.ndim >= 2 and grad is not None:
            w = float(p.detach().double().square().mean().sqrt())
            g = float(grad.double().square().mean().sqrt())
            ratios.append(g / w if w > 1e-12 else math.nan)
    if len(ratios) < 3 or not ratios[-1] > 0:
        return None
    return ratios[0] / ratios[-1]


@rule(
    "DEAD_RELU",
    "units that are 0 for every row",
    Phase.EXPERIMENT,
    rank="model",
    place=50,
    severity="error",
    explains=DESCENT
    | {
        "INIT_TOO_SMALL",
        "INPUT_IGNORED",
        "NO_NONLINEARITY",
        "SATURATED",
        "VANISHING_GRADIENT",
        "WEIGHT_DECAY_TOO_LARGE",
    },
    confirmed_by=(
        Experiment.STEPS_AGAIN,
        Experiment.BY_HEART,
    ),
)
def dead_relu(context: CheckContext) -> Iterator[Finding]:
    """Units that are 0 for every row before the first step; a warning if a new start learns better.

    Three of four; in layers of fewer than 8, where that is chance, all. Half of them are dead at
    times in the fifth layer of a sound net. An error if all are, and nothing goes past them: the
    net cannot learn a few rows by heart.
    """
    assert context.first is not None
    dead = [
        s
        for s in context.first.signals.values()
        if s.zero_units >= (_DEAD if s.units >= _WIDE else 1.0) and s.fed_by.startswith(_RECTIFIERS)
    ]
    if not dead:
        return
    worst = max(dead, key=lambda s: s.zero_units)
    whole = worst.zero_units == 1.0 and context.net_learns is False
    other = context.what_if("He's initialisation", change=reinitialised)
    better = lower(other, context.plain)
    if not (whole or better):
        return
    count = f"{round(worst.zero_units * worst.units)} of {worst.units} units dead"
    evidence = [Evidence(count, "few", f"{context.probe.rows} rows")]
    if better and other and context.plain:
        measured = f"loss {context.plain.final:.3g} after {len(context.plain.losses)} steps"
        new = f"{other.final:.3g} with He's initialisation and biases of 0"
        evidence.append(Evidence(measured, new, experiment=Experiment.STEPS_AGAIN))
    if whole:
        evidence.append(_not_by_heart())
    yield make_finding(
        "DEAD_RELU",
        f"{worst.zero_units:.0%} of the units before {worst.name or 'the output'} are 0 for every "
        "row: no gradient passes",
        "nn.init.zeros_(layer.bias); nn.init.kaiming_normal_(layer.weight)",
        tuple(evidence),
        ruled_out=("sparsity: these units are 0 on all rows, not on some",),
        confidence="confirmed",
        severity="error" if whole else "warn",
    )


@rule(
    "SATURATED",
    "units at the bounds of tanh or sigmoid",
    Phase.LONG_EXPERIMENT,
    rank="model",
    place=60,
    severity="warn",
    explains=DESCENT
    | {
        "DEAD_RELU",
        "INIT_TOO_SMALL",
        "INPUT_IGNORED",
        "NO_NONLINEARITY",
        "VANISHING_GRADIENT",
        "WEIGHT_DECAY_TOO_LARGE",
    },
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
def saturated(context: CheckContext) -> Iterator[Finding]:
    """Hidden tanhs and sigmoids at their bounds; a warning if a new start learns better.

    By steps of Adam at rates of the experiment's own: at a low rate no start learns in so few.
    """
    assert context.first is not None
    stuck = [s for s in context.first.signals.values() if s.saturated > _SATURATED]
    if not stuck:
        return
    worst = max(stuck, key=lambda s: s.saturated)
    as_it_is = context.by_adam("as it is")
    other = context.by_adam("He's initialisation", change=reinitialised)
    if as_it_is is None or other is None or not lower(other, as_it_is):
        return
    yield make_finding(
        "SATURATED",
        f"{worst.saturated:.0%} of what goes into {worst.name} lies at the bounds of "
        f"{worst.fed_by.lower()}: its slope there is almost 0",
        "nn.init.xavier_uniform_(layer.weight), and inputs of unit scale",
        (
            Evidence(f"{worst.saturated:.0%} within 1 % of a bound", "below 50 %", worst.name),
            Evidence(
                f"loss {as_it_is.final:.3g} after {len(as_it_is.losses)} steps of Adam",
                f"{other.final:.3g} with a new start",
                experiment=Experiment.STEPS_AGAIN,
            ),
        ),
        confidence="confirmed",
    )
