"""Training by parts: one net, an epoch of each part as it comes."""

from typing import Any, Self

import numpy as np
import torch
from torch import nn

from steepest.classifier import Classifier
from steepest.data import Classes, Preprocessing, Samples
from steepest.engine import OptimizerState, Plan, choose
from steepest.nn import net_of
from steepest.objective import Objective
from steepest.presets import Meeting, contradicts, decide
from steepest.recipe import Recipe
from steepest.training.schedule import make_schedule


class Increments:
    """A net, what its optimizer keeps, and how many epochs it was trained."""

    def __init__(
        self, classifier: Classifier, recipe: Recipe, optimizer: OptimizerState, epochs: int
    ) -> None:
        self.classifier, self.recipe = classifier, recipe
        self.optimizer, self.epochs = optimizer, epochs

    @classmethod
    def begin(cls, samples: Samples, recipe: Recipe, classes: int, model: nn.Module | None) -> Self:
        """An untrained net that fits these rows.

        Args:
            samples: They decide how columns are encoded and scaled.
            recipe: What a preset for tables would decide is put in where nothing contradicts it.
            classes: Their number; the labels are class indices.
            model: A module of the user's own.
        """
        if model is None and not contradicts(recipe):
            met = Meeting.of(samples)
            recipe, _ = decide("tabular", recipe, met)
            scaling = "quantile" if recipe.scaling == "auto" else recipe.scaling
            recipe = recipe.replace(
                preset=None,
                members=None,
                schedule="constant",
                weight_decay_schedule="constant",
                dropout_schedule="constant",
                label_smoothing_schedule="constant",
                early_stopping=False,
                scaling=scaling,
            )
        fitted = Preprocessing.fit(samples, recipe.scaling, recipe.scaling_range, bins=recipe.bins)
        if model is None:
            model = net_of(
                recipe,
                fitted.shape,
                1 if classes == 2 else classes,
                numbers=fitted.numbers,
                categories=fitted.categories,
            )
        inputs = fitted.prepare(samples)
        with torch.enable_grad():
            outputs = model(torch.from_numpy(np.array(inputs.array[:2])))
        objective = Objective.of_outputs(outputs, classes)
        names = tuple(map(str, range(classes)))
        known = Classes(tuple(range(classes)), names)
        return cls(Classifier(model.eval(), objective, fitted, known), recipe, {}, 0)

    def add(self, samples: Samples) -> None:
        """One epoch of these rows."""
        inputs, targets, weights = self.classifier.prepare(samples)
        plan = Plan(
            *(self.classifier.model, self.classifier.objective, inputs, targets, self.recipe),
            class_names=self.classifier.classes.names,
            sample_weights=weights,
        )
        steps = plan.steps_per_epoch
        first = self.epochs * steps
        rate = make_schedule(self.recipe, self.recipe.base_lr, steps, plan.total_steps).rate
        engine = choose(plan).engine
        engine.load(plan, self.optimizer, first)
        engine.advance([rate(step) for step in range(first, first + steps)])
        self.optimizer = engine.export()
        self.epochs += 1

    def to_plain(self) -> dict[str, Any]:
        """All but the classifier, as plain values and arrays."""
        kept = {
            name: {key: tensor.detach().cpu().numpy() for key, tensor in values.items()}
            for name, values in self.optimizer.items()
        }
        return {"recipe": self.recipe.to_toml(), "optimizer": kept, "epochs": self.epochs}

    @classmethod
    def from_plain(cls, plain: dict[str, Any], classifier: Classifier) -> Self:
        """What `to_plain` gave, with its classifier."""
        kept = {
            name: {key: torch.from_numpy(np.array(array)) for key, array in values.items()}
            for name, values in plain["optimizer"].items()
        }
        return cls(classifier, Recipe.from_toml(plain["recipe"]), kept, plain["epochs"])
