"""When a training looks wrong: its first steps again, on copies, with one thing changed."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from steepest.health.check.check import examine
from steepest.health.clock import Clock
from steepest.health.findings.finding import Finding
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup, groups_of, lr_times, replay
from steepest.health.watch.rules.relapse import ROSE, Good, Tried, rate_rose_at_once
from steepest.health.watch.trace import TrainingTrace

# Chosen by hand: a symptom only opens the experiments, and these decide. The fault programs and the
# healthy controls of tests/faults hold them from both sides.
PATIENCE = 200  # steps after which a loss should have moved
NO_PROGRESS = 0.98  # share of the loss of a constant answer
FAR = 2.0  # nats above the first loss
_STEPS = (30, 100)  # of a what-if; the longer one where the shorter shows nothing
_PARTS, _LEARNS = (0.1, 0.01), 0.9  # of the highest rate; of the first loss
_EARLY = 50  # steps within which a loss that runs away does so


def suspicious(trace: TrainingTrace, *, at_end: bool = False) -> bool:
    """Evidence of harm: not finite, far above its start, or no better than a constant answer.

    The last is asked after 200 steps or at the first evaluation, whichever is later, and at the end
    of a shorter training.
    """
    if trace.first_nonfinite is not None:
        return True
    # The steps of a loop that passes several batches at once cannot be taken again here.
    if not trace.losses or trace.shared > 0.1 * trace.backwards:
        return False
    start, now = trace.losses[0], trace.loss_now
    H = trace.prior_loss
    if trace.steps <= _EARLY and len(trace.recent) >= 5:
        latest = list(trace.recent)[-5:]
        if min(latest) > start + max(FAR, math.log(max(trace.classes, 2))):
            return True
    waited = trace.steps >= PATIENCE and (trace.evaluations or trace.steps >= 2 * PATIENCE)
    if not (waited or (at_end and trace.steps >= 20)):
        return False
    flat = now >= NO_PROGRESS * H if math.isfinite(H) else now >= NO_PROGRESS * start
    return bool(flat)


def pre_flight(
    started: Setup,
    trace: TrainingTrace,
    seconds: float,
    experiments: bool,
    reached: frozenset[str],
) -> Iterable[Finding]:
    """What the check finds on the first minibatches and the model as it was at the start.

    reached: parameters that got a gradient in the loop, which may have more losses than this one.
    """
    raw = [_raw(batch) for batch in trace.batches]
    if not raw:
        return
    findings = examine(
        started, raw, None, seconds, thorough=False, experiments=experiments, reached=reached
    )
    for finding in findings:
        # The loop runs: a call that fails is one that was not understood here.
        if finding.code not in ("NOT_CHECKED", "LOSS_FAILS", "FORWARD_FAILS"):
            yield replace(finding, step=trace.steps)


def risen_since(started: Setup, trace: TrainingTrace, seconds: float) -> Iterable[Finding]:
    """LR_ROSE, if from the first weights on the highest rate learns nothing, and a part of it much.

    Of a rate that came later: that at the start is the check's.
    """
    first = max(
        (float(g.get("lr", 0.0)) for o in started.optimizers for g in groups_of(o)), default=0.0
    )
    highest = max((o.highest_lr for o in trace.optimizers), default=0.0)
    if not 0 < ROSE * first <= highest or not trace.batches:
        return
    batches, clock = trace.equal_batches, Clock(seconds)
    for steps in _STEPS:
        high = replay(started, batches, steps, change=lr_times(highest / first), clock=clock)
        if high is None or high.cut or high.final < NO_PROGRESS * high.first:
            return
        for share in _PARTS:
            low = replay(
                started, batches, steps, change=lr_times(share * highest / first), clock=clock
            )
            if low is None or low.cut:
                return
            if low.final < _LEARNS * low.first:
                start = Good(0, low.first, first)
                tried = Tried(steps, highest, high.final, low.final)
                yield rate_rose_at_once(trace.steps, start, tried, share * highest)
                return


def lost_since(now: Setup, trace: TrainingTrace, seconds: float) -> Iterable[Finding]:
    """What the check finds of the model as it is now, where it found nothing at the start.

    Units that died or saturated on the way: a spike of the rate, say. now: a copy.
    """
    raw = [_raw(batch) for batch in trace.batches]
    if not raw or trace.first_nonfinite is not None:
        return
    for finding in examine(now, raw, None, seconds, steady=False, thorough=False):
        if finding.code in ("DEAD_RELU", "SATURATED"):
            healthy = "the start: the check found nothing in the first weights"
            yield replace(finding, step=trace.steps, ruled_out=(*finding.ruled_out, healthy))


def _raw(batch: Batch) -> Any:
    """The batch as a loader would give it."""
    if batch.kwargs:
        return {**batch.kwargs, "labels": batch.target}
    return (*batch.args, batch.target)
