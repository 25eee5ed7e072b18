"""What is wrong with the nets of an ensemble: each is looked at, and each cause is told once."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from steepest.data import PreparedPart
from steepest.ensemble.member_run import MemberRun
from steepest.ensemble.portfolio import Portfolio
from steepest.errors import HealthError, HealthWarning, warn
from steepest.health import Evidence, Findings
from steepest.health.findings.registry import make_finding
from steepest.run import Event, FindingMade, IntervalFinished, Observer, RunStarted
from steepest.training.health_observer import HealthObserver
from steepest.training.preflight import preflight
from steepest.training.preparation import Preparation

_SECONDS = 0.2  # of the check of one net; one of each view is checked
_FEWEST_ROWS = 20  # of fewer, means tell nothing of the net


def prepared_member(portfolio: Portfolio, k: int) -> Preparation:
    """One net as the training of a single net would have it."""
    member = portfolio.members[k]
    plan = member.plan
    classifier = portfolio.classifier_of(member)
    parts = {
        "train": PreparedPart(plan.inputs, plan.targets, plan.sample_weights),
        "validation": portfolio.held_out(member),
    }
    # Each weight is multiplied and added once for a row.
    flops = 2.0 * sum(p.numel() for p in plan.model.parameters())
    return Preparation(
        plan,
        member.choice,
        classifier,
        portfolio.dataset,
        parts,
        plan.recipe.base_lr,
        flops,
        (),
    )


def checked(portfolio: Portfolio) -> dict[int, Findings]:
    """What the check before training finds about one net of each view, by its number.

    Warnings are shown once. Raises HealthError if there is an error.
    """
    found: dict[int, Findings] = {}
    told: set[str] = set()
    for k, member in enumerate(portfolio.members):
        if member.plan.rows < _FEWEST_ROWS:
            continue
        if member.view in {portfolio.members[other].view for other in found}:
            continue
        found[k] = findings = preflight(prepared_member(portfolio, k), _SECONDS)
        if findings.errors:
            raise HealthError(
                "the check before training found what would break it (check=False trains anyway)\n"
                f"{findings.errors}",
                findings,
            )
        for finding in findings.actionable:
            if finding.code not in told:
                told.add(finding.code)
                line = f"{finding.code}: {finding.message}; {finding.fix}"
                warn(line, HealthWarning)
    return found


class MemberHealth:
    """Looks at each net as at a run of its own, and tells of each cause once, with its nets.

    What a net does beyond its best epoch is not judged: it ends with the weights of that one.
    """

    def __init__(self, portfolio: Portfolio, found: dict[int, Findings], notify: Observer) -> None:
        self._notify = notify
        self._made: dict[str, tuple[FindingMade, list[int]]] = {}
        self._watches = [
            HealthObserver(
                prepared_member(portfolio, k),
                _constant(portfolio.recipe.base_lr),
                found.get(k, Findings()),
                _Collector(self._made, k),
            )
            for k in range(len(portfolio.members))
        ]

    def begin(self, started: RunStarted, runs: Iterable[MemberRun]) -> None:
        for watch, run in zip(self._watches, runs, strict=True):
            per_epoch = run.plan.steps_per_epoch
            watch(
                replace(
                    started,
                    rows=run.plan.rows,
                    steps_per_epoch=per_epoch,
                    total_steps=per_epoch * run.epochs,
                    step=run.step,
                )
            )

    def epoch(self, epoch: int, runs: Iterable[MemberRun]) -> None:
        """An epoch is done; nets that took no step in it are left alone."""
        for watch, run in zip(self._watches, runs, strict=True):
            if run.epoch.steps:
                watch(IntervalFinished(epoch, run.epoch.steps, run.step, run.rate, run.epoch))

    def diverged(self, k: int, step: int, lr: float) -> None:
        """A net has no finite loss any more, and is left out."""
        finding = make_finding(
            "PREMATURE_NAN",
            "the loss became NaN or infinite",
            f"lr={lr / 3:g}",
            (Evidence("NaN or infinity", "a number", f"step {step}"),),
            step=step,
            severity="warn",
        )
        made = FindingMade(step, finding.code, finding.severity, finding.to_dict())
        _Collector(self._made, k)(made)

    def end(self) -> None:
        """Tell of all causes, each with the nets that it was seen in."""
        count = len(self._watches)
        for event, nets in self._made.values():
            which = ", ".join(map(str, nets))
            message = f"nets {which} of {count}: {event.details['message']}"
            details = {**event.details, "message": message}
            self._notify(replace(event, details=details))


class _Collector:
    """Takes the findings of net `k`."""

    def __init__(self, made: dict[str, tuple[FindingMade, list[int]]], k: int) -> None:
        self._made, self._k = made, k

    def __call__(self, event: Event) -> None:
        if isinstance(event, FindingMade):
            _, nets = self._made.setdefault(event.code, (event, []))
            if self._k not in nets:
                nets.append(self._k)


def _constant(rate: float) -> Callable[[int], float]:
    return lambda step: rate
