"""What each parameter has of its own: learning rate, weight decay and penalties, by its name."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from steepest.errors import RecipeError
from steepest.recipe import Recipe


@dataclass(frozen=True)
class ParameterSettings:
    """What holds for one parameter w, a tensor.

    Attributes:
        lr_scale: Factor of the learning rate.
        weight_decay: What the optimizer adds of w to its gradient; with adamw, takes from w.
        l1: Factor of sum |w| in the loss.
        l2: Factor of sum w^2 in the loss.
    """

    lr_scale: float = 1.0
    weight_decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0


def parameter_settings(recipe: Recipe, model: nn.Module) -> dict[str, ParameterSettings]:
    """The settings of each trainable parameter, by its name in the model.

    The penalties leave out parameters of one dimension (biases, and what normalisation learns)
    unless the recipe says otherwise; weight decay takes all, as PyTorch's does. Of a recipe's
    groups all that match apply, the later over the earlier.

    Raises:
        RecipeError: If one matches none.
    """
    groups = recipe.groups or {}
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for pattern in groups:
        if not any(fnmatchcase(name, pattern) for name in trainable):
            raise RecipeError(
                f"groups has the pattern {pattern!r}, which matches none of the parameters "
                f"{', '.join(trainable)}"
            )
    found = {}
    for name, parameter in trainable.items():
        penalised = parameter.ndim > 1 or recipe.penalise_biases
        own: dict[str, float] = {
            "weight_decay": recipe.weight_decay,
            "l1": recipe.l1 if penalised else 0.0,
            "l2": recipe.l2 if penalised else 0.0,
        }
        for pattern, settings in groups.items():
            if fnmatchcase(name, pattern):
                own |= settings
        found[name] = ParameterSettings(**own)
    return found
