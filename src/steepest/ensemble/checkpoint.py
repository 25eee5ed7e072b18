"""The state of all nets of an ensemble, as a checkpoint in the run's folder.

The files are those of any run: checkpoints/step-N.safetensors and .json (see run/tensors.py); the
tensors are called NET/model/NAME, NET/best/NAME and NET/optimizer/NAME/WHAT.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from steepest.classifier import Score
from steepest.engine import OptimizerState, StepStats, require_fitting
from steepest.ensemble.member_run import MemberRun
from steepest.ensemble.portfolio import Portfolio
from steepest.recipe import Recipe
from steepest.run import read_tensors
from steepest.training.checkpoint import (
    best_cost_of,
    best_loss_of,
    count,
    newest_readable,
    number,
    optimizer_state,
    plain_tensors,
    stats_of,
)
from steepest.training.weights import require_weights, snapshot


@dataclass(frozen=True)
class MemberState:
    """What is known of one net beside its tensors.

    Attributes:
        step: Steps that it has done.
        epoch_stats: Sums over those of the epoch under way.
        best_epoch: Its best epoch on its held-out rows, -1 for none yet.
        best_loss: The loss there, infinity for none yet.
        best_cost: What made it the best, likewise.
        latest: How it did after its last whole epoch, None before the first.
        metric: What best_by names then, likewise.
        diverged: Whether it ended with a loss that is not finite.
    """

    step: int
    epoch_stats: StepStats
    best_epoch: int
    best_loss: float
    best_cost: float
    latest: Score | None
    diverged: bool
    metric: float | None = None

    @classmethod
    def of(cls, described: dict[str, Any]) -> Self:
        """From what `about` wrote. Raises ValueError for what no run writes."""
        latest = described["latest"]
        return cls(
            step=count(described, "step"),
            epoch_stats=stats_of(described["epoch_stats"]),
            best_epoch=count(described, "best_epoch", -1),
            best_loss=best_loss_of(described),
            best_cost=best_cost_of(described),
            latest=latest
            and Score(count(latest, "rows"), number(latest, "loss"), number(latest, "accuracy")),
            diverged=bool(described["diverged"]),
            metric=None if described.get("metric") is None else number(described, "metric"),
        )

    def about(self) -> dict[str, Any]:
        """What is written of it."""
        none: dict[str, Any] = {"best_loss": None, "best_cost": None}
        return asdict(self) | ({} if self.best_epoch >= 0 else none)


@dataclass(frozen=True, eq=False)
class EnsembleCheckpoint:
    """An ensemble's training after some epochs.

    Attributes:
        recipe: Of the run.
        data: The fingerprint of the training rows.
        epoch: Epochs that all nets have done.
        epochs: Of how many.
        seconds: Spent so far.
        members: What is known of each net beside its tensors.
        tensors: By name.
    """

    recipe: Recipe
    data: str
    epoch: int
    epochs: int
    seconds: float
    members: tuple[MemberState, ...]
    tensors: dict[str, Tensor]

    @property
    def step(self) -> int:
        """Steps that the nets have done together."""
        return sum(member.step for member in self.members)

    @property
    def whole_steps(self) -> int:
        """Those of the epochs that all have done."""
        return sum(member.step - member.epoch_stats.steps for member in self.members)

    def about(self) -> dict[str, Any]:
        """What is written beside the tensors."""
        return {
            "ensemble": 1,
            "recipe": self.recipe.to_toml(),
            "data": self.data,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "members": [member.about() for member in self.members],
        }


def taken(
    portfolio: Portfolio, runs: list[MemberRun], data: str, epoch: int, seconds: float
) -> EnsembleCheckpoint:
    """The checkpoint of some trainings as they are now."""
    tensors: dict[str, Tensor] = {}
    members = []
    for k, run in enumerate(runs):
        model, optimizer = run.state()
        tensors |= {f"{k}/model/{name}": tensor for name, tensor in model.items()}
        tensors |= {f"{k}/best/{name}": tensor for name, tensor in run.best.weights.items()}
        tensors |= {
            f"{k}/optimizer/{name}/{what}": tensor
            for name, kept in optimizer.items()
            for what, tensor in kept.items()
        }
        members.append(
            MemberState(
                run.step,
                run.epoch,
                run.best.epoch,
                run.best.loss,
                run.best.cost,
                run.latest,
                run.diverged,
                run.metric,
            )
        )
    epochs = max(run.epochs for run in runs)
    state = (tuple(members), plain_tensors(tensors))
    return EnsembleCheckpoint(portfolio.recipe, data, epoch, epochs, seconds, *state)


def newest_of_ensemble(folder: Path) -> EnsembleCheckpoint:
    """The newest whole checkpoint of an ensemble's folder. Raises RunError if there is none."""
    return newest_readable(folder, _read)


def _read(path: Path) -> EnsembleCheckpoint:
    tensors, about = read_tensors(path)
    if about["ensemble"] != 1:
        raise ValueError(f"it is an ensemble's of version {about['ensemble']}, and 1 is read here")
    for name in tensors:
        net, group, _ = name.split("/", 2)
        if not 0 <= int(net) < len(about["members"]) or group not in ("model", "best", "optimizer"):
            raise ValueError(f"it holds a tensor {name!r} of no net")
    recipe = Recipe.from_toml(about["recipe"], path.name)
    if count(about, "epochs") > recipe.epochs:  # a time limit only takes some away
        raise ValueError(f"epochs is {about['epochs']}, and the recipe has {recipe.epochs}")
    return EnsembleCheckpoint(
        recipe,
        str(about["data"]),
        count(about, "epoch"),
        count(about, "epochs"),
        number(about, "seconds"),
        tuple(MemberState.of(one) for one in about["members"]),
        tensors,
    )


def require_fitting_nets(checkpoint: EnsembleCheckpoint, portfolio: Portfolio) -> None:
    """Raise RunError or EngineError unless its tensors are those of these nets."""
    for k, (member, kept) in enumerate(zip(portfolio.members, checkpoint.members, strict=True)):
        model = member.plan.model
        own, best = snapshot(model), group_of(checkpoint, k, "best")
        require_weights(own, group_of(checkpoint, k, "model"), f"the weights of net {k}")
        if best or kept.best_epoch >= 0:
            require_weights(own, best, f"the weights of the best epoch of net {k}")
        require_fitting(optimizer_of(checkpoint, k), dict(model.named_parameters()))


def optimizer_of(checkpoint: EnsembleCheckpoint, k: int) -> OptimizerState:
    """The optimizer's state of one net."""
    return optimizer_state(group_of(checkpoint, k, "optimizer"))


def group_of(checkpoint: EnsembleCheckpoint, k: int, group: str) -> dict[str, Tensor]:
    """The tensors of one net and one kind, by their own names."""
    prefix = f"{k}/{group}/"
    return {
        n.removeprefix(prefix): t for n, t in checkpoint.tensors.items() if n.startswith(prefix)
    }
