"""Moving pictures show what training does: its rows, its weights, its losses."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import steepest as sp
from steepest.explain import descent, toy
from steepest.explain.descent.trajectory import frames_of
from steepest.random import Purpose, permutation


@pytest.fixture(scope="module")
def line():
    """Two epochs of 24 samples in 49 frames: each frame is one sample further."""
    return descent("line", batch_sizes=("full", 5, 1), epochs=2, frames=49, seed=3, scaling="none")


def test_the_lit_samples_are_the_rows_of_the_latest_minibatch(line):
    orders = [permutation(24, 3, Purpose.SHUFFLE, epoch) for epoch in range(2)]
    full, mini, single = line.paths
    for t, seen in enumerate(range(49)):
        epoch, i = divmod(max(0, seen - 1), 24)
        assert single.current_batch[t].tolist() == ([] if seen == 0 else [orders[epoch][i]])
        assert full.current_batch[t].tolist() == (
            [] if seen < 24 else orders[(seen // 24) - 1].tolist()
        )
    # 24 rows in minibatches of 5: the fifth of an epoch has four rows and is done at its end.
    assert mini.steps[[4, 5, 23, 24, 28, 29, 48]].tolist() == [0, 1, 4, 5, 5, 6, 10]
    assert mini.current_batch[24].tolist() == orders[0][20:].tolist()
    assert mini.current_batch[30].tolist() == orders[1][:5].tolist()


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("size", ["full", 5, 1])
def test_the_last_frame_has_the_weights_that_train_gives(size, engine):
    settings = {
        "lr": 0.3,
        "epochs": 4,
        "seed": 2,
        "hidden": (6,),
        "activation": "tanh",
        "schedule": "cosine",
        "engine": engine,
    }
    made = descent("moons", batch_sizes=(size,), frames=7, **settings)
    run = sp.train(
        None, toy("moons", 2), batch_size=size, validation=0.0, progress="none", **settings
    )
    trained = torch.cat([p.detach().reshape(-1) for p in run.model.parameters()]).numpy()
    (path,) = made.paths
    assert path.engine == engine
    assert path.weights[-1] == pytest.approx(trained, rel=1e-4, abs=1e-5)
    assert path.losses[-1] == pytest.approx(run.scores["train"].loss, rel=1e-4)


def test_all_ways_begin_alike_and_have_seen_equally_many_samples(line):
    first = line.paths[0]
    for path in line.paths:
        assert path.samples_seen.tolist() == first.samples_seen.tolist()
        assert (path.weights[0] == first.weights[0]).all()
        assert path.losses[0] == first.losses[0]
    assert [int(path.steps[-1]) for path in line.paths] == [2, 10, 48]


def test_the_drawn_function_is_the_nets(line):
    path, x = line.paths[2], line.picture.axes[0]
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    weights = torch.from_numpy(path.weights[20])
    nn.utils.vector_to_parameters(weights, net.parameters())
    with torch.no_grad():
        expected = torch.sigmoid(net(torch.from_numpy(x).float()[:, None]))[:, 0]
    assert path.probabilities[20][:, 1] == pytest.approx(expected.numpy(), abs=1e-5)


def test_the_paths_lie_inside_of_the_picture(line):
    surface = line.surface
    assert np.isfinite(surface.losses).all()
    assert len(surface.paths) == 3
    for coordinates in surface.paths:
        assert (coordinates[:, 0] >= surface.us[0]).all()
        assert (coordinates[:, 0] <= surface.us[-1]).all()
        assert (coordinates[:, 1] >= surface.vs[0]).all()
        assert (coordinates[:, 1] <= surface.vs[-1]).all()


def test_the_plane_of_the_two_weights_of_a_linear_classifier():
    data = (np.array([[-0.5], [0.5], [1.0]], dtype=np.float32), np.array([0, 1, 1]))
    model = nn.Linear(1, 1)
    made = descent(data, model, batch_sizes=("full",), epochs=5, frames=6, scaling="none")
    surface = made.surface
    assert surface.labels == ("weight[0,0]", "bias[0]")
    assert surface.paths[0] == pytest.approx(made.paths[0].weights, abs=1e-6)
    i, j = 7, 30
    z = surface.us[j] * data[0][:, 0] + surface.vs[i]
    by_hand = np.mean(np.logaddexp(0, -np.where(data[1] == 1, z, -z)))
    assert surface.losses[i, j] == pytest.approx(by_hand, rel=1e-5)
    named = descent(
        "line", batch_sizes=(4,), epochs=1, frames=3, plane=("1.weight[0,0]", "3.bias[0]")
    )
    assert named.surface.labels == ("1.weight[0,0]", "3.bias[0]")
    with pytest.raises(
        sp.SteepestError, match=re.escape("no weight '9.weight[0]'; it has 1.weight[0,0]")
    ):
        descent("line", batch_sizes=(4,), epochs=1, frames=3, plane=("9.weight[0]", "3.bias[0]"))


def test_the_model_that_was_given_is_not_trained():
    model = nn.Linear(2, 2)
    before = model.weight.clone()
    descent("moons", model, batch_sizes=(8,), epochs=1, frames=3)
    assert torch.equal(model.weight, before)


def colours_in(image, colour):
    pixels = np.asarray(image.convert("RGB")).astype(int)
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(pixels - wanted).sum(axis=2) < 12).sum())


def test_files_can_be_opened_and_move(line, tmp_path):
    with Image.open(line.save(tmp_path / "line.gif")) as film:
        assert film.n_frames == len(line) == 49
        film.seek(1)
        second = film.convert("RGB")
        film.seek(48)
        last = film.convert("RGB")
        # The path and the curve have grown.
        assert colours_in(last, "#D55E00") > 2 * colours_in(second, "#D55E00") > 0
    page = line.save(tmp_path / "line.html").read_text("utf-8")
    assert page.count("</html>") == page.count("<script>") == 1
    assert len(re.findall(r'"[A-Za-z0-9+/=]{100,}"', page)) == 49
    assert "http" not in page
    with Image.open(line.save(tmp_path / "line.png")) as picture:
        assert picture.size == line.frame(-1).size
    with pytest.raises(sp.SteepestError, match="but the file is 'line"):
        line.save(tmp_path / "line.avi")


def test_without_ffmpeg_mp4_is_refused_in_one_sentence(line, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        sp.SteepestError, match=r"ffmpeg, which is not installed here; .* save as \.gif or \.html"
    ):
        line.save(tmp_path / "line.mp4")


def test_data_of_many_features_show_the_surface_alone(blobs):
    made = descent(blobs, batch_sizes=(16,), epochs=1, frames=3)
    assert made.picture is None
    assert made.frame(2).size[0] > 300


def test_what_cannot_be_filmed_is_told():
    with pytest.raises(sp.SteepestError, match="frames must be at least 2, but is 1"):
        descent("line", frames=1)
    with pytest.raises(sp.SteepestError, match="batch_sizes must name at least one"):
        descent("line", batch_sizes=())


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 500), st.integers(1, 50), st.integers(2, 400))
def test_frames_begin_with_nothing_and_end_with_everything(rows, epochs, frames):
    seen = frames_of(rows, epochs, frames)
    assert seen[0] == 0
    assert seen[-1] == rows * epochs
    assert (np.diff(seen) > 0).all()
    assert len(seen) <= frames
