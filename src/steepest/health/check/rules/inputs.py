"""The scale of the inputs: a fact becomes a finding if standardising them helps."""

import math
from collections.abc import Iterator

from torch import Tensor

from steepest.engine import NORMS
from steepest.health.check.context import CheckContext
from steepest.health.check.probe_pass import run_pass
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import EVERYTHING, Phase, make_finding, rule
from steepest.health.foreign import swallow
from steepest.health.replay.replay import Replay

_FIX = "mean, std = X_train.mean({axes}), X_train.std({axes}); X = (X - mean) / std  # both parts"
_SMALL, _LARGE = 0.02, 10.0  # root mean squares within which inputs are not suspected
_APART = 1e3  # deviations of the widest and the narrowest column of one table
_BETTER, _MUCH_BETTER = 0.2, 0.3  # share of the loss that standardised inputs save
_STARTS_HIGHER = 1.5  # times the first loss of standardised inputs


@rule(
    "INPUT_NOT_NORMALISED",
    "inputs far from unit scale",
    Phase.SHOWN,
    rank="input scale",
    place=10,
    severity="warn",
    explains=EVERYTHING,
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
@rule(
    "FEATURE_SCALES_MIXED",
    "columns of very different scales",
    rank="input scale",
    place=20,
    severity="warn",
    explains=EVERYTHING,
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
@rule(
    "INPUT_TOO_SMALL",
    "inputs near 0",
    rank="input scale",
    place=30,
    severity="warn",
    explains=EVERYTHING,
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
def input_scale(context: CheckContext) -> Iterator[Finding]:
    """Inputs that are too large, too small, or mixed."""
    x = context.sample.x
    if x is None or not x.is_floating_point() or x.ndim < 2 or not bool(x.isfinite().all()):
        return
    rms = float(x.double().square().mean().sqrt())
    widest = _mixed_columns(x)
    if _SMALL <= rms <= _LARGE and widest is None:
        return
    transform = context.standardise
    plain = context.plain
    if transform is None:
        return
    other = context.what_if("standardised inputs", transform=transform) if plain else None
    if plain is None or other is None:
        if rms > _LARGE and (where := _fed_as_they_are(context)):
            what = _size(x, rms)
            yield make_finding(
                "INPUT_NOT_NORMALISED",
                f"the inputs are not normalised ({what}), and reach {where!r} as they are",
                _FIX.format(axes="(0, 2, 3)" if x.ndim == 4 else "0"),
                (_scale(x, rms),),
                confidence="suspected",
            )
        return
    start = _loss_at_start(context)
    needed = _MUCH_BETTER if rms < _SMALL and widest is None else _BETTER
    if not math.isfinite(other.final):  # the rate is too high for inputs of any scale
        plain = context.by_adam("as it is")
        other = context.by_adam("standardised inputs", transform=transform)
        if plain is None or other is None:
            return
    cured = other.final <= (1 - needed) * plain.final
    from_start = start is not None and context.loss_at_start > _STARTS_HIGHER * start and start > 0
    if not (cured or from_start) or not other.final < plain.final:
        return
    found = _finding(context, x, rms, widest, plain, other, start)
    yield found
    context.mend(found.code, transform=transform)


def _fed_as_they_are(context: CheckContext) -> str:
    """The first layer with weights if it is fed inputs of that size and nothing normalises them.

    For nets whose steps there is no time for; "" otherwise. Behind a layer of normalisation, or one
    whose outputs are normalised at once, the size of the inputs does no harm.
    """
    assert context.first is not None
    layers = [s for s in context.first.signals.values() if any(True for _ in s.module.parameters())]
    if not layers or any(isinstance(s.module, NORMS) for s in layers[:2]):
        return ""
    return layers[0].name if layers[0].scale_in > _LARGE else ""


def _scale(x: Tensor, rms: float) -> Evidence:
    low, high = float(x.min()), float(x.max())
    return Evidence(f"root mean square {rms:.3g}, from {low:.3g} to {high:.3g}", "about 1")


def _size(x: Tensor, rms: float) -> str:
    low, high = float(x.min()), float(x.max())
    whole = low >= 0 and 100 < high <= 255 and bool((x == x.round()).all())
    return "raw 8-bit pixels, 0 to 255" if whole else f"a root mean square of {rms:.3g}"


def _mixed_columns(x: Tensor) -> list[tuple[int, float]] | None:
    """The widest and the narrowest columns of a table if they lie a thousandfold apart."""
    if x.ndim != 2 or x.shape[1] < 2:
        return None
    std = x.double().std(0)
    dense = ((x == 0).double().mean(0) < 0.8) & (std > 0)
    if int(dense.sum()) < 2:
        return None
    columns = dense.nonzero()[:, 0]
    order = columns[std[columns].argsort(descending=True)]
    if float(std[order[0]]) <= _APART * float(std[order[-1]]):
        return None
    shown = [*order[:3].tolist(), int(order[-1])]
    return [(k, float(std[k])) for k in shown]


def _loss_at_start(context: CheckContext) -> float | None:
    """L0 with standardised inputs."""
    assert context.standardise is not None
    try:
        passed = run_pass(context.setup, context.standardise(context.probe))
    except Exception as error:  # the user's code runs in here
        swallow(error)
        return None
    if passed is None:
        return None
    return passed.loss / (context.probe.rows if context.summed else 1)


def _finding(
    context: CheckContext,
    x: Tensor,
    rms: float,
    widest: list[tuple[int, float]] | None,
    plain: Replay,
    other: Replay,
    start: float | None,
) -> Finding:
    steps = len(other.losses)
    evidence = [
        _scale(x, rms),
        Evidence(
            f"loss {plain.final:.3g} after {steps} steps",
            f"{other.final:.3g} with standardised inputs",
            "same weights, same batches",
            Experiment.STEPS_AGAIN,
        ),
    ]
    if start is not None and context.loss_at_start > _STARTS_HIGHER * start:
        evidence.append(Evidence(f"loss at the start {context.loss_at_start:.3g}", f"{start:.3g}"))
    ruled_out = ("learning rate and initialisation: the same ones do with standardised inputs",)
    fix = _FIX.format(axes="(0, 2, 3)" if x.ndim == 4 else "0")
    if widest is not None:
        named = ", ".join(f"{k}: {std:.3g}" for k, std in widest)
        evidence.insert(0, Evidence(f"deviations of columns {named}", "within a factor of 1000"))
        message = "columns of very different scales: the widest ones drown the others"
        return _of("FEATURE_SCALES_MIXED", message, fix, evidence, ruled_out)
    if rms < _SMALL:
        message = "the inputs are close to 0: they were scaled twice"
        return _of("INPUT_TOO_SMALL", message, "scale once: X / 255", evidence, ruled_out)
    message = f"the inputs are not normalised ({_size(x, rms)})"
    return _of("INPUT_NOT_NORMALISED", message, fix, evidence, ruled_out)


def _of(
    code: str, message: str, fix: str, evidence: list[Evidence], ruled_out: tuple[str, ...]
) -> Finding:
    return make_finding(code, message, fix, evidence, ruled_out=ruled_out, confidence="confirmed")
