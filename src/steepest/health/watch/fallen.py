"""A rate that is gone early: whether steps at the highest one would still bring much."""

import math
from collections.abc import Iterator

from steepest.health.clock import Clock
from steepest.health.findings.finding import Finding
from steepest.health.replay.replay import Replay, Setup, lr_times, replay
from steepest.health.watch.rules.unfinished import fell_too_soon
from steepest.health.watch.trace import TrainingTrace

# Of the steps: a rate that is gone later is the end of a schedule. So many steps it has been gone.
_EARLY, _LONG = 0.5, 50
# Minibatches that are passed, each once; with fewer nothing is learned that another one shows.
_FEWEST = 8
# What the higher rate has to bring: a share of the loss, and of that of a net that knows nothing.
_LOWER, _WORTH = 0.85, 0.02


def fallen(now: Setup, trace: TrainingTrace, seconds: float) -> Iterator[Finding]:
    """At the end of a training. now: the user's objects.

    Each minibatch is passed once, and its loss is that before its own step: rows learned by heart
    in these few steps bring nothing.
    """
    for optimizer in trace.optimizers:
        at, rate = optimizer.collapsed_at, optimizer.lr()
        if at is None or not rate > 0 or len(trace.optimizers) > 1:
            continue
        if at > _EARLY * optimizer.steps or optimizer.steps < at + _LONG:
            continue
        batches = trace.equal_batches
        if len(batches) < _FEWEST:
            continue
        clock, rise = Clock(seconds), lr_times(optimizer.highest_lr / rate)
        low = replay(now, batches, len(batches), clock=clock)
        high = replay(now, batches, len(batches), change=rise, clock=clock)
        if low is None or high is None or low.cut or high.cut:
            continue
        before, after = _late(low), _late(high)
        if after < _LOWER * before and before - after > _WORTH * trace.untrained_loss:
            yield fell_too_soon(optimizer, at, (before, after), len(batches))


def _late(taken: Replay) -> float:
    """Mean loss of the last half; infinite if any was not finite."""
    late = taken.losses[len(taken.losses) // 2 :]
    return sum(late) / len(late) if taken.finite else math.inf
