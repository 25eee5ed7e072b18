"""The net before its first step: symmetry, scale, dead units, what reaches what."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from steepest.engine import seed_generators
from steepest.health.check.probes import CheckContext, Pass, Signal, head_name
from steepest.health.check.rules.pairing import lower
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import DESCENT, EVERYTHING, Phase, make_finding, rule
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup, first_tensor, reinitialised

_RECTIFIERS = ("Relu", "Threshold", "ClampMin", "Hardtanh", "LeakyRelu", "MaxPool")


@rule(
    "SYMMETRIC_INIT",
    "units that start equal",
    Phase.FIRST_PASS,
    rank="model",
    place=30,
    severity="error",
    explains=EVERYTHING | {"DETACHED_GRAPH"},
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
    value = f"all {float(p.flatten()[0]):.3g}" if float(p.std(correction=0)) < 1e-7 else "equal"
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
        scale = float(g.abs().max())
        same = float((g - g[0]).abs().max()) <= 1e-5 * scale
        if float((w - w[0]).abs().max()) < 1e-7 and same:
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
)
def init_too_large(context: CheckContext) -> Iterator[Finding]:
    """A first loss far above that of uniform outputs, which other inputs would not cure."""
    assert context.first is not None
    L0, chance = context.loss_at_start, context.chance
    if context.kind not in ("cross_entropy", "bce_logits") or not math.isfinite(chance):
        return
    limit = chance + max(1.5, 0.75 * chance)
    if not limit < L0 and math.isfinite(L0):
        return
    other = context.what_if("He's initialisation", change=reinitialised)
    if not lower(other, context.plain):
        return
    grown = [
        s for s in context.first.signals.values() if s.gain > 3 and _weights(s.module) is not None
    ]
    worst = max(grown, key=lambda s: s.gain, default=None)
    evidence = [
        Evidence(f"loss {L0:.3g} before training", f"about {chance:.3g}", "uniform outputs")
    ]
    if worst is not None:
        evidence.append(_deviation(worst))
    if other and context.plain:
        evidence.append(
            Evidence(
                f"loss {context.plain.final:.3g} after 30 steps", f"{other.final:.3g} with He's"
            )
        )
    where = f" ({worst.name} makes the signal {worst.gain:.3g} times as large)" if worst else ""
    yield make_finding(
        "INIT_TOO_LARGE",
        f"the weights start too large{where}: the first loss is {L0:.3g}",
        "nn.init.kaiming_normal_(layer.weight); nn.init.zeros_(layer.bias)",
        tuple(evidence),
        ruled_out=("the learning rate: the loss is high before the first step",),
        confidence="confirmed",
    )


def _weights(module: nn.Module) -> Tensor | None:
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, Tensor) and weight.ndim >= 2 else None


def _deviation(signal: Signal) -> Evidence:
    weight = _weights(signal.module)
    assert weight is not None
    fan_in = weight[0].numel()
    measured = float(weight.detach().std())
    return Evidence(
        f"deviation of the weights {measured:.3g}", f"{math.sqrt(2 / fan_in):.3g}", signal.name
    )


def _layers(passed: Pass) -> list[Signal]:
    """Layers with a matrix or a kernel, in the order in which they ran; not embeddings."""
    return [
        s
        for s in passed.signals.values()
        if _weights(s.module) is not None
        and not isinstance(s.module, (nn.Embedding, nn.EmbeddingBag))
    ]


def _fails(context: CheckContext) -> bool:
    """Evidence of harm: the few rows are not learned, or the first steps lead nowhere."""
    plain = context.plain
    stuck = plain is not None and plain.final > 0.95 * max(context.prior_loss, 1e-6)
    return context.net_learns is False or (stuck and context.descends is False)


@rule(
    "INIT_TOO_SMALL",
    "the signal dies on its way through the net",
    Phase.LONG_EXPERIMENT,
    rank="model",
    place=70,
    severity="warn",
    explains=EVERYTHING,
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
)
def signal_dies(context: CheckContext) -> Iterator[Finding]:
    """Outputs or gradients that vanish with depth; loud with evidence of harm."""
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
    hidden = layers[-1].scale_in if layers else out
    dead_head = layers and layers[-1].scale_out == 0
    died = into > 0 and out / into < 1e-4 and (not dead_head or hidden / into < 1e-4)
    vanished = flow is not None and 0 < flow < 1e-3
    if not (died or vanished) or not _fails(context):
        return
    squashing = [
        s.fed_by for s in context.first.signals.values() if s.fed_by in ("Sigmoid", "Tanh")
    ]
    squashing += _squashing_in_graph(context)
    evidence = []
    if flow is not None:
        evidence.append(
            Evidence(f"gradient of the first layer {flow:.2g} of the last", "above 1e-3")
        )
    if died:
        share = f"deviation of the outputs {out / into:.2g} of the inputs"
        evidence.append(Evidence(share, "above 1e-4"))
    weak = [s.name for s in layers if s.gain < 0.1]
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
            evidence.append(Evidence(measured, f"{other.final:.3g} with He's initialisation"))
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
    from steepest.health.check.probes import graph_nodes

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
)
def dead_relu(context: CheckContext) -> Iterator[Finding]:
    """Units that are 0 for every row before the first step; loud if a new start learns better.

    Three of four; in layers of fewer than 8, where that is chance, all. Half of them are dead at
    times in the fifth layer of a sound net. An error if all are, and nothing goes past them: the
    net cannot learn a few rows by heart.
    """
    assert context.first is not None
    dead = [
        s
        for s in context.first.signals.values()
        if s.zero_units >= (0.75 if s.units >= 8 else 1.0) and s.fed_by.startswith(_RECTIFIERS)
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
        evidence.append(Evidence(measured, new))
    if whole:
        evidence.append(Evidence("32 rows are not learned by heart with Adam", "learned"))
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
)
def saturated(context: CheckContext) -> Iterator[Finding]:
    """Hidden tanhs and sigmoids at their bounds; loud if a new start learns better."""
    assert context.first is not None
    stuck = [s for s in context.first.signals.values() if s.saturated > 0.5]
    if not stuck:
        return
    worst = max(stuck, key=lambda s: s.saturated)
    other = context.what_if("He's initialisation", change=reinitialised)
    if not lower(other, context.plain):
        return
    assert other is not None
    assert context.plain is not None
    yield make_finding(
        "SATURATED",
        f"{worst.saturated:.0%} of what goes into {worst.name} lies at the bounds of "
        f"{worst.fed_by.lower()}: its slope there is almost 0",
        "nn.init.xavier_uniform_(layer.weight), and inputs of unit scale",
        (
            Evidence(f"{worst.saturated:.0%} within 1 % of a bound", "below 50 %", worst.name),
            Evidence(f"loss {context.plain.final:.3g}", f"{other.final:.3g} with a new start"),
        ),
        confidence="confirmed",
    )


@rule(
    "NO_NONLINEARITY",
    "layers without activation between them",
    Phase.PROBE,
    rank="model",
    place=100,
    severity="warn",
)
def no_nonlinearity(context: CheckContext) -> Iterator[Finding]:
    """Whether the logits are an affine function of the input although there are several layers."""
    assert context.first is not None
    x = context.probe.x
    matrices = [
        n for n, g in context.first.grads.items() if g is not None and _is_matrix(context, n)
    ]
    if x is None or not x.is_floating_point() or len(matrices) < 2 or context.probe.rows < 8:
        return
    # Far out as well: rows near 0 may all lie on one linear piece of a rectifier.
    rms = float(x.double().square().mean().sqrt())
    scales = (1.0, 10 / rms) if 0 < rms < 10 else (1.0,)
    inputs = [x * scale for scale in scales]
    if (_largest_defect(context, context.setup, inputs) or 0.0) > 1e-6:
        return
    # After some steps: a residual branch that starts at 0 hides its activations until then.
    defect = _largest_defect(context, context.awake, inputs)
    if defect is None or defect > 1e-6:
        return
    yield make_finding(
        "NO_NONLINEARITY",
        f"{len(matrices)} layers without an activation between them: together they are one linear "
        "layer",
        "nn.ReLU() after each hidden layer",
        (Evidence(f"departure from an affine function {defect:.1g}", "above 1e-6", "float64"),),
        ruled_out=(f"logistic regression: {len(matrices)} weight matrices are in use",),
    )


def _is_matrix(context: CheckContext, name: str) -> bool:
    return context.setup.model.get_parameter(name).ndim >= 2


def _largest_defect(
    context: CheckContext, setup: Setup | None, inputs: list[Tensor]
) -> float | None:
    defects = [d for d in (_affine_defect(context, setup, x) for x in inputs) if d is not None]
    return max(defects, default=None)


def _affine_defect(context: CheckContext, setup: Setup | None, x: Tensor) -> float | None:
    """|f(ax + by) - a f(x) - b f(y) - (1-a-b) f(0)| beside what f varies by; None if constant."""
    clone = setup.copy() if setup else None
    if clone is None:
        return None
    model = clone.model.double().eval()
    few = context.probe.take(slice(0, 8))
    u, v = x[:4].double(), x[4:8].double()
    batch = few.take(slice(0, 4)).double()
    head = head_name(context.first.logits) if context.first else ""

    def f(inputs: Tensor) -> Tensor:
        z = first_tensor(Setup(model, clone.loss_fn).outputs(batch.with_x(inputs)))
        assert z is not None
        if head in ("Softmax", "Sigmoid"):
            z = z.log() if head == "Softmax" else torch.logit(z)
        if head in ("Softmax", "LogSoftmax") and z.ndim > 1:
            z = z - z.mean(-1, keepdim=True)
        return z

    with torch.no_grad():
        fu, fv, f0 = f(u), f(v), f(torch.zeros_like(u))
        mixed = f(0.7 * u + 1.6 * v)
    wide = float((fu - f0).norm() + (fv - f0).norm())
    if not wide > 1e-9 * (1 + float(f0.norm())) or not math.isfinite(wide):
        return None
    return float((mixed - 0.7 * fu - 1.6 * fv + 1.3 * f0).norm()) / wide


@rule(
    "BATCH_MIXING",
    "rows of a batch influence each other",
    Phase.PROBE,
    rank="model",
    place=20,
    severity="warn",
    explains={"OVERFIT"},
)
def batch_mixing(context: CheckContext) -> Iterator[Finding]:
    """Whether another first row changes what the other rows get, in eval mode."""
    rows = min(context.probe.rows, 16)
    clone = context.setup.copy()
    if clone is None or rows < 3 or _mixes_by_design(context.setup.model):
        return
    clone.model.eval()
    few = context.probe.take(slice(0, rows))
    order = torch.arange(rows)
    order[0] = rows - 1
    with torch.no_grad():
        seed_generators(0)
        a = first_tensor(clone.outputs(few))
        seed_generators(0)
        again = first_tensor(clone.outputs(few))
        seed_generators(0)
        b = first_tensor(clone.outputs(few.take(order)))
    if a is None or b is None or again is None or a.shape != b.shape or len(a) != rows:
        return
    if not torch.equal(a, again):
        return
    gap = float((a[1:] - b[1:]).abs().max())
    if gap > 1e-4 * max(1e-3, float(a.detach().std())):
        yield make_finding(
            "BATCH_MIXING",
            "a row's output depends on the other rows of its batch, in eval mode too",
            "look for view or reshape in place of transpose, batch_first=True, softmax over dim 0",
            (Evidence(f"other rows change by {gap:.3g}", "0", "first row replaced"),),
            ruled_out=("batch normalisation: the model was in eval mode",),
        )


def _mixes_by_design(model: nn.Module) -> bool:
    norms = (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._NormBase))
    return any(norm.running_mean is None for norm in norms)


@rule(
    "INPUT_IGNORED",
    "the outputs do not depend on the input",
    Phase.PROBE,
    rank="model",
    place=90,
    severity="warn",
    explains=EVERYTHING,
)
def input_ignored(context: CheckContext) -> Iterator[Finding]:
    """Inputs, or columns of a table, whose exchange between rows changes no output."""
    x = context.probe.x
    if x is None or context.probe.rows < 8:
        return
    some = context.probe.take(slice(0, min(64, context.probe.rows)))
    assert some.x is not None
    varied = (some.x != some.x[0]).flatten(1).any(0)
    if not bool(varied.any()) or _reaches_the_outputs(context.setup.copy(), some, varied):
        return
    clone = context.awake.copy() if context.awake else None
    z = _outputs(clone.eval(), some) if clone else None
    if clone is None or z is None:
        return
    rolled = _outputs(clone, _rolled(some))
    if rolled is not None and torch.equal(z, rolled):
        yield make_finding(
            "INPUT_IGNORED",
            "the outputs are the same whatever the input is",
            "look for a product with 0, a wrong slice, or dead layers at the start of forward",
            (Evidence("0 outputs change if rows are exchanged", "all"),),
            ruled_out=("a zero-initialised last layer: it was tried after some steps of Adam",),
        )
    elif x.ndim == 2 and x.is_floating_point() and x.shape[1] <= 512:
        yield from _ignored_columns(clone, some, z, varied)


def _reaches_the_outputs(setup: Setup | None, some: Batch, varied: Tensor) -> bool:
    """Whether each input that varies moves the outputs as the model is, before any step."""
    z = _outputs(setup.eval(), some) if setup else None
    rolled = _outputs(setup, _rolled(some)) if setup else None
    if setup is None or z is None or rolled is None or torch.equal(z, rolled):
        return False
    still = _without_gradient(setup, some)
    return still is not None and not bool((still & varied).any())


def _without_gradient(setup: Setup, some: Batch) -> Tensor | None:
    """Whether each input (d,) has no gradient in any row; None if that cannot be told."""
    assert some.x is not None
    x = some.x.detach().clone()
    if not x.is_floating_point():
        return None
    out = first_tensor(setup.outputs(some.with_x(x.requires_grad_())))
    if out is None or not out.requires_grad:
        return None
    out.square().sum().backward()  # type: ignore[no-untyped-call]
    return None if x.grad is None else (x.grad == 0).flatten(1).all(0)


def _rolled(batch: Batch) -> Batch:
    order = torch.arange(batch.rows).roll(1)
    return Batch(batch.take(order).args, batch.target, batch.take(order).kwargs)


def _outputs(setup: Setup, batch: Batch) -> Tensor | None:
    with torch.no_grad():
        seed_generators(0)
        return first_tensor(setup.outputs(batch))


def _ignored_columns(clone: Setup, some: Batch, z: Tensor, varied: Tensor) -> Iterator[Finding]:
    assert some.x is not None
    quiet = _without_gradient(clone, some)
    if quiet is None or not bool((still := quiet & varied).any()):
        return
    exchanged = torch.where(still, some.x.roll(1, 0), some.x)
    other = _outputs(clone, some.with_x(exchanged))
    if other is None or not torch.equal(z, other):
        return
    columns = still.nonzero()[:, 0].tolist()
    shown = ", ".join(map(str, columns[:8])) + (" ..." if len(columns) > 8 else "")
    yield make_finding(
        "INPUT_IGNORED",
        f"{len(columns)} of {some.x.shape[1]} columns have no influence on the outputs: {shown}",
        "look for a wrong slice at the start of forward; leave the columns out if that is meant",
        (Evidence("0 outputs change if these columns are exchanged", "all", f"columns {shown}"),),
        ruled_out=("constant columns: these vary",),
    )


@rule(
    "DROPOUT_TOO_HIGH",
    "too much dropout",
    Phase.LONG_EXPERIMENT,
    rank="model",
    place=120,
    severity="warn",
    explains={"LR_TOO_LOW"},
)
def dropout_too_high(context: CheckContext) -> Iterator[Finding]:
    """A dropout of 0.8 and more, if half as much learns better."""
    drops = {
        name: m
        for name, m in context.setup.model.named_modules()
        if isinstance(m, nn.modules.dropout._DropoutNd) and m.p >= 0.8
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
            Evidence(f"loss {plain.final:.3g} after 60 steps", f"{other.final:.3g} with p = 0.5"),
        ),
        confidence="confirmed",
    )
