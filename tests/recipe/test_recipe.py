"""A recipe is checked when it is made, says all mistakes at once, and survives TOML."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steepest import Recipe
from steepest.errors import RecipeError
from steepest.recipe import SETTINGS, written
from steepest.recipe.conflicts import _TOGETHER


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -0.1}, "lr must be a number above 0, or 'auto', but is -0.1"),
        ({"lr": float("nan")}, "lr must be a number above 0, or 'auto', but is nan"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, or 'full', but is 0"),
        (
            {"batch_size": "all"},
            "batch_size must be a whole number of at least 1, or 'full', but is 'all'",
        ),
        ({"momentum": 1.0}, "momentum must be a number of at least 0 and below 1, but is 1.0"),
        ({"epochs": True}, "epochs must be a whole number of at least 1, but is True"),
        ({"seed": -1}, "seed must be a whole number from 0 to 2**63 - 1, but is -1"),
        ({"hidden": (64, 0)}, "hidden must be a list of widths of at least 1, but is (64, 0)"),
        ({"engine": "fast"}, "engine must be one of auto, native, torch, but is 'fast'"),
        (
            {"scaling_range": (1, 0)},
            "scaling_range must be two numbers, the lower first, but is (1, 0)",
        ),
        ({"nesterov": True}, "nesterov has no effect without momentum"),
        (
            {"validation": 0.5, "test": 0.5},
            "validation and test together must leave rows to train on: their sum must be below 1",
        ),
        ({"batchsize": 8}, "unknown setting 'batchsize'; did you mean 'batch_size'?"),
        ({"learning_rate": 0.1}, "unknown setting 'learning_rate': steepest calls it 'lr'"),
        ({"max_iter": 10}, "unknown setting 'max_iter': steepest calls it 'epochs'"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_was_expected(settings, message):
    with pytest.raises(RecipeError) as error:
        Recipe(**settings)
    assert str(error.value) == message


def test_all_mistakes_are_told_together():
    with pytest.raises(RecipeError) as error:
        Recipe(lr=0, batch_size=0, epochs=0)
    assert str(error.value).count(" must be ") == 3


def test_each_mistake_names_the_settings_that_it_is_about():
    with pytest.raises(RecipeError) as refused:
        Recipe.from_toml("lr = -0.1\nepochs = 0", "its file")
    assert [one.settings for one in refused.value.mistakes] == [("lr",), ("epochs",)]
    with pytest.raises(RecipeError) as refused:
        Recipe(nesterov=True, early_stopping=True, swa=0.2)
    assert [one.settings for one in refused.value.mistakes] == [
        ("nesterov",),
        ("early_stopping", "swa"),
    ]
    assert str(refused.value) == "; ".join(one.text for one in refused.value.mistakes)
    # One setting at least stands in the sentence by its name, the others so or by their value.
    for _, settings, text in _TOGETHER:
        assert set(settings) <= set(SETTINGS)
        assert any(name in text for name in settings), text


def test_a_value_is_read_back_from_how_it_is_written():
    values = {
        "hidden": [(), (64,), (64, 32)],
        "lr": ["auto", 1 / 3, 1e-7],
        "betas": [(0.9, 0.999)],
        "batch_size": ["full", 64],
        "warmup": [0, 100, 0.05],
        "class_weight": ["balanced", (1.0, 2.5), {"yes": 5, "a, {b}": 0.1}],
        "groups": [{"0.*": {"lr_scale": 0.1}}],
        "check": [True, False],
        "validation": [0.2, "rows.csv"],
        "ignore": [("id", "name")],
        "milestones": [(3, 5)],
        "scaling_range": [(-1.0, 1.0)],
        "seed": [2**63 - 1],
        "optimizer": ["adam"],
    }
    for name, several in values.items():
        for value in several:
            assert SETTINGS[name].values.holds(value)
            assert SETTINGS[name].values.parse(written(value)) == value
    for name, value in Recipe().to_dict().items():
        default = tuple(value) if isinstance(value, list) else value
        assert name == "ignore" or SETTINGS[name].values.parse(written(default)) == default


def test_an_unknown_setting_without_a_near_name_lists_the_settings():
    with pytest.raises(RecipeError, match="unknown setting 'xyzzy': the settings are preset, data"):
        Recipe(xyzzy=1)


def test_replace_changes_one_setting_and_checks_it():
    assert Recipe(lr=0.5).replace(epochs=3) == Recipe(lr=0.5, epochs=3)
    with pytest.raises(RecipeError):
        Recipe().replace(epochs=0)


RECIPES = st.builds(
    Recipe,
    data=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    ignore=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3).map(tuple),
    hidden=st.none() | st.lists(st.integers(1, 10_000), max_size=4).map(tuple),
    lr=st.floats(1e-300, 1e300),
    batch_size=st.integers(1, 2**40) | st.just("full"),
    momentum=st.floats(0, 1, exclude_max=True),
    validation=st.floats(0, 0.5) | st.just("val.csv"),
    seed=st.integers(0, 2**63 - 1),
)


@given(RECIPES)
def test_a_recipe_is_the_same_after_toml(recipe):
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_a_recipe_can_be_copied_and_pickled():
    recipe = Recipe(hidden=(3,), lr=0.2)
    assert copy.deepcopy(recipe) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_a_recipe_file_with_a_mistake_is_named(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text("lr = 0.1\nepoch = 3\n")
    with pytest.raises(RecipeError) as error:
        Recipe.read(file)
    assert str(error.value) == f"{file}: unknown setting 'epoch'; did you mean 'epochs'?"
    file.write_text("lr = = 3")
    with pytest.raises(RecipeError, match="is not valid TOML"):
        Recipe.read(file)
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        Recipe.read(tmp_path / "none.toml")


# A value that is not the default, for each setting that needs another one.
INERT = {
    "scaling_range": (-1.0, 1.0),
    "bins": 7,
    "activation": "tanh",
    "parametric_activation": True,
    "periodic_sigma": 0.5,
    "dropout": 0.1,
    "batch_norm": True,
    "layer_norm": True,
    "batch_ensemble": 4,
    "residual": True,
    "stochastic_depth": 0.1,
    "momentum": 0.9,
    "nesterov": True,
    "betas": (0.5, 0.9),
    "rms_decay": 0.9,
    "muon_momentum": 0.9,
    "adamw_lr_scale": 0.1,
    "eps": 1e-6,
    "weight_decay": 0.1,
    "penalise_biases": True,
    "weight_decay_schedule": "cosine",
    "label_smoothing_schedule": "cosine",
    "gamma": 0.5,
    "step_size": 3,
    "milestones": (3,),
    "restart_every": 3,
    "min_lr": 1e-3,
    "plateau_patience": 7,
    "patience": 2,
    "focal_gamma": 1.0,
}


def test_every_setting_that_needs_another_is_tried():
    assert {name for name, setting in SETTINGS.items() if setting.needs} == set(INERT)


@pytest.mark.parametrize("name", INERT)
def test_a_setting_without_effect_is_refused(name):
    """With whatever gives it a meaning off, or at another value."""
    others = {"hidden": (), "schedule": "constant", "loss": "cross_entropy", "scaling": "pixels"}
    others["optimizer"] = "lbfgs"
    with pytest.raises(RecipeError, match=rf"\b{name} has no effect with"):
        Recipe(batch_size="full", **{**others, name: INERT[name]})


def test_a_setting_whose_need_is_met_is_taken():
    assert Recipe(optimizer="adam", betas=(0.5, 0.9), eps=1e-6, hidden=(3,), dropout=0.1)
    assert Recipe(momentum=0.9, nesterov=True, l2=0.1, penalise_biases=True)
    assert Recipe(schedule="plateau", gamma=0.5, min_lr=1e-3, plateau_patience=7)
    assert Recipe(hidden=(8, 8), residual=True, stochastic_depth=0.1, dropout=0.5)


def test_what_has_no_effect_is_said_of_all_settings_at_once():
    with pytest.raises(RecipeError) as error:
        Recipe(optimizer="adam", momentum=0.9, patience=3)
    assert str(error.value) == (
        "momentum has no effect with optimizer 'adam': it belongs to optimizer sgd, rmsprop; "
        "patience has no effect without early_stopping"
    )


@pytest.mark.parametrize("hidden", [None, (100,), (100, 50, 100)])
def test_residual_needs_layers_of_one_width(hidden):
    with pytest.raises(RecipeError, match="two hidden layers of one width"):
        Recipe(hidden=hidden, residual=True)


def test_what_loses_its_meaning_by_a_change_goes_back_to_its_default():
    recipe = Recipe(momentum=0.9, nesterov=True, lr=0.3).replace(optimizer="adam", epochs=3)
    assert recipe == Recipe(optimizer="adam", lr=0.3, epochs=3)
    deep = Recipe(hidden=(8, 8), residual=True, stochastic_depth=0.1, dropout=0.5)
    assert deep.replace(hidden=()) == Recipe(hidden=())
    with pytest.raises(RecipeError, match="momentum has no effect"):
        Recipe(momentum=0.9).replace(optimizer="adam", momentum=0.9)


def test_what_gives_a_setting_its_meaning_comes_before_it():
    order = list(SETTINGS)
    for name, setting in SETTINGS.items():
        for needs in setting.needs:
            assert all(order.index(other) < order.index(name) for other in needs.settings)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"lr": np.float32(0.1)}, {"lr": float(np.float32(0.1))}),
        ({"lr": torch.tensor(0.5), "seed": np.uint64(7)}, {"lr": 0.5, "seed": 7}),
        ({"epochs": np.int64(3), "flip": np.bool_(True)}, {"epochs": 3, "flip": True}),
        ({"hidden": np.array([8, 4]), "optimizer": np.str_("adam")}, {"hidden": (8, 4), "optimizer": "adam"}),
        ({"hidden": range(3, 5), "ignore": [np.str_("a")]}, {"hidden": (3, 4), "ignore": ("a",)}),
        ({"hidden": torch.tensor([8, 4]), "batch_size": np.array(16)}, {"hidden": (8, 4), "batch_size": 16}),
        ({"scaling_range": (np.float64(0.5), 1), "scaling": "minmax"}, {"scaling_range": (0.5, 1)}),
        ({"data": Path("a") / "b.csv"}, {"data": str(Path("a") / "b.csv")}),
        ({"class_weight": {0: 1.0, 1: np.int64(5)}}, {"class_weight": {"0": 1.0, "1": 5}}),
        ({"class_weight": {np.int64(0): 2, 1.0: 3}}, {"class_weight": {"0": 2, "1": 3}}),
        ({"class_weight": {True: 2.0, np.bool_(False): 1.0}}, {"class_weight": {"True": 2.0, "False": 1.0}}),
        ({"class_weight": {0.5: 2.0, "a": 1.0}}, {"class_weight": {"0.5": 2.0, "a": 1.0}}),
        ({"class_weight": np.array([1, 2])}, {"class_weight": (1, 2)}),
        ({"groups": {np.str_("0.*"): {"l2": np.float64(0.5)}}}, {"groups": {"0.*": {"l2": 0.5}}}),
    ],
)  # fmt: skip
def test_numbers_of_other_libraries_become_plain_ones(given, plain):
    recipe = Recipe(**given)
    assert recipe == Recipe(**{**given, **plain}) == Recipe.from_toml(recipe.to_toml())
    assert json.loads(json.dumps(recipe.to_dict())) == Recipe(**{**given, **plain}).to_dict()
    for name, value in plain.items():
        assert repr(getattr(recipe, name)) == repr(value)  # np.float64(0.5) == 0.5 as well


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_weight": {0: 1.0, "0": 2.0}}, "class_weight gives a class two weights: {0: 1.0, '0': 2.0}"),
        ({"epochs": np.float64(3.5)}, "epochs must be a whole number of at least 1, but is 3.5"),
        ({"epochs": np.bool_(True)}, "epochs must be a whole number of at least 1, but is True"),
        ({"hidden": np.array([[8, 4]])}, "hidden must be a list of widths of at least 1, but is ((8, 4),)"),
        ({"lr": np.nan}, "lr must be a number above 0, or 'auto', but is nan"),
    ],
)  # fmt: skip
def test_what_is_no_setting_stays_none_however_it_is_given(settings, message):
    with pytest.raises(RecipeError) as error:
        Recipe(**settings)
    assert str(error.value) == message


def test_a_run_by_labels_and_numpy_numbers_goes_on(blobs, tmp_path):
    import steepest as sp

    X, y = blobs
    run = sp.train(
        None, (X, y), out=tmp_path / "run", epochs=np.int64(2), lr=np.float32(0.1),
        class_weight={np.int64(0): 1.0, 1: 2.0, 2: 3.0}, progress="none",
    )  # fmt: skip
    assert sp.load_run(tmp_path / "run").recipe == run.recipe
    again = sp.resume(tmp_path / "run", data=(X, y), epochs=np.int32(3), progress="none")
    assert again.recipe.epochs == 3
    labels = y == 0
    run = sp.train(None, (X, labels), class_weight={True: 2.0, False: 1.0}, progress="none")
    assert run.status == "finished"


def test_a_recipe_with_another_seed_is_the_one_that_replace_gives():
    recipe = Recipe(hidden=(8,), dropout=0.1)
    assert recipe.with_seed(3) == recipe.replace(seed=3)
    assert recipe.with_seed(3).given == recipe.replace(seed=3).given
    assert recipe.seed == 0
    with pytest.raises(RecipeError, match="seed must be a whole number"):
        recipe.with_seed(-1)
