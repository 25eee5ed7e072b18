"""The net that a recipe describes."""

from torch import nn

from steepest.nn.mlp import mlp
from steepest.recipe import Recipe

# What a recipe leaves open. These settings are None until they are given, so that a recipe with
# one of them can be refused beside a model.
_HIDDEN, _ACTIVATION, _INIT = (100,), "relu", "auto"


def net_of(recipe: Recipe, inputs: int, outputs: int) -> nn.Sequential:
    """The multilayer perceptron of a recipe's settings, its first weights drawn by the seed.

    Args:
        recipe: Its settings of the net; what they leave open is one hidden layer of 100 ReLUs.
        inputs: Numbers in a row.
        outputs: Logits.
    """
    return mlp(
        inputs,
        _HIDDEN if recipe.hidden is None else recipe.hidden,
        outputs,
        activation=recipe.activation or _ACTIVATION,
        init=recipe.init or _INIT,
        dropout=recipe.dropout,
        batch_norm=recipe.batch_norm,
        layer_norm=recipe.layer_norm,
        parametric_activation=recipe.parametric_activation,
        scaling_layer=recipe.scaling_layer,
        residual=recipe.residual,
        stochastic_depth=recipe.stochastic_depth,
        seed=recipe.seed,
    )
