"""From a recipe and the data that it meets to the recipe that is carried out."""

from steepest.presets.image import IMAGE
from steepest.presets.lecture import LECTURE
from steepest.presets.preset import Meeting
from steepest.presets.tabular import ENOUGH_RANKS, TABULAR, bins_for
from steepest.recipe import SETTINGS, Recipe, written

_PRESETS = {preset.name: preset for preset in (TABULAR, IMAGE, LECTURE)}
_NEED_VALIDATION = ("early_stopping", "patience")
# What belongs to an optimizer: another one that was asked for comes with its own.
_OF_OPTIMIZER = ("lr", "weight_decay")


def contradicts(recipe: Recipe) -> list[str]:
    """The settings given by hand that keep a preset from being taken where none is asked for."""
    return [
        name
        for name, setting in SETTINGS.items()
        if setting.rules_out_preset and name in recipe.given and getattr(recipe, name) is not None
    ]


def decide(name: str, recipe: Recipe, met: Meeting, *, has_net: bool = False) -> tuple[Recipe, str]:
    """The recipe that a preset makes of one, and in a line what it decided.

    Args:
        name: Of the preset.
        recipe: Its settings that were given by hand are kept.
        met: What the data are.
        has_net: Whether the net is given: then nothing of a net is set, and there is one.
    """
    settings = _PRESETS[name].decide(met, recipe)
    if has_net:
        settings = {k: v for k, v in settings.items() if not SETTINGS[k].of_net}
        settings["members"] = 1
    by_hand = {k: getattr(recipe, k) for k in recipe.given if getattr(recipe, k) is not None}
    if by_hand.get("members", settings["members"]) == 1:
        if settings.get("validation") == 0:
            settings.pop("validation")  # folds hold rows out for several nets only
        if by_hand.get("validation") == 0:
            settings = {k: v for k, v in settings.items() if k not in _NEED_VALIDATION}
    if "optimizer" in by_hand and by_hand["optimizer"] != settings.get("optimizer"):
        settings = {k: v for k, v in settings.items() if k not in _OF_OPTIMIZER}
    decided = Recipe(**{"preset": name, **settings}).replace(**{**by_hand, "preset": name})
    object.__setattr__(decided, "given", recipe.given)
    return decided, _line(name, decided, met, sorted(by_hand.keys() & settings.keys()))


def views(recipe: Recipe, met: Meeting) -> tuple[str, ...]:
    """The scalings of the nets of a run: two views of a table by its preset, else the recipe's."""
    if recipe.preset != "tabular" or recipe.scaling != "auto":
        return (recipe.scaling,)
    smooth = "quantile" if met.rows >= ENOUGH_RANKS else "robust"
    return (smooth, "piecewise") if bins_for(met.numeric) else (smooth,)


def _line(name: str, recipe: Recipe, met: Meeting, kept: list[str]) -> str:
    each = f"{met.columns} columns" if met.image is None else _written(met.image)
    sizes = f"{met.rows} rows, {each}, {met.classes} classes"
    several = recipe.members and recipe.members > 1
    one = f"one net, convolutional {written(recipe.channels)}" if recipe.channels else "one net"
    nets = f"{recipe.members} nets ({', '.join(views(recipe, met))})" if several else one
    budget = f"{recipe.epochs} epochs, minibatches of {recipe.batch_size}"
    own = f"; given by hand: {', '.join(kept)}" if kept else ""
    return f"preset {name}: {sizes}: {nets}, {budget}{own}"


def _written(image: tuple[int, int, int]) -> str:
    channels, height, width = image
    return f"images of {width} x {height} pixels" + (
        f", {channels} channels" if channels > 1 else ""
    )
