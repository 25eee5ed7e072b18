"""Presets: when one is taken, what it decides, and that what is given by hand stays."""

import numpy as np
import polars as pl
import pytest
from torch import nn

import steepest as sp
from steepest.data import load_data
from steepest.ensemble.preset import decided
from steepest.errors import RecipeError
from steepest.presets import Meeting, contradicts, decide, views
from steepest.presets.tabular import bins_for
from steepest.recipe import SETTINGS, Recipe

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = (X[:, 0] > 0).astype(int)


def chosen(data=(X, Y), model=None, **settings):
    return decided(model, data, Recipe(**settings), by_hand=False)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"epochs": 3},
        {"seed": 5},
        {"test": 0.2},
        {"class_weight": "balanced"},
        {"bins": 4},
        {"engine": "torch"},
        {"time_limit": 3.0},
        {"members": 2},
        {"scaling": "standardise"},
    ],
)
def test_a_table_without_a_net_or_an_optimizer_has_the_preset(settings):
    if "bins" in settings:
        settings = settings | {"scaling": "piecewise"}
    made = chosen(**settings)
    assert made.recipe.preset == "tabular"
    assert made.dataset is not None
    for name, value in settings.items():
        assert getattr(made.recipe, name) == value


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": (4,)},
        {"lr": 0.1},
        {"optimizer": "sgd"},
        {"batch_size": 8},
        {"steps": 3},
        {"momentum": 0.9},
        {"task": "multilabel"},
        {"schedule": "cosine"},
        {"l2": 0.001},
    ],
)
def test_who_describes_a_net_or_an_optimizer_gets_what_is_written(settings):
    made = chosen(**settings)
    assert made.dataset is None
    assert made.recipe == Recipe(**settings)
    assert set(contradicts(Recipe(**settings))) == set(settings)


def test_a_model_given_by_hand_has_no_preset_unless_asked():
    model = nn.Linear(3, 2)
    assert chosen(model=model).recipe == Recipe()
    asked = chosen(model=model, preset="tabular")
    assert not asked.several
    assert (asked.recipe.optimizer, asked.recipe.members) == ("adamw", 1)
    assert asked.recipe.hidden is None


def test_rows_that_are_neither_a_table_nor_images_keep_the_plain_recipe():
    pictures = RNG.random((20, 1, 4, 4)).astype(np.float32)
    assert chosen(((pictures * 255).astype(np.uint8).reshape(20, 16), Y[:20])).recipe == Recipe()
    series = RNG.random((20, 9, 4)).astype(np.float32)
    assert chosen((series, Y[:20])).recipe == Recipe()


@pytest.mark.parametrize("preset", ["tabular", "image", "lecture"])
@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.5), ("epochs", 3), ("hidden", (7,)), ("batch_size", 9)]
)
def test_a_setting_given_by_hand_replaces_that_one_alone(preset, name, value):
    met = Meeting.of(load_data((X, Y)).train)
    plain, _ = decide(preset, Recipe(), met)
    changed, line = decide(preset, Recipe(**{name: value}), met)
    other = {n for n in SETTINGS if getattr(plain, n) != getattr(changed, n)}
    assert other == {name}
    assert f"given by hand: {name}" in line


def test_a_setting_that_is_given_its_default_is_given_all_the_same():
    met = Meeting.of(load_data((X, Y)).train)
    assert decide("tabular", Recipe(optimizer="sgd"), met)[0].optimizer == "sgd"
    assert decide("tabular", Recipe(early_stopping=False), met)[0].early_stopping is False
    assert contradicts(Recipe(batch_size=32)) == ["batch_size"]
    assert contradicts(Recipe().replace(batch_size=32)) == ["batch_size"]


