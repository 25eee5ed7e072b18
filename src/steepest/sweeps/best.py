"""Best: the setting that a sweep chose, and the run that is made of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from steepest.ensemble import train
from steepest.errors import RunError
from steepest.recipe import Recipe
from steepest.run import Run
from steepest.sweeps.naming import data_name
from steepest.sweeps.preparations import Model, Preparations
from steepest.sweeps.space import shown


@dataclass(frozen=True)
class Sources:
    """What runs of a sweep are made of.

    Attributes:
        name: The hash of data and model; see `data_name`.
        model: As `sweep` was given it; None also where the sweep was read from a folder.
        data: Likewise.
    """

    name: str
    model: Model = None
    data: Any = None


@dataclass(frozen=True)
class Best:
    """The trial whose runs are the best in the mean.

    Attributes:
        trial: Its number.
        settings: What it has of the settings that vary.
        recipe: Every setting; its seed is the sweep's first.
        metric: What was compared.
        mean: Of its runs.
        std: Between its runs, with n - 1; NaN of one.
        runs: Their names, by seed.
        epochs: Those that its runs took to their best epoch, or to their end where no part was
            kept apart; the mean.
    """

    trial: int
    settings: dict[str, Any]
    recipe: Recipe
    metric: str
    mean: float
    std: float
    runs: tuple[str, ...]
    epochs: int
    _sources: Sources = field(repr=False, compare=False)

    def refit(
        self,
        model: nn.Module | None = None,
        data: Any = None,
        *,
        all_rows: bool = False,
        out: str | Path | None = None,
        progress: str = "auto",
        **settings: Any,
    ) -> Run:
        """Train once more with these settings: a run as `train` gives it, looked at by all checks.

        Args:
            model: As for `sweep`; needed if the sweep was read from a folder and trained a module
                of your own.
            data: As for `sweep`; needed if it was read from a folder and was given objects.
            all_rows: Whether no share of the rows is kept apart: those of the validation and test
                parts are trained on too. Where the recipe has `early_stopping`, which needs them,
                training takes as many epochs as the trial's runs took to their best, in the mean.
            out: A new folder for the run; None keeps it in memory.
            progress: As for `train`.
            **settings: What is to be different, as seed=1.

        Raises:
            RunError: The data, or the module, are not those of the sweep.
            SteepestError: As `train`.
        """
        given, rows = self._sources.model, self._sources.data
        given, rows = given if model is None else model, rows if data is None else data
        self._require_own(given, rows)
        recipe = (self._on_all_rows() if all_rows else self.recipe).replace(**settings)
        net = Preparations(given, rows).begun_model(recipe)
        return train(net, rows, recipe, out=out, progress=progress)

    def _on_all_rows(self) -> Recipe:
        changed: dict[str, Any] = {"validation": 0.0, "test": 0.0}
        if self.recipe.early_stopping:
            changed |= {"early_stopping": False, "patience": Recipe().patience}
            changed |= {"epochs": self.epochs}
        return self.recipe.replace(**changed)

    def _require_own(self, model: Any, data: Any) -> None:
        """Raise RunError if these are not what the sweep was made of."""
        if data is None and self.recipe.data is None:
            raise RunError(
                "the data of this sweep were objects, which its folder does not hold: pass them, "
                "refit(data=...)"
            )
        whole = Preparations(model, data).whole(self.recipe)
        if data_name(whole, model) != self._sources.name:
            raise RunError(
                "these are not the data, or not the model, of the sweep: pass those that it was "
                "given, refit(model=..., data=...)"
            )

    def __repr__(self) -> str:
        spread = f" ± {self.std:.2g}" if self.std == self.std else ""
        count = f"{len(self.runs)} run{'s' * (len(self.runs) > 1)}"
        return (
            f"<Best: trial {self.trial}, {shown(self.settings) or 'the recipe'}: "
            f"{self.metric} {self.mean:.4f}{spread} over {count}>"
        )
