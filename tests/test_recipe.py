"""A recipe is checked when it is made, says all mistakes at once, and survives TOML."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest import Recipe
from steepest.errors import RecipeError


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
        ({"nesterov": True}, "nesterov is a form of the momentum, so it needs momentum above 0"),
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


def test_an_unknown_setting_without_a_near_name_lists_the_settings():
    with pytest.raises(RecipeError, match="unknown setting 'xyzzy': the settings are data, target"):
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
