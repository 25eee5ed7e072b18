"""A run finds its data again, from any working directory."""

import os
from pathlib import Path

import numpy as np
import pytest

import steepest as sp
from steepest.errors import RecipeError, RunError
from steepest.explain.backprop.from_run import backprop_of_run

QUICK = {"epochs": 1, "hidden": (3,), "check": False, "watch": False, "progress": "none"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with the same rows as CSV and NPY, and a folder of images."""
    X = np.arange(48, dtype=np.float32).reshape(24, 2) % 7
    y = np.arange(24) % 2
    lines = [f"{a},{b},c{c}" for (a, b), c in zip(X, y, strict=True)]
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    for name in ("d.csv", "v.csv"):
        (here / name).write_text("\n".join(["a,b,kind", *lines]))
    np.save(here / "X.npy", X)
    np.save(here / "y.npy", y)
    monkeypatch.chdir(here)
    return here


@pytest.mark.parametrize(
    ("data", "settings", "named"),
    [
        ("d.csv", {"target": "kind"}, "d.csv"),
        (Path("d.csv"), {"target": "kind"}, "d.csv"),
        (Path("sub/../d.csv"), {"target": "kind", "validation": "v.csv"}, "sub/../d.csv"),
        (None, {"target": "kind", "data": "d.csv", "test": "v.csv"}, "d.csv"),
        ("X.npy", {"target": "y.npy"}, "X.npy"),
        ("iris", {}, None),
    ],
)
def test_a_run_goes_on_and_is_explained_elsewhere(place, monkeypatch, data, settings, named):
    settings = {**QUICK, **settings}
    if data is None:
        recipe = sp.Recipe(data=settings.pop("data"))
        run = sp.train(recipe=recipe, out="run", **settings)
    else:
        run = sp.train(None, data, out="run", **settings)
    assert run.recipe.data == (str(place / named) if named else "iris")
    for part in ("validation", "test"):
        value = getattr(run.recipe, part)
        assert not isinstance(value, str) or value == str(place / "v.csv")
    monkeypatch.chdir("/")
    assert sp.resume(place / "run", epochs=2, progress="none").history.height == 2
    assert backprop_of_run(sp.load_run(place / "run"), rows=2).agrees


def test_data_that_have_no_name_leave_none(place):
    """Not the one that the recipe named, which would be read in their place."""
    rows = (np.load("X.npy"), np.load("y.npy"))
    recipe = sp.Recipe(data=str(place / "d.csv"), target="kind")
    run = sp.train(None, rows, recipe, out="run", **QUICK)
    assert run.recipe.data is None
    with pytest.raises(RecipeError, match="no data: pass them"):
        sp.resume("run", epochs=2, progress="none")
    with pytest.raises(RunError, match="not trained on a file or a name"):
        backprop_of_run(sp.load_run("run"))


def test_data_that_were_moved_are_given_and_kept(place):
    sp.train(None, "d.csv", target="kind", validation="v.csv", out="run", **QUICK)
    os.rename("d.csv", "moved.csv")
    os.rename("v.csv", "sub/v.csv")
    with pytest.raises(sp.SteepestError, match="there is no file or data set"):
        sp.resume("run", epochs=2, progress="none")
    run = sp.resume("run", data="moved.csv", validation="sub/v.csv", epochs=2, progress="none")
    assert run.recipe.data == str(place / "moved.csv")
    assert sp.load_run("run").recipe.validation == str(place / "sub/v.csv")
    with pytest.raises(RunError, match="cannot go on with another validation"):
        sp.resume("run", validation=0.5, epochs=3, progress="none")


def test_the_same_rows_as_an_object_leave_the_file_its_name(place):
    sp.train(None, "X.npy", target="y.npy", out="run", **QUICK)
    rows = (np.load("X.npy"), np.load("y.npy"))
    again = sp.resume("run", data=rows, epochs=2, progress="none")
    assert again.recipe.data == str(place / "X.npy")


def test_a_file_whose_name_is_not_utf_8_is_trained_on_and_asked_for(place):
    name = os.fsdecode(b"X\xff.npy")
    os.rename("X.npy", name)
    run = sp.train(None, name, target="y.npy", out="run", **QUICK)
    assert run.recipe.data is None
    assert sp.resume("run", data=Path(name), epochs=2, progress="none").history.height == 2


@pytest.mark.parametrize("name", [os.fsdecode(b"d\xff.csv"), "d" * 300, "~nobody-here/d.csv"])
def test_a_name_that_cannot_be_read_is_one_message(place, name):
    if len(name) < 10:
        os.rename("d.csv", name)
    with pytest.raises(sp.SteepestError, match=r"UTF-8|cannot read|there is no file"):
        sp.train(None, name, target="kind", **QUICK)
