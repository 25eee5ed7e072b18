"""A folder with runs and a sweep, and its board."""

import pytest

import steepest as sp
from board.serving import serving, small_data


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Two runs, one with a finding, and a sweep of six."""
    place = tmp_path_factory.mktemp("board")
    recipe = sp.Recipe(hidden=(4,), epochs=6, validation=0.25, log_every=2)
    sp.train(None, small_data(), recipe, out=place / "runs" / "good", progress="none")
    hot = recipe.replace(lr=1e4, check=False)
    sp.train(None, small_data(), hot, out=place / "runs" / "hot", progress="none")
    rows = [
        f"{x[0]:.3f},{x[1]:.3f},{'low' if name[1] == '/' else 'high'}"
        for x, name in zip(*small_data(), strict=True)
    ]
    (place / "table.csv").write_text("\n".join(["width,height,kind", *rows]), "utf-8")
    table = recipe.replace(data=str(place / "table.csv"), target="kind", epochs=2)
    sp.train(recipe=table, out=place / "runs" / "table", progress="none")
    sweep = sp.sweep(
        recipe.replace(epochs=2), {"lr": [0.01, 0.1, 1]}, data=small_data(), seeds=2,
        out=place / "sweeps" / "rates",
    )  # fmt: skip
    assert set(sweep.results["status"]) == {"finished"}, sweep.failures
    return place


@pytest.fixture(scope="session")
def board(folder):
    """The board of that folder."""
    with serving(folder) as served:
        yield served
