"""A module's architecture as plain data, so that opening a saved model runs no foreign code.

Only the classes in the table below are ever built from a file. A model that holds any other class
is saved with its weights alone, and its owner passes the module when opening it.
"""

import inspect
from typing import Any

from torch import nn

from steepest.errors import ModelError
from steepest.nn.batch_ensemble import (
    EnsembleMean,
    EnsembleView,
    LinearBatchEnsemble,
    LinearEnsemble,
)
from steepest.nn.embedding import CategoryEmbedding, PeriodicEmbedding
from steepest.nn.ensemble import Ensemble
from steepest.nn.linear import LinearLayer
from steepest.nn.parametric import ParametricActivation
from steepest.nn.residual import Residual
from steepest.nn.scaling import ScalingLayer

_LEAVES: tuple[type[nn.Module], ...] = (
    *(LinearLayer, ParametricActivation, ScalingLayer, PeriodicEmbedding, CategoryEmbedding),
    *(EnsembleView, LinearBatchEnsemble, LinearEnsemble, EnsembleMean),
    *(nn.Linear, nn.Bilinear, nn.Embedding, nn.Flatten, nn.Unflatten, nn.Identity),
    *(nn.Tanh, nn.Sigmoid, nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.SELU),
    *(nn.Softmax, nn.LogSoftmax, nn.Softplus, nn.Hardtanh, nn.PReLU, nn.Mish, nn.ReLU6),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d),
    *(nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d),
    *(nn.Conv1d, nn.Conv2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)
_BY_NAME = {leaf.__name__: leaf for leaf in _LEAVES}
_NOT_SETTINGS = {"device", "dtype", "generator"}
# What the constructors and forward passes of torch raise for arguments of a stranger.
DAMAGE = (
    *(TypeError, ValueError, LookupError, AttributeError, AssertionError),
    *(RuntimeError, ArithmeticError),  # also RecursionError, NotImplementedError, OverflowError
)


def describe(module: nn.Module) -> dict[str, Any] | None:
    """The architecture as JSON-able data, or None if it holds a class outside the table."""
    if type(module) is nn.Sequential:
        # Not named_children(), which leaves out the second use of one activation module.
        used = {name: child for name, child in module._modules.items() if child is not None}
        children = {name: describe(child) for name, child in used.items()}
        if any(child is None for child in children.values()):
            return None
        return {"type": "Sequential", "children": children}
    if type(module) is Residual and not _is_changed(module):
        block = describe(module.block)
        settings = {"stochastic_depth": module.stochastic_depth}
        return block and {"type": "Residual", "block": block, "settings": settings}
    if type(module) is Ensemble and not _is_changed(module):
        members = [describe(member) for member in module.members]
        if None in members:
            return None
        spans = [list(span) for span in module.spans]
        own = {"spans": spans, "closing": module.closing}
        return {"type": "Ensemble", "members": members, "settings": own}
    if type(module) not in _LEAVES or _is_changed(module):
        return None
    settings = {}
    for name in inspect.signature(type(module)).parameters:
        if name in _NOT_SETTINGS or not hasattr(module, name):
            continue
        value = getattr(module, name)
        settings[name] = value is not None if name == "bias" else _plain(value)
    return {"type": type(module).__name__, "settings": settings}


def build(description: dict[str, Any]) -> nn.Module:
    """The module that `describe` described, with fresh weights.

    Raises ModelError if the description is malformed or names a class outside the table.
    """
    try:
        return _build(description)
    except RecursionError:
        raise ModelError("the saved architecture is nested too deeply") from None


def _build(description: dict[str, Any]) -> nn.Module:
    kind = description.get("type") if isinstance(description, dict) else None
    if kind == "Sequential" and isinstance(description.get("children"), dict):
        module = nn.Sequential()
        for name, child in description["children"].items():
            part = _build(child)
            try:
                module.add_module(name, part)
            except KeyError as error:  # empty, with a dot, or a method's name
                raise ModelError(
                    f"the saved architecture has a part of the name {name!r}: {error.args[0]}"
                ) from None
        return module
    settings = description.get("settings") if isinstance(description, dict) else None
    if kind == "Residual" and isinstance(settings, dict):
        depth = settings.get("stochastic_depth")
        if isinstance(depth, (int, float)):
            return Residual(_build(description.get("block", {})), float(depth))
    if kind == "Ensemble" and isinstance(settings, dict):
        return _build_ensemble(description.get("members"), settings)
    leaf = _BY_NAME.get(str(kind))
    if leaf is None or not isinstance(settings, dict):
        raise ModelError(
            f"the saved architecture names a module that steepest does not build: {kind!r}"
        )
    strange = [name for name in settings if name in _NOT_SETTINGS or name.startswith("_")]
    if strange:
        raise ModelError(f"the saved architecture has a {kind} with a setting {strange[0]!r}")
    try:
        return leaf(**{name: _from_plain(value) for name, value in settings.items()})
    except DAMAGE as error:
        raise ModelError(
            f"the saved architecture has a {kind} that cannot be built: {reason_of(error)}"
        ) from None


def _build_ensemble(members: Any, settings: dict[str, Any]) -> Ensemble:
    if not isinstance(members, list) or settings.keys() != {"spans", "closing"}:
        raise ModelError("the saved architecture has an Ensemble without members, spans or closing")
    built = [_build(member) for member in members]
    try:
        return Ensemble(built, settings["spans"], settings["closing"])
    except (*DAMAGE, ModelError) as error:
        raise ModelError(
            f"the saved architecture has an Ensemble that cannot be built: {reason_of(error)}"
        ) from None


def reason_of(error: Exception) -> str:
    """The first line of a message, which torch may follow with a trace of its C++ functions."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_changed(module: nn.Module) -> bool:
    """Whether the module carries what its constructor would not give: a hook or a new forward."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, list)) else value


def _from_plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
