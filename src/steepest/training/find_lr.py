"""find_lr(): the learning-rate range test of a model, data and a recipe."""

import copy
from typing import Any

import torch
from torch import nn

from steepest.recipe import Recipe
from steepest.training.preparation import prepare
from steepest.training.range_test import RangeTest, range_test


def find_lr(
    model: nn.Module | None = None, data: Any = None, recipe: Recipe | None = None, **settings: Any
) -> RangeTest:
    """Try ever larger learning rates for a few steps and suggest one.

    The rate grows by the same factor from step to step, from 1e-6 to 10 over 200 steps, until the
    loss blows up. The model is left as it was.

    Args:
        model: As for `train`; None builds a multilayer perceptron from the recipe.
        data: Anything `load_data` takes; None for the recipe's.
        recipe: Every setting; its `lr` is not looked at.
        **settings: Single settings that are to differ from the recipe.

    Returns:
        The losses at each rate, and the suggestion.

    Raises:
        SteepestError: Before any work, if something does not fit; or no rate gives a finite loss.

    Source:
        L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017.
    """
    recipe = Recipe.of(recipe, {**settings, "lr": None})
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model)
    with torch.inference_mode(False), torch.enable_grad():
        return range_test(prepare(model, data, recipe).plan)