def test_budgets_fall_with_the_rows_and_columns():
    def of(rows, columns):
        return decide("tabular", Recipe(), Meeting(rows, columns, columns, 2, True))[0]

    epochs = [of(rows, 20).epochs for rows in (100, 10_000, 50_000, 1_000_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == 60
    assert epochs[-1] == 10
    assert of(1_000_000, 20).members == 4
    assert of(1000, 10_000).epochs < 60
    assert of(10, 20).batch_size < of(1_000_000, 20).batch_size


def test_columns_are_ranked_where_there_are_rows_enough():
    recipe = Recipe(preset="tabular")
    assert views(recipe, Meeting(1000, 5, 5, 2, True)) == ("quantile", "piecewise")
    assert views(recipe, Meeting(50, 5, 5, 2, True)) == ("robust", "piecewise")
    assert views(recipe.replace(scaling="minmax"), Meeting(50, 5, 5, 2, True)) == ("minmax",)


def test_bins_are_for_tables_that_are_not_wide():
    assert [bins_for(n) for n in (0, 20, 300, 10_000)] == [0, 24, 13, 0]


def test_the_run_says_in_one_line_what_the_preset_decided():
    run = sp.train(None, (X, Y), epochs=1, members=2, progress="none")
    lines = [t for t in run.record.table("events")["text"] if t.startswith("preset")]
    assert lines == [
        "preset tabular: 60 rows, 3 columns, 2 classes: 2 nets (robust, piecewise), 1 epochs, "
        "minibatches of 8; given by hand: epochs, members"
    ]


@pytest.mark.parametrize("preset", ["image", "lecture"])
def test_the_other_presets_train_one_net(preset):
    run = sp.train(None, (X[:40], Y[:40]), preset=preset, epochs=1, progress="none", check=False)
    assert (run.recipe.preset, run.recipe.members) == (preset, 1)
    assert isinstance(run.model, nn.Sequential)
    told = run.record.table("events")["text"][0]
    assert told.startswith(f"preset {preset}: 40 rows, 3 columns, 2 classes: one net, 1 epochs")


def test_an_unknown_preset_is_refused():
    with pytest.raises(RecipeError, match="preset must be one of tabular, image, lecture"):
        Recipe(preset="tables")


def test_members_are_built_from_the_recipe():
    with pytest.raises(RecipeError, match="members = 3 nets are built from the recipe"):
        sp.train(nn.Linear(3, 2), (X, Y), members=3)


def test_a_frame_of_words_alone_has_one_view():
    frame = pl.DataFrame({"w": ["a", "b"] * 10, "y": [0, 1] * 10})
    run = sp.train(None, frame, target="y", epochs=2, members=2, check=False, progress="none")
    assert "(robust)" in run.record.table("events")["text"][0]


def test_a_table_whose_views_do_not_fit_in_memory_keeps_the_plain_recipe(monkeypatch):
    monkeypatch.setattr("steepest.ensemble.preset.available_memory", lambda: 20_000)
    assert chosen().recipe == Recipe()
    monkeypatch.setattr("steepest.ensemble.preset.available_memory", lambda: 200_000)
    assert chosen().recipe.preset == "tabular"


def test_several_nets_of_pictures_are_refused():
    pictures = RNG.random((20, 1, 4, 4)).astype(np.float32)
    with pytest.raises(RecipeError, match=r"rows of shape \(1, 4, 4\), and several nets"):
        sp.train(None, (pictures, Y[:20]), members=3, progress="none")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"members": 1},
        {"preset": "lecture"},
        {"preset": "tabular", "members": 1},
        {"hidden": (4,), "members": 2},
    ],
)
def test_the_data_are_read_once(settings, monkeypatch, tmp_path):
    read = []
    monkeypatch.setattr(
        "steepest.run.parts.load_data",
        lambda *args, **options: (read.append(args), load_data(*args, **options))[1],
    )
    pl.DataFrame(X, schema=["a", "b", "c"]).with_columns(y=pl.Series(Y)).write_csv(
        tmp_path / "table.csv"
    )
    source = str(tmp_path / "table.csv")
    run = sp.train(None, source, target="y", epochs=1, progress="none", check=False, **settings)
    assert len(read) == 1
    assert run.recipe.data == source


@pytest.mark.parametrize("settings", [{}, {"validation": 0.0}, {"validation": 0.3}])
@pytest.mark.parametrize("model", [None, nn.Linear(3, 2)])
def test_one_net_holds_out_rows_for_its_best_epoch_unless_told_not_to(model, settings):
    """There are no folds, which the preset counts on."""
    asked = {"preset": "tabular"} if model else {"members": 1}
    run = sp.train(model, (X, Y), epochs=1, progress="none", check=False, **asked, **settings)
    rows = {0.1: 6, 0.0: None, 0.3: 18}[settings.get("validation", 0.1)]
    score = run.scores.get("validation")
    assert (score and score.rows) == rows
