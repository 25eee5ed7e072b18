"""The settings that say what is trained: the data, and the net where no model is given."""

from dataclasses import dataclass

from steepest.recipe.choices import ACTIVATIONS, EMBEDDINGS, INITS, PRESETS, SCALINGS
from steepest.recipe.setting import Needs, needs, needs_any, under
from steepest.recipe.values import (
    BELOW_1,
    INTERVAL,
    NAMES,
    PART,
    POSITIVE,
    SWITCH,
    TEXT,
    one_of,
    whole,
    whole_numbers,
)

_data, _net = under("Data"), under("Net", rules_out_preset=True)
_regularisation = under("Regularisation", rules_out_preset=True)
_run = under("Run")
_LAYERS = needs_any("hidden", "channels")


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The fields of a recipe that describe data and net."""

    preset: str | None = _run(
        None,
        ", ".join(PRESETS) + ": settings that suit such data; those given by hand are kept",
        one_of(PRESETS).or_none(),
        unset="tabular for a table, where neither net nor optimizer is given",
    )
    data: str | None = _data(
        None,
        "file, folder or name of the data, where no object is given",
        TEXT,
        resumable=True,
        resumable_with_members=True,
        affects_result=False,  # other rows are refused by their fingerprint
    )
    target: str | None = _data(
        None, "column that holds the class", TEXT, unset="target, label, class or y"
    )
    ignore: tuple[str, ...] = _data((), "columns to leave out, a,b,c", NAMES)
    image_size: int | None = _data(
        None,
        "resize the images of a folder to this many pixels",
        whole(1).or_none(),
        unset="the images' own",
    )
    validation: float | str = _data(0.1, "share of the training rows, or a file", PART)
    test: float | str = _data(0.0, "share of the training rows, or a file", PART)
    scaling: str = _data(
        "auto",
        "auto, standardise, minmax, pixels (/255) or none; of tables: robust, quantile, piecewise",
        one_of(SCALINGS),
    )
    scaling_range: tuple[float, ...] = _data(
        (0.0, 1.0), "what minmax scales to, l,u", INTERVAL, needs(scaling=("minmax",))
    )
    bins: int = _data(
        24,
        "bins between quantiles of a column, of scaling piecewise",
        whole(1),
        Needs(("scaling", "preset"), ("piecewise", "tabular")),
    )

    hidden: tuple[int, ...] | None = _net(
        None,
        "widths of the hidden layers, 64,64, or linear",
        whole_numbers("widths").or_none(),
        unset="100, or linear with channels",
        of_net=True,
    )
    channels: tuple[int, ...] = _net(
        (),
        "channels of each stage of a convolutional net for images, 32,64, in front of hidden",
        whole_numbers("channels"),
        of_net=True,
    )
    activation: str | None = _net(
        None,
        ", ".join(ACTIVATIONS),
        one_of(tuple(ACTIVATIONS)).or_none(),
        _LAYERS,
        unset="relu",
        of_net=True,
    )
    parametric_activation: bool = _net(
        False,
        "each hidden unit learns how much of the activation it takes",
        SWITCH,
        needs_any("hidden"),
        of_net=True,
    )
    numeric_embedding: str | None = _net(
        None,
        "periodic: functions of each number, learned, beside it",
        one_of(EMBEDDINGS).or_none(),
        of_net=True,
    )
    periodic_sigma: float | None = _net(
        None,
        "deviation of the first frequencies of numeric_embedding periodic",
        POSITIVE.or_none(),
        needs(numeric_embedding=("periodic",)),
        unset="0.1",
        of_net=True,
    )
    category_embedding: int | None = _net(
        None,
        "words of columns with more levels than this become so many learned numbers",
        whole(1).or_none(),
        of_net=True,
    )
    scaling_layer: bool = _net(
        False, "a learned factor for each input, in front of the net", SWITCH, of_net=True
    )
    init: str | None = _net(
        None, ", ".join(INITS), one_of(INITS).or_none(), unset="auto", of_net=True
    )
    dropout: float = _regularisation(
        0.0, "share of hidden units dropped in each step", BELOW_1, _LAYERS, of_net=True
    )
    batch_norm: bool = _net(
        False,
        "normalise each hidden unit, or each channel, over the minibatch",
        SWITCH,
        _LAYERS,
        of_net=True,
    )
    layer_norm: bool = _net(
        False, "normalise the hidden units of each row", SWITCH, needs_any("hidden"), of_net=True
    )
    batch_ensemble: int | None = _net(
        None,
        "so many members that share the weights of one net, TabM's way",
        whole(2).or_none(),
        needs_any("hidden"),
        of_net=True,
    )
    residual: bool = _net(
        False, "blocks that add to their input, x + f(x)", SWITCH, _LAYERS, of_net=True
    )
    stochastic_depth: float = _regularisation(
        0.0,
        "share of rows whose last residual block is left out",
        BELOW_1,
        needs_any("residual"),
        of_net=True,
    )
