"""What each parameter has of its own: learning rate, weight decay and penalties, by its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from steepest.errors import RecipeError
from steepest.nn import CategoryEmbedding, PeriodicEmbedding
from steepest.recipe import Recipe

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag, CategoryEmbedding, PeriodicEmbedding)


@dataclass(frozen=True)
class ParameterSettings:
    """What holds for one parameter w, a tensor.

    Attributes:
        lr_scale: Factor of the learning rate.
        weight_decay: What the optimizer adds of w to its gradient; with adamw and muon, takes from
            w.
        l1: Factor of sum |w| in the loss.
        l2: Factor of sum w^2 in the loss.
        muon: Whether Muon moves it; with that optimizer AdamW moves the others.
    """

    lr_scale: float = 1.0
    weight_decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    muon: bool = False


def parameter_settings(recipe: Recipe, model: nn.Module) -> dict[str, ParameterSettings]:
    """The settings of each trainable parameter, by its name in the model.

    The penalties leave out parameters of one dimension (biases, and what normalisation learns)
    unless the recipe says otherwise; weight decay takes all, as PyTorch's does, but with muon, of
    whose practice it is to decay matrices alone. Of a recipe's groups all that match apply, the
    later over the earlier.

    Raises:
        RecipeError: If one matches none, or if there is nothing for Muon.
    """
    groups = recipe.groups or {}
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for pattern in groups:
        if not any(fnmatchcase(name, pattern) for name in trainable):
            raise RecipeError(
                f"groups has the pattern {pattern!r}, which matches none of the parameters "
                f"{', '.join(trainable)}"
            )
    muon = recipe.optimizer == "muon"
    hidden = _hidden_weights(model) if muon else frozenset()
    found = {}
    for name, parameter in trainable.items():
        penalised = parameter.ndim > 1 or recipe.penalise_biases
        own: dict[str, Any] = {
            "weight_decay": recipe.weight_decay if parameter.ndim > 1 or not muon else 0.0,
            "l1": recipe.l1 if penalised else 0.0,
            "l2": recipe.l2 if penalised else 0.0,
        }
        own |= _of_groups(groups, name)
        if name in hidden:
            own["muon"] = True
        elif muon:
            own["lr_scale"] = own.get("lr_scale", 1.0) * recipe.adamw_lr_scale
        found[name] = ParameterSettings(**own)
    return found


def _of_groups(groups: Mapping[str, Mapping[str, float]], name: str) -> dict[str, float]:
    """What the groups that match this name say of it, the later over the earlier."""
    own: dict[str, float] = {}
    for pattern, settings in groups.items():
        if fnmatchcase(name, pattern):
            own |= settings
    return own


def _hidden_weights(model: nn.Module) -> frozenset[str]:
    """The weights that Muon moves: hidden matrices, as its author says.

    These are the parameters of two dimensions, more than one wide both ways, without embeddings and
    without the first and the last of the model, which read the inputs and make the outputs.

    Raises:
        RecipeError: If there are none.

    Source:
        K. Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024.
    """
    embedded = {
        id(p) for m in model.modules() if isinstance(m, _EMBEDDINGS) for p in m.parameters()
    }
    matrices = [(name, p) for name, p in model.named_parameters() if p.ndim == 2]
    found = frozenset(
        name
        for name, p in matrices[1:-1]
        if p.requires_grad and id(p) not in embedded and min(p.shape) > 1
    )
    if not found:
        raise RecipeError(
            "muon moves the weights between two hidden layers, and this model has none: give it "
            "two hidden layers, hidden = [100, 100] for instance, or take adamw"
        )
    return found
