"""The state of all nets of an ensemble, as a checkpoint in the run's folder.

The files are those of any run: checkpoints/step-N.safetensors and .json (see run/tensors.py); the
tensors are called NET/model/NAME, NET/best/NAME and NET/optimizer/NAME/WHAT.
"""

import hashlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from steepest.engine import OptimizerState, StepStats
from steepest.ensemble.member_run import MemberRun
from steepest.ensemble.portfolio import Portfolio
from steepest.recipe import Recipe
from steepest.run import read_tensors
from steepest.training.checkpoint import newest_readable

_ROWS_LOOKED_AT = 4096


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
    members: list[dict[str, Any]]
    tensors: dict[str, Tensor]

    @property
    def step(self) -> int:
        """Steps that the nets have done together."""
        return sum(int(about["step"]) for about in self.members)

    @property
    def whole_steps(self) -> int:
        """Those of the epochs that all have done."""
        return sum(
            int(about["step"]) - int(about["epoch_stats"]["steps"]) for about in self.members
        )

    def about(self) -> dict[str, Any]:
        """What is written beside the tensors."""
        return {
            "ensemble": 1,
            "recipe": self.recipe.to_toml(),
            "data": self.data,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "members": self.members,
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
            {
                "step": run.step,
                "epoch_stats": asdict(run.epoch),
                "best_epoch": run.best.epoch,
                "best_loss": run.best.loss if run.best.epoch >= 0 else None,
                "latest": None if run.latest is None else asdict(run.latest),
                "diverged": run.diverged,
            }
        )
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    epochs = max(run.epochs for run in runs)
    return EnsembleCheckpoint(portfolio.recipe, data, epoch, epochs, seconds, members, plain)


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
    checkpoint = EnsembleCheckpoint(
        Recipe.from_toml(about["recipe"], path.name),
        str(about["data"]),
        int(about["epoch"]),
        int(about["epochs"]),
        float(about["seconds"]),
        list(about["members"]),
        tensors,
    )
    _ = checkpoint.step, [stats(one["epoch_stats"]) for one in checkpoint.members]
    return checkpoint


def optimizer_of(checkpoint: EnsembleCheckpoint, k: int) -> OptimizerState:
    """The optimizer's state of one net."""
    state: OptimizerState = {}
    for name, tensor in group_of(checkpoint, k, "optimizer").items():
        parameter, _, what = name.rpartition("/")
        state.setdefault(parameter, {})[what] = tensor
    return state


def group_of(checkpoint: EnsembleCheckpoint, k: int, group: str) -> dict[str, Tensor]:
    """The tensors of one net and one kind, by their own names."""
    prefix = f"{k}/{group}/"
    return {
        n.removeprefix(prefix): t for n, t in checkpoint.tensors.items() if n.startswith(prefix)
    }


def stats(about: dict[str, Any]) -> StepStats:
    """Sums over steps, as they were written."""
    return StepStats(**{**about, "layers": ()})


def best_loss(about: dict[str, Any]) -> float:
    loss = about["best_loss"]
    return math.inf if loss is None else float(loss)


def fingerprint_of(portfolio: Portfolio) -> str:
    """A hash of the training rows, prepared, and of their targets: up to 4096 of them."""
    digest = hashlib.blake2b(digest_size=16)
    array = portfolio.inputs.array
    digest.update(f"{array.shape} {portfolio.folds}".encode())
    digest.update(np.ascontiguousarray(portfolio.targets).tobytes())
    if portfolio.weights is not None:
        digest.update(portfolio.weights.tobytes())
    some = np.linspace(0, len(array) - 1, min(len(array), _ROWS_LOOKED_AT)).astype(np.int64)
    digest.update(np.ascontiguousarray(array[np.unique(some)]).tobytes())
    return digest.hexdigest()
