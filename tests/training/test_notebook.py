"""Runs and sweeps in a real kernel: one picture that stays in the saved notebook, no widget."""

import pytest

from steepest.run import EpochFinished
from steepest.training.notebook import curves, in_notebook

RUN = """
import numpy as np, steepest as sp
rng = np.random.default_rng(0)
y = np.repeat(["<b>a</b>", "b"], 60)
data = rng.normal(0, 1, (120, 2)) + 2 * (y == "b")[:, None], y
run = sp.train(None, data, hidden=(4,), epochs=6, validation=0.2)
"""
SWEEP = "sp.sweep(sp.Recipe(hidden=(4,), epochs=2), {'lr': [0.01, 0.1]}, data=data, seeds=2);"


def test_a_cell_shows_one_picture_that_is_drawn_anew():
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    new = pytest.importorskip("nbformat.v4", reason="nbformat is not installed")
    book = new.new_notebook(cells=[new.new_code_cell(RUN), new.new_code_cell(SWEEP)])
    nbclient.NotebookClient(book, kernel_name="python3", timeout=120).execute()
    trained, swept = (cell.outputs for cell in book.cells)
    pictures = [one for one in trained if one["output_type"] == "display_data"]
    assert len(pictures) == 1
    html = pictures[0]["data"]["text/html"]
    assert "finished: " in html
    assert html.count("<polyline") == 2
    assert set(pictures[0]["data"]) == {"text/html", "text/plain"}  # no widget
    told = "".join(one.get("text", "") for one in trained)
    assert "epoch=" not in told  # no lines beside it
    tables = [one for one in swept if "4 of 4 runs" in one.get("data", {}).get("text/html", "")]
    assert [one["output_type"] for one in tables] == ["display_data"]


def test_only_a_kernel_is_a_notebook():
    assert not in_notebook()


def test_curves_of_odd_losses():
    def epoch(i, loss, val_loss):
        return EpochFinished(i, i, loss, 0.5, val_loss, 0.5, 0.1, 1.0)

    assert curves([epoch(0, 1.0, 1.0)]) == ""
    wild = [epoch(i, float("nan") if i == 3 else 2.0**i, float("inf")) for i in range(1000)]
    drawn = curves([one for one in wild if one.epoch < 900])
    assert "nan" not in drawn.replace("name", "")
    assert drawn.count(",") < 2 * 310
