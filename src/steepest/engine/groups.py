"""What each parameter has of its own: learning rate, weight decay and penalties, by its name."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from steepest.errors import RecipeError
from steepest.nn import (
    CategoryEmbedding,
    LinearBatchEnsemble,
    LinearEnsemble,
    PeriodicEmbedding,
    ScalingLayer,
)
from steepest.recipe import Recipe

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag, CategoryEmbedding, PeriodicEmbedding)
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_MODULES = {"norms": NORMS, "embeddings": _EMBEDDINGS, "scaling": (ScalingLayer,)}
# What a group of parameters may be called in place of a pattern of their names.
ROLES = ("first layer", "last layer", "biases", *_MODULES)


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
    members = {key: members_of(model, key) & trainable.keys() for key in groups}
    for key, names in members.items():
        if not names:
            what = "" if key in ROLES else "the pattern "
            raise RecipeError(
                f"groups has {what}{key!r}, which matches none of the parameters "
                f"{', '.join(trainable)}",
                settings=("groups",),
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
        for key, settings in groups.items():
            if name in members[key]:
                own |= settings
        if name in hidden:
            own["muon"] = True
        elif muon:
            own["lr_scale"] = own.get("lr_scale", 1.0) * recipe.adamw_lr_scale
        found[name] = ParameterSettings(**own)
    return found


def members_of(model: nn.Module, key: str) -> frozenset[str]:
    """The names of the parameters of a group.

    Args:
        model: Whose parameters.
        key: A pattern of names, or a role: "first layer" and "last layer", the modules of the first
            and of the last parameter of two or more dimensions that embeds nothing; "biases", those
            called so; "norms", "embeddings" and "scaling", the parameters of such modules.
    """
    owners = _owners(model)
    names = {name for name, _ in model.named_parameters()}
    if key in _MODULES:
        return frozenset(n for n in names if isinstance(owners[n], _MODULES[key]))
    if key == "biases":
        return frozenset(n for n in names if n.rpartition(".")[2] == "bias")
    if key in ROLES:
        layers = [
            owners[n]
            for n, p in model.named_parameters()
            if p.ndim > 1 and not isinstance(owners[n], _EMBEDDINGS)
        ]
        chosen = layers[:1] if key == "first layer" else layers[-1:]
        return frozenset(n for n in names if owners[n] in chosen)
    return frozenset(n for n in names if fnmatchcase(n, key))


def _of_members(model: nn.Module) -> frozenset[str]:
    """What the members of an ensemble in one net have as a row each: vectors, not matrices."""
    return frozenset(
        name
        for name, module in _owners(model).items()
        if isinstance(module, (LinearBatchEnsemble, LinearEnsemble))
        and name.rpartition(".")[2] not in ("weight", "weights")
    )


def _owners(model: nn.Module) -> dict[str, nn.Module]:
    """The module that each parameter belongs to, by the parameter's name in the model."""
    return {
        f"{name}.{own}" if name else own: module
        for name, module in model.named_modules()
        for own, _ in module.named_parameters(recurse=False)
    }


def _hidden_weights(model: nn.Module) -> frozenset[str]:
    """The weights that Muon moves: hidden matrices, as its author says.

    These are the weights of two dimensions, more than one wide both ways, without embeddings,
    without the last weights of the model, which make the outputs, and without the first, which read
    the inputs, where no embedding comes before them.

    Raises:
        RecipeError: If there are none.

    Source:
        K. Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024.
    """
    named, embeddings = dict(model.named_parameters()), members_of(model, "embeddings")
    apart = embeddings | _of_members(model)
    weights = [name for name, p in named.items() if p.ndim > 1 and name not in apart]
    inner = weights[0 if next(iter(named), "") in embeddings else 1 : -1]
    found = frozenset(
        name
        for name in inner
        if named[name].requires_grad and named[name].ndim == 2 and min(named[name].shape) > 1
    )
    if not found:
        raise RecipeError(
            "muon moves the weights between two hidden layers, and this model has none: give it "
            "two hidden layers, hidden = [100, 100] for instance, or take adamw",
            settings=("optimizer", "hidden"),
        )
    return found
