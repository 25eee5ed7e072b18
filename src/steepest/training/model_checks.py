"""Whether a model can be trained at all, and on the short minibatch that ends an epoch."""

from dataclasses import fields
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy

from steepest.engine import (
    Plan,
    Rows,
    module_mode,
    process_state,
    reference_parameter,
    single_values_kept_apart,
)
from steepest.errors import ModelError, RecipeError
from steepest.nn import overlaps_itself
from steepest.recipe import SETTINGS, Recipe
from steepest.training.weights import load_tensors, snapshot


def require_trainable(model: nn.Module | None, recipe: Recipe) -> None:
    if model is None:
        return
    if isinstance(model, type) and issubclass(model, nn.Module):
        raise ModelError(
            f"the model is the class {model.__name__}: pass an object of it, {model.__name__}()"
        )
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"the model, the first argument, must be a torch.nn.Module or None, but is a "
            f"{type(model).__name__}; data come second, a name or a path or (X, y): "
            f"train(None, {repr(str(model)) if isinstance(model, (str, Path)) else '(X, y)'})"
        )
    _check_tensors(model, recipe)
    of_net = [f for f in fields(Recipe) if SETTINGS[f.name].of_net]
    settings = [f.name for f in of_net if getattr(recipe, f.name) != f.default]
    if settings:
        raise RecipeError(
            f"{' and '.join(settings)} describe the net that steepest builds, but a model was "
            "given; leave out one of the two"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError("the model has no parameter that requires a gradient: nothing to train")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not is_lazy(parameter) and overlaps_itself(parameter):
            raise ModelError(
                f"elements of {name!r} share memory (shape {tuple(parameter.shape)}, strides "
                f"{parameter.stride()}), so none can move alone: make it of a copy, with .clone()"
            )


def require_rows_apart(plan: Plan) -> None:
    """Raise RecipeError if rows that have weights of their own are to be mixed."""
    if plan.sample_weights is not None and (plan.recipe.mixup or plan.recipe.cutmix):
        raise RecipeError(
            "rows that are mixed have no weight of their own: leave out mixup and cutmix, or the "
            "weights of the rows"
        )


def _check_tensors(model: nn.Module, recipe: Recipe) -> None:
    """Whether the parameters and buffers hold numbers that a training can change, on one device."""
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, tensor in named.items():
        if tensor.is_meta:
            raise ModelError(
                f"{name} is on the meta device, which holds no numbers: give the model weights "
                "first, model.to_empty(device='cpu') and an initialisation"
            )
        if not is_lazy(tensor) and tensor.is_inference():
            raise ModelError(
                f"{name} was made inside torch.inference_mode() and takes no gradient: make the "
                "model outside it"
            )
    devices = {p.device: name for name, p in model.named_parameters()}
    if len(devices) > 1 and recipe.device is None:
        where = ", ".join(f"{name} on {device}" for device, name in devices.items())
        raise ModelError(
            f"the model's parameters are on several devices ({where}), and a run takes place on "
            "one: set device, or move the model to one"
        )


def require_shortest_minibatch(plan: Plan) -> None:
    """A forward pass of the minibatch that ends an epoch, where normalisation may refuse it.

    One row may leave one value to a channel, which has no spread; and instance normalisation that
    keeps running statistics refuses images of one pixel only while it trains.
    """
    rows = plan.rows % plan.batch_size or plan.batch_size
    modules = list(plan.model.modules())
    tracks = any(isinstance(m, _InstanceNorm) and m.track_running_stats for m in modules)
    if not tracks and (rows > 1 or all(map(_takes_one_row, modules))):
        return
    model, before = plan.model, snapshot(plan.model)
    like = reference_parameter(model)
    batch = Rows(plan.inputs, like)[torch.arange(rows, device=like.device)]
    try:
        with (
            module_mode(model, training=True),
            process_state(like.device),
            torch.no_grad(),
            single_values_kept_apart(model) as apart,
        ):
            model(batch)
    except Exception as error:
        raise ModelError(
            f"the model cannot train on the last minibatch of an epoch, of shape "
            f"{tuple(batch.shape)}: {error}; take another batch_size or another normalisation"
        ) from error
    finally:
        load_tensors(model, before)  # running statistics
    if apart and plan.batch_size == 1:
        kind = type(model.get_submodule(apart[0])).__name__
        raise RecipeError(
            f"batch_size is 1, and module {apart[0]!r} ({kind}) needs the spread of several rows: "
            "take a larger batch_size, or LayerNorm",
            settings=("batch_size",),
        )


def _takes_one_row(module: nn.Module) -> bool:
    """Whether a module is one of torch's or ours that treats each row alone."""
    ours = type(module).__module__.startswith(("torch.nn.modules", "steepest.nn"))
    return ours and not isinstance(module, (_NormBase, nn.GroupNorm))
