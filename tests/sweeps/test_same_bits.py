"""A run of a sweep has the bits of the run alone: drawn recipes, every recorded number, all weights."""

import numpy as np
import pytest
import torch

import steepest as sp
from steepest.data import Samples
from steepest.engine import is_stackable
from steepest.recipe.choices import ACTIVATIONS

ANY = {
    "batch_size": [3, 5, 8, 32],
    "epochs": [1, 2, 4],
    "activation": ["relu", "relu", "relu", *ACTIVATIONS],
    "hidden": [(5,), (8, 4), (33,)],
    "label_smoothing": [0.0, 0.0, 0.0, 0.1],
    "class_weight": [None, "balanced"],
    "validation": [0.2, 0.35],
    "test": [0.0, 0.2],
    "dropout": [0.0, 0.3],
    "batch_norm": [False, False, True],
    "optimizer": ["sgd", "adamw", "rmsprop"],
    "accumulate": [1, 3],
    "clip_norm": [None, 1.0],
    "schedule": ["constant", "cosine"],
    "scaling": ["none"],
    "lr": [0.003, 0.03],
    "seed": [0, 7, 2**40],
}
# The native engine takes runs with one of these one by one, and not in a stack.
ALONE = [
    {"early_stopping": True, "patience": 1, "epochs": 8, "lr": 0.3},
    {"ema": 0.9},
    {"swa": 0.5, "epochs": 4},
    {"schedule": "plateau", "plateau_patience": 0, "epochs": 6},
    {"mixup": 0.4},
    {"sampling": "blocks"},
    {"optimizer": "muon", "hidden": (8, 8)},
]
TORCH = [{}, {"loss": "focal"}, *ALONE[:5]]


class DrawnCalls:
    """As StepBudget, which goes by the clock: calls of the engine are of any length."""

    def __init__(self):
        self._rng = np.random.default_rng(0)

    def steps(self, most):
        return int(self._rng.integers(1, most + 1))

    def took(self, steps):
        pass


def drawn(rng, way):
    settings = {name: values[rng.integers(len(values))] for name, values in ANY.items()}
    others = {"stacked": [{}], "one by one": ALONE, "torch": TORCH}[way]
    settings |= others[rng.integers(len(others))]
    if way == "torch":  # whose steps are slow
        settings |= {"batch_size": int(rng.integers(8, 30)), "epochs": 2}
    engine = "torch" if way == "torch" else "native"
    recipe = sp.Recipe(threads=1, engine=engine, **settings)
    assert way == "torch" or is_stackable(recipe) == (way == "stacked")
    return recipe


def drawn_rows(rng):
    """Two classes or four, losses of many sizes, so that their sums are rounded; weights or not."""
    inputs = 20 * rng.normal(size=(90, 6)).astype(np.float32)
    labels = (inputs @ rng.normal(size=(6, rng.choice([2, 4])))).argmax(axis=1)
    weights = rng.random(90).astype(np.float32) if rng.random() < 0.5 else None
    return Samples(inputs, labels, "drawn", weights=weights)


@pytest.mark.parametrize(
    ("way", "case"), [(way, i) for way in ("stacked", "one by one", "torch") for i in range(6)]
)
def test_a_run_of_a_sweep_has_the_bits_of_the_run_alone(way, case, monkeypatch):
    rng = np.random.default_rng((case, len(way)))
    recipe, rows = drawn(rng, way), drawn_rows(rng)
    space = {"lr": [recipe.lr, recipe.lr * 2]}
    sweep = sp.sweep(recipe, space, data=rows, seeds=2, keep_best=4, progress="none")
    monkeypatch.setattr("steepest.training.descent.StepBudget", DrawnCalls)
    for row in sweep:
        alone = sp.train(
            None, rows, sweep.recipe_of(row["run"]), progress="none", check=False, watch=False
        )
        assert alone.status == row["status"] == "finished"
        assert sweep.history(row["run"]).equals(alone.history.drop("seconds"))
        assert row["train_loss"] == alone.history["train_loss"][-1]
        for part, name in (("validation", "val"), ("test", "test")):
            score = alone.scores.get(part)
            assert row[f"{name}_loss"] == (score and score.loss)
            assert row[f"{name}_acc"] == (score and score.accuracy)
        kept = sweep.run(row["run"])
        assert kept.scores == alone.scores
        weights, others = kept.model.state_dict(), alone.model.state_dict()
        assert all(torch.equal(weights[name], others[name]) for name in others)
