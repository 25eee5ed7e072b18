"""The net that a recipe describes."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from steepest.errors import RecipeError
from steepest.nn.convolutional import convolutional
from steepest.nn.embedding import CategoryEmbedding, PeriodicEmbedding
from steepest.nn.mlp import mlp
from steepest.random import Purpose, torch_seed
from steepest.recipe import Recipe

# What a recipe leaves open. These settings are None until they are given, so that a recipe with
# one of them can be refused beside a model.
_HIDDEN, _ACTIVATION, _INIT, _SIGMA = (100,), "relu", "auto", 0.1


def net_of(
    recipe: Recipe,
    shape: Sequence[int],
    outputs: int,
    *,
    numbers: Sequence[int] = (),
    categories: Sequence[tuple[int, int]] = (),
) -> nn.Sequential:
    """The net of a recipe's settings, its first weights drawn by the seed.

    A convolutional one where it names channels, else a multilayer perceptron.

    Args:
        recipe: Its settings of the net; what they leave open is one hidden layer of 100 ReLUs.
        shape: Of a row.
        outputs: Logits.
        numbers: Which of the inputs hold a number of the data each, for numeric_embedding.
        categories: Of each column of words its inputs, (first, beyond the last), for
            category_embedding.

    Raises:
        RecipeError: For channels or an embedding of what the data do not have.
    """
    if recipe.channels:
        return _for_images(recipe, shape, outputs)
    inputs = math.prod(shape)
    front, width = _front(recipe, inputs, numbers, categories)
    net = mlp(
        width,
        _HIDDEN if recipe.hidden is None else recipe.hidden,
        outputs,
        activation=recipe.activation or _ACTIVATION,
        init=recipe.init or _INIT,
        dropout=recipe.dropout,
        batch_norm=recipe.batch_norm,
        layer_norm=recipe.layer_norm,
        parametric_activation=recipe.parametric_activation,
        scaling_layer=recipe.scaling_layer,
        batch_ensemble=recipe.batch_ensemble,
        closing="sigmoid" if recipe.task == "multilabel" else "softmax",
        residual=recipe.residual,
        stochastic_depth=recipe.stochastic_depth,
        seed=recipe.seed,
    )
    flatten, *layers = net
    return nn.Sequential(flatten, *front, *layers) if front else net


def _for_images(recipe: Recipe, shape: Sequence[int], outputs: int) -> nn.Sequential:
    if len(shape) not in (2, 3):
        raise RecipeError(
            f"channels are for images, rows of shape (H, W) or (C, H, W), but a row has shape "
            f"{tuple(shape)}: reshape them, or leave out channels",
            settings=("channels",),
        )
    return convolutional(
        shape,
        recipe.channels,
        outputs,
        hidden=recipe.hidden or (),
        activation=recipe.activation or _ACTIVATION,
        init=recipe.init or _INIT,
        batch_norm=recipe.batch_norm,
        residual=recipe.residual,
        stochastic_depth=recipe.stochastic_depth,
        dropout=recipe.dropout,
        seed=recipe.seed,
    )


def _front(
    recipe: Recipe,
    inputs: int,
    numbers: Sequence[int],
    categories: Sequence[tuple[int, int]],
) -> tuple[list[nn.Module], int]:
    """The embeddings in front of the first layer, and how wide a row is behind them."""
    front: list[nn.Module] = []
    width, places = inputs, list(numbers)
    if outputs := recipe.category_embedding:
        long = [(first, beyond) for first, beyond in categories if beyond - first > outputs]
        if not long:
            raise RecipeError(
                f"category_embedding is {outputs}, but no column of the data is one of words with "
                f"more than {outputs} levels: leave it out",
                settings=("category_embedding",),
            )
        embedding = CategoryEmbedding(inputs, long, outputs, generator=_generator(recipe, 0))
        # Of the columns that stay each moves down by those of the categories before it.
        now = {place: at for at, place in enumerate(embedding.others.tolist())}
        places = [now[place] for place in places]
        width = embedding.width
        front.append(embedding)
    if recipe.numeric_embedding == "periodic":
        if not places:
            raise RecipeError(
                "numeric_embedding is 'periodic', but no column of the data is one of numbers: "
                "leave it out",
                settings=("numeric_embedding",),
            )
        periodic = PeriodicEmbedding(
            width, places, sigma=recipe.periodic_sigma or _SIGMA, generator=_generator(recipe, 1)
        )
        width = periodic.width
        front.append(periodic)
    return front, width


def _generator(recipe: Recipe, stream: int) -> torch.Generator:
    # Step 1: the linear layers draw at step 0.
    seed = torch_seed(recipe.seed, Purpose.INITIALISATION, 1, stream=stream)
    return torch.Generator().manual_seed(seed)
