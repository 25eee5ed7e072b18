"""When a training looks wrong: its first steps again, on copies, with one thing changed."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from steepest.health.check.check import examine
from steepest.health.findings.finding import Finding
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup
from steepest.health.watch.seen import Seen

_PATIENCE = 200  # steps after which a loss should have moved
_NO_PROGRESS = 0.98


def suspicious(seen: Seen, *, at_end: bool = False) -> bool:
    """Evidence of harm: not finite, far above its start, or no better than a constant answer.

    The last is asked after 200 steps or at the first evaluation, whichever is later, and at the end
    of a shorter training.
    """
    if seen.first_nonfinite is not None:
        return True
    # The steps of a loop that passes several batches at once cannot be taken again here.
    if not seen.losses or seen.shared > 0.1 * seen.backwards:
        return False
    start, now = seen.losses[0], seen.loss_now
    H = seen.prior_loss
    if seen.steps <= 50 and len(seen.recent) >= 5:
        latest = list(seen.recent)[-5:]
        if min(latest) > start + max(2.0, math.log(max(seen.classes, 2))):
            return True
    waited = seen.steps >= _PATIENCE and (seen.evaluations or seen.steps >= 2 * _PATIENCE)
    if not (waited or (at_end and seen.steps >= 20)):
        return False
    flat = now >= _NO_PROGRESS * H if math.isfinite(H) else now >= _NO_PROGRESS * start
    return bool(flat)


def pre_flight(started: Setup, seen: Seen, seconds: float, experiments: bool) -> Iterable[Finding]:
    """What the check finds on the first minibatches and the model as it was at the start."""
    raw = [_raw(batch) for batch in seen.batches]
    if not raw:
        return
    found = examine(started, raw, None, seconds, thorough=False, experiments=experiments)
    for finding in found:
        # The loop runs: a call that fails is one that was not understood here.
        if finding.code not in ("NOT_CHECKED", "LOSS_FAILS", "FORWARD_FAILS"):
            yield replace(finding, step=seen.steps)


def lost_since(now: Setup, seen: Seen, seconds: float) -> Iterable[Finding]:
    """What the check finds of the model as it is now, where it found nothing at the start.

    Units that died or saturated on the way: a spike of the rate, say. now: a copy.
    """
    raw = [_raw(batch) for batch in seen.batches]
    if not raw or seen.first_nonfinite is not None:
        return
    for finding in examine(now, raw, None, seconds, steady=False, thorough=False):
        if finding.code in ("DEAD_RELU", "SATURATED"):
            healthy = "the start: the check found nothing in the first weights"
            yield replace(finding, step=seen.steps, ruled_out=(*finding.ruled_out, healthy))


def _raw(batch: Batch) -> Any:
    """The batch as a loader would give it."""
    if batch.kwargs:
        return {**batch.kwargs, "labels": batch.target}
    return (*batch.args, batch.target)
