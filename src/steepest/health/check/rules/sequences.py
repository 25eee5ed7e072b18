"""A model that guesses at each place what comes next, and may not read it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from steepest.health.check.context import CheckContext
from steepest.health.check.rules import labels  # noqa: F401  (its code is registered there)
from steepest.health.check.rules.reach import beyond_rounding, outputs
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import Phase, looks_for, make_finding
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup

_IS_NEXT = 0.99  # share of the labels that are the next input
_ROWS = 8


@looks_for("TARGET_LEAK_FEATURE", Phase.PROBE)
def reads_ahead(context: CheckContext) -> Iterator[Finding]:
    """Whether the outputs at a place change with the next input, which is their label."""
    x, y = context.probe.x, context.probe.target
    if not isinstance(y, Tensor) or x is None or x.is_floating_point() or y.is_floating_point():
        return
    if x.ndim != 2 or y.shape != x.shape or x.shape[1] < 3 or len(x) < 3:
        return
    places = x.shape[1]
    share = float((y[:, :-1] == x[:, 1:]).float().mean())
    # Of rows in which all inputs are the same each label is the next input, and all others too.
    if share < _IS_NEXT or float((x[:, 1:] == x[:, :-1]).float().mean()) > 0.5:
        return
    clone = context.setup.copy()
    if clone is None:
        return
    clone.model.eval()
    few = context.probe.take(slice(0, min(len(x), _ROWS)))
    assert few.x is not None
    other = few.x.clone()
    other[:, -1] = other[:, -1].roll(1)
    changed = other[:, -1] != few.x[:, -1]
    a, b = _by_place(clone, few, places), _by_place(clone, few.with_x(other), places)
    if a is None or b is None or not bool(changed.any()):
        return
    gap = beyond_rounding((a - b)[changed, -2], a)
    if not gap:
        return
    again = _by_place(clone, few, places)
    if again is None or not torch.equal(a, again):  # what differs is random
        return
    yield make_finding(
        "TARGET_LEAK_FEATURE",
        "the model reads its labels: what it gives at a place changes with the next input, which "
        "is the label there",
        "is_causal=True, or nn.Transformer.generate_square_subsequent_mask(T); bidirectional=False",
        (
            Evidence(
                f"outputs at place {places - 2} move by {gap:.3g}",
                "0",
                f"input {places - 1} replaced, which is the label there ({share:.0%} of all are)",
            ),
        ),
        ruled_out=("chance: the same inputs give the same outputs twice",),
        confidence="fact",
    )


def _by_place(setup: Setup, batch: Batch, places: int) -> Tensor | None:
    """The outputs as (rows, places, classes); None where they have no such form."""
    z = outputs(setup, batch)
    if z is None:
        return None
    rows = batch.rows
    if z.ndim == 3 and z.shape[:2] == (rows, places):
        return z
    if z.ndim == 3 and z.shape[0] == rows and z.shape[2] == places:
        return z.transpose(1, 2)
    if z.ndim == 2 and len(z) == rows * places:
        return z.reshape(rows, places, z.shape[1])
    return None
