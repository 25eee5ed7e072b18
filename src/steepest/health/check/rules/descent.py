"""The optimizer's settings, judged by taking the first steps again with others."""

import math
from collections.abc import Iterator
from typing import Any

from steepest.health.check.context import MEMORISED, CheckContext
from steepest.health.check.rules.pairing import lower
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import (
    EVERYTHING,
    Phase,
    looks_for,
    make_finding,
    rule,
)
from steepest.health.replay.replay import Replay, groups_of, lr_times, momentum_of, without_decay

_LOWER = (0.1, 0.03, 0.01, 1e-3, 1e-4)
_FEW_STEPS = 50
_HIGHER = (10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
_NO_BETTER, _NO_LOWER = 0.98, 0.9  # of the loss of a net that ignores its input; of the first loss
_FAR = 2.0  # nats above the first loss
_MUCH_MOMENTUM = 0.95
_NOTHING_LEARNED, _SOME_LEARNED = 0.01, 0.2  # shares of the loss that the steps take away
_TIMES_AS_MUCH = 20
_DECAYED, _MUCH_DECAY = 0.3, 0.1  # share of a weight that 100 steps of decay take away; the setting


def _groups(context: CheckContext) -> list[dict[str, Any]]:
    return [group for o in context.setup.optimizers for group in groups_of(o)]


def _rate(context: CheckContext) -> float:
    return max((float(g["lr"]) for g in _groups(context) if "lr" in g), default=math.nan)


def _will_rise(context: CheckContext) -> bool:
    """Whether a schedule starts below the rate that is meant."""
    return any(
        float(g.get("max_lr", g.get("initial_lr", 0.0)) or 0.0) > 2 * float(g.get("lr", 0.0))
        or float(g.get("initial_lr", 0.0) or 0.0) > 2 * float(g.get("lr", 0.0))
        for g in _groups(context)
    )


@rule(
    "LR_TOO_HIGH",
    "the learning rate is too high",
    Phase.EXPERIMENT,
    rank="optimizer",
    place=10,
    severity="warn",
    explains=EVERYTHING,
    confirmed_by=(Experiment.STEPS_AGAIN, Experiment.FROM_GOOD_STATE),
)
@rule(
    "MOMENTUM_TOO_HIGH",
    "the momentum is too high",
    rank="optimizer",
    place=30,
    severity="warn",
    explains=EVERYTHING,
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
def lr_too_high(context: CheckContext) -> Iterator[Finding]:
    """The first steps lead nowhere or away, and smaller ones do not."""
    plain = context.plain if context.original_optimizer else None
    if plain is None or not context.classes or not math.isfinite(context.loss_at_start):
        return
    L0, H = context.loss_at_start, context.prior_loss
    away = plain.worst > L0 + max(_FAR, context.chance)
    if not away and plain.final <= max(_NO_BETTER * H, _NO_LOWER * L0):
        return
    factor, other = _best_lower_rate(context)
    if other is None or not lower(other, plain):
        return
    # Labels at random are learned at no rate; from a rate that runs away a lower one is told apart.
    runs_away = plain.final > L0 + _FAR and other.final <= 1.1 * L0
    if other.final > _NO_LOWER * L0 and not runs_away:
        return
    momentum = max((float(g.get("momentum", 0.0) or 0.0) for g in _groups(context)), default=0.0)
    if momentum > _MUCH_MOMENTUM:
        calmer = context.what_if("momentum 0.9", change=momentum_of(0.9))
        if calmer and calmer.finite and calmer.final <= 0.8 * plain.final:
            yield _momentum(context, momentum, plain, calmer)
            return
    lr = _rate(context)
    yield make_finding(
        "LR_TOO_HIGH",
        f"the learning rate {lr:g} is too high: the loss does not fall, and with "
        f"{lr * factor:g} it does"
        if other.final <= _NO_LOWER * L0
        else f"the learning rate {lr:g} is too high: the loss runs away, and with "
        f"{lr * factor:g} it does not",
        f"lr={lr * factor:g}",
        _steps(plain, other, f"with lr {lr * factor:g}"),
        ruled_out=("model and data: the same weights learn on the same batches at the lower rate",),
        confidence="confirmed",
    )


def _best_lower_rate(context: CheckContext) -> tuple[float, Replay | None]:
    """The factor below 1 that ends lowest; smaller ones are tried while they help."""
    best: tuple[float, Replay | None] = (1.0, None)
    for factor in _LOWER:
        other = context.what_if(f"lr x {factor:g}", change=lr_times(factor))
        if other is None:
            break
        if best[1] is None or other.final < best[1].final:
            best = (factor, other)
        elif math.isfinite(best[1].final):
            break
    return best


def _steps(plain: Replay, other: Replay, what: str) -> tuple[Evidence, ...]:
    return (
        Evidence(
            f"loss {plain.first:.3g} -> {plain.final:.3g} in {len(plain.losses)} steps",
            f"{other.final:.3g} {what}",
            "same weights, same batches",
            Experiment.STEPS_AGAIN,
        ),
    )


def _momentum(context: CheckContext, momentum: float, plain: Replay, calmer: Replay) -> Finding:
    lr = _rate(context)
    return make_finding(
        "MOMENTUM_TOO_HIGH",
        f"momentum {momentum:g} makes the effective learning rate {lr / (1 - momentum):.3g}",
        "momentum=0.9",
        _steps(plain, calmer, "with momentum 0.9"),
        ruled_out=("the learning rate: it learns at the same one with momentum 0.9",),
        confidence="confirmed",
    )


@rule(
    "LR_TOO_LOW",
    "the learning rate is too low",
    Phase.LONG_EXPERIMENT,
    rank="optimizer",
    place=20,
    severity="warn",
    explains={"STOPPED_TOO_EARLY"},
    confirmed_by=(
        Experiment.STEPS_AGAIN,
        Experiment.BY_HEART,
    ),
)
def lr_too_low(context: CheckContext) -> Iterator[Finding]:
    """The same few rows barely lower the loss, and do at a rate many times as high."""
    if not context.original_optimizer or not context.classes or _will_rise(context):
        return
    lr = _rate(context)
    if not lr > 0:
        return
    plain = context.by_heart("the own learning rate on 32 rows", context.setup, _FEW_STEPS)
    if plain is None or not plain.finite or not plain.first > 0.5 * context.prior_loss:
        return
    drop = _drop(plain)
    if drop >= _NOTHING_LEARNED:
        return
    for factor in _HIGHER:
        clone = context.setup.copy()
        name = f"lr x {factor:g} on 32 rows"
        other = context.by_heart(name, lr_times(factor)(clone), _FEW_STEPS) if clone else None
        if other is None:
            return
        if other.finite and _drop(other) >= max(_SOME_LEARNED, _TIMES_AS_MUCH * drop):
            yield _too_low(context, lr, factor, plain, other)
            return


@looks_for("LR_TOO_LOW", Phase.SHOWN)
def rate_of_zero(context: CheckContext) -> Iterator[Finding]:
    """A fact, and no experiment."""
    if context.original_optimizer and _rate(context) == 0 and not _will_rise(context):
        yield make_finding(
            "LR_TOO_LOW",
            "the learning rate is 0: no step changes anything",
            "lr=0.1 for SGD, lr=1e-3 for Adam",
            (Evidence("lr 0", "above 0"),),
        )


def _drop(replay: Replay) -> float:
    """The share of the loss that the steps took away."""
    return max(0.0, 1 - replay.losses[-1] / replay.first)


def _too_low(
    context: CheckContext, lr: float, factor: float, plain: Replay, other: Replay
) -> Finding:
    rows = min(MEMORISED, context.sample.rows)
    return make_finding(
        "LR_TOO_LOW",
        f"the learning rate {lr:g} is too low: {len(plain.losses)} steps on the same {rows} rows "
        f"take {_drop(plain):.2%} off the loss",
        f"lr={lr * factor:g}",
        (
            Evidence(
                f"loss {plain.first:.4g} -> {plain.losses[-1]:.4g} in {len(plain.losses)} steps",
                f"{other.losses[-1]:.3g} with lr {lr * factor:g}",
                "same weights, same rows",
                Experiment.BY_HEART,
            ),
        ),
        ruled_out=("model and loss: the same weights learn the same rows at the higher rate",),
        confidence="confirmed",
    )


@rule(
    "WEIGHT_DECAY_TOO_LARGE",
    "the weights shrink faster than they learn",
    Phase.EXPERIMENT,
    rank="optimizer",
    place=40,
    severity="warn",
    explains=EVERYTHING,
    confirmed_by=(Experiment.STEPS_AGAIN,),
)
def weight_decay_too_large(context: CheckContext) -> Iterator[Finding]:
    """The decay of a hundred steps outweighs what is learned in them."""
    decays = [g for g in _groups(context) if float(g.get("weight_decay", 0.0) or 0.0) > 0]
    if not decays or not context.original_optimizer or not context.classes:
        return
    shrink, decay = max((_shrink(g), float(g["weight_decay"])) for g in decays)
    if shrink < _DECAYED and decay < _MUCH_DECAY:
        return
    plain = context.what_if("100 steps as they are", 100)
    if plain is None or not plain.final > 0.8 * context.prior_loss:
        return
    other = context.what_if("no weight decay", 100, change=without_decay)
    if other is None or not lower(other, plain, 0.1):
        return
    yield make_finding(
        "WEIGHT_DECAY_TOO_LARGE",
        f"weight decay {decay:g} shrinks the weights faster than they learn",
        "weight_decay=1e-4",
        (
            *_steps(plain, other, "without weight decay"),
            Evidence(f"weights lose {shrink:.0%} in 100 steps by decay alone", "a few per cent"),
        ),
        ruled_out=("the learning rate: the same one learns without decay",),
        confidence="confirmed",
    )


def _shrink(group: dict[str, Any]) -> float:
    """The share of a weight that 100 steps of decay alone take away."""
    lr, momentum = float(group.get("lr", 0.0)), float(group.get("momentum", 0.0) or 0.0)
    rate = lr * float(group["weight_decay"]) / max(1 - momentum, 1e-3)
    return 1 - math.exp(-min(100 * rate, 700.0))
