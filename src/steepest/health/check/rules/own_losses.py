"""Losses that somebody wrote himself: what happens within them."""

from collections.abc import Iterator

from torch import Tensor

from steepest.health.check.broadcasting import spread
from steepest.health.check.context import CheckContext
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import EVERYTHING, Phase, make_finding, rule
from steepest.health.foreign import swallow


@rule(
    "LOSS_BROADCASTS",
    "every output is compared with every target",
    Phase.FIRST_PASS,
    rank="loss",
    place=55,
    severity="error",
    explains=EVERYTHING | {"UNSTABLE_LOG", "LABELS_SHUFFLED"},
)
def loss_broadcasts(context: CheckContext) -> Iterator[Finding]:
    """A loss of one's own in which (N, 1) and (N,) meet; squared errors are MSE_FOR_CLASSES."""
    z, y = context.logits, context.probe.target
    if context.kind in ("mse", "l1") or not isinstance(y, Tensor):
        return
    if {z.ndim, y.ndim} != {1, 2} or len(z) != len(y) or len(z) < 3 or z.numel() != y.numel():
        return
    try:
        found = spread(context.setup.loss_fn, z, y)
    except Exception as error:  # a loss that wants more than these
        swallow(error)
        return
    if found is None:
        return
    n = len(z)
    yield make_finding(
        "LOSS_BROADCASTS",
        f"in the loss outputs {found.outputs} and targets {found.targets} are spread over each "
        f"other: every output is compared with all {n} targets",
        "loss_fn(z.squeeze(1), y)  # or y.unsqueeze(1): both of one shape",
        (
            Evidence(
                f"{found.result} of {found.operation}({found.outputs}, {found.targets})",
                f"{n} values",
                "within the loss",
            ),
        ),
        ruled_out=("a loss of pairs: outputs meet targets here, not other outputs",),
    )
