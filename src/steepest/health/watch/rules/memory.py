"""What a loop keeps from step to step without need."""

from collections.abc import Iterator

from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import Phase, make_finding, rule
from steepest.health.watch.trace import TrainingTrace


@rule(
    "GRAPH_KEPT",
    "graphs of earlier steps are kept",
    Phase.STEP,
    Phase.EVALUATION,
    rank="program",
    place=150,
    severity="warn",
)
def graph_kept(trace: TrainingTrace) -> Iterator[Finding]:
    """A loss or an output that is summed or stored with the graph that it came from."""
    kept = trace.graphs.kept
    if kept is None:
        return
    of = f"evaluated rows after step {kept.since}" if kept.evaluating else "earlier steps"
    yield make_finding(
        "GRAPH_KEPT",
        f"the graphs of {of} are kept: something made of each of them is summed or stored as it "
        "is, and memory grows with every one",
        "with torch.no_grad(): ...  # around the evaluation"
        if kept.evaluating
        else "total += loss.item()  # or loss.detach(): not the loss with its graph",
        (
            Evidence(
                f"{kept.alive} of {kept.seen} graphs still live",
                "at most that of the latest pass",
                f"since step {kept.since}, {kept.nodes} nodes each",
            ),
        ),
        ruled_out=("several passes of one step: these are of one step each",)
        if not kept.evaluating
        else ("passes whose backward pass is to come: the model is in eval mode",),
        confidence="fact",
        step=trace.steps,
    )
