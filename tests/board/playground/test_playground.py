"""The playground is the real engine: its steps are those of `train`, and can be taken back."""

import base64
import json
import math
import shlex
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional as F

import steepest as sp
from steepest.board.playground.code import as_command, as_python
from steepest.board.playground.lessons import health_of, ledger_of, surface_of
from steepest.board.playground.picture import picture, points_of
from steepest.board.playground.playground import Playground
from steepest.board.playground.points import KINDS, make_points, read_points
from steepest.board.playground.scenes import SCENES
from steepest.board.playground.sessions import Sessions
from steepest.errors import SteepestError

MOONS = {"kind": "moons", "classes": 2, "rows": 80}


def weights(lane):
    return torch.cat([p.detach().reshape(-1).clone() for p in lane.model.parameters()])


@pytest.mark.parametrize(
    "recipe",
    [
        {"hidden": [5], "batch_size": 7, "momentum": 0.9, "schedule": "cosine", "dropout": 0.2},
        {"hidden": [], "batch_size": "full", "l2": 0.01, "scaling": "none"},
        {"hidden": [4, 4], "optimizer": "adamw", "lr": 0.01, "residual": True, "batch_norm": True},
        {"hidden": [4, 3], "optimizer": "muon", "lr": 0.01, "mixup": 0.3, "batch_size": 1},
    ],
)
def test_its_last_weights_are_those_of_its_own_code(recipe, tmp_path, monkeypatch, steepest):
    """The same bits from the script and from the command, which read the file that it gives."""
    played = Playground({"data": MOONS, "recipe": recipe | {"epochs": 3}})
    for _ in range(40):
        played.move(steps=2)
    played.move(epochs=3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").write_text(played.chosen.points.csv(), encoding="utf-8")
    there: dict = {}
    exec(as_python(played).replace("print", "str"), there)
    assert torch.equal(weights(played.lanes[0]), weights(there["run"]))
    words = shlex.split(as_command(played))[1:]
    assert steepest(*words, "--out", "run", "--progress", "none").code == 0
    assert torch.equal(weights(played.lanes[0]), weights(sp.load_run("run")))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "muon"])
def test_a_step_that_is_gone_back_to_has_its_bits(optimizer):
    recipe = {"optimizer": optimizer, "batch_size": 3, "epochs": 40, "schedule": "cosine"}
    recipe |= {"momentum": 0.9} if optimizer == "sgd" else {}
    played = Playground({"data": MOONS, "recipe": recipe, "lanes": 2})
    lane = played.lanes[1]
    lane._most = 6  # few are kept, so that most are worked out again
    seen = {}
    for step in range(0, 300, 7):
        played.go_to(step)
        seen[step] = weights(lane), picture(played)["lanes"][1]
    assert len(lane._states) <= 6
    for step in (294, 7, 133, 0, 287):
        played.go_to(step)
        assert torch.equal(weights(lane), seen[step][0])
        assert picture(played)["lanes"][1] == seen[step][1]


def test_lanes_ask_for_equally_many_gradients():
    sizes = {"full": "full", "eight": 8, "one": 1}
    lanes = [{"name": name, "batch_size": size} for name, size in sizes.items()]
    played = Playground({"data": MOONS | {"rows": 50, "validation": 0.0}, "lanes": lanes})
    played.go_to(2)
    assert [lane.step for lane in played.lanes] == [2, 14, 100]  # 8 does not divide 50
    assert {lane.samples for lane in played.lanes} == {100}
    played.go_to(0)
    assert [lane.step for lane in played.lanes] == [0, 0, 0]


@pytest.mark.parametrize("classes", [2, 4])
def test_a_picture_shows_what_the_net_answers(classes):
    played = Playground({"data": {"kind": "blobs", "classes": classes, "rows": 90}})
    played.move(epochs=2)
    found, fixed = json.loads(json.dumps(picture(played))), points_of(played)
    lane, along = played.lanes[0], fixed["along"]
    run = played.lanes[0].view.prepared.classifier
    x = np.array(fixed["x"])
    for name, part in (("train", 0), ("validation", 1)):
        rows = x[np.array(fixed["part"]) == part]
        y = np.array(fixed["y"])[np.array(fixed["part"]) == part]
        asked = replace(run, model=lane.model).predict_proba(pl.DataFrame(rows, ["x1", "x2"]))
        loss = -np.log(asked[np.arange(len(y)), y]).mean()
        assert found["lanes"][0][f"{name}_loss"] == pytest.approx(loss, rel=1e-5)
        right = (asked.argmax(1) == y).mean()
        assert found["lanes"][0][f"{name}_accuracy"] == pytest.approx(right)
    shares = [
        np.frombuffer(base64.b64decode(each), np.uint8)
        for each in found["regions"]["probabilities"]
    ]
    assert len(shares) == classes
    assert all(each.size == along**2 for each in shares)
    assert np.abs(np.sum(shares, axis=0, dtype=int) - 255).max() <= classes
    (left, right), (low, high) = fixed["axes"]
    corners = pl.DataFrame({"x1": [left, right], "x2": [low, high]})
    corner = replace(run, model=lane.model).predict_proba(corners)
    for c in range(classes):
        assert shares[c][0] == pytest.approx(255 * corner[0, c], abs=0.6)
        assert shares[c][-1] == pytest.approx(255 * corner[1, c], abs=0.6)


def test_gradients_are_those_of_the_next_minibatch():
    played = Playground({"data": MOONS, "recipe": {"batch_size": 5, "hidden": [3]}})
    played.move(steps=4)
    found, lane = picture(played), played.lanes[0]
    inputs, targets = lane.view.parts["train"]
    rows = lane.plan.minibatch(4)
    loss = F.binary_cross_entropy_with_logits(
        lane.model(inputs[rows]).reshape(-1), targets[rows].float()
    )
    expected = torch.autograd.grad(loss, list(lane.model.parameters()))
    assert np.allclose(found["net"]["layers"][0]["gradient"], expected[0], atol=1e-6)
    assert np.allclose(found["net"]["layers"][1]["bias_gradient"], expected[3], atol=1e-6)
    fixed = points_of(played)
    assert len(found["batch"]) == 5
    assert all(fixed["part"][i] == 0 for i in found["batch"])


def test_a_hundred_seeds_are_a_hundred_trainings():
    played = Playground({"data": MOONS, "recipe": {"hidden": [4], "seed": 7}, "lanes": 100})
    played.move(epochs=2)
    found = picture(played, net=False)
    alone = Playground({"data": MOONS, "recipe": {"hidden": [4], "seed": 7}})
    alone.move(epochs=2)
    assert torch.equal(weights(alone.lanes[0]), weights(played.lanes[0]))
    losses = [lane["train_loss"] for lane in found["lanes"]]
    assert losses[0] == pytest.approx(picture(alone)["lanes"][0]["train_loss"], rel=1e-6)
    assert len(set(losses)) == 100
    assert len(found["each"]) == 100


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.chapter)
def test_every_chapter_sets_its_scene_up(scene):
    played = Playground(scene.wanted)
    played.move(epochs=1)
    found = json.dumps(picture(played), allow_nan=False)
    assert len(found) < 400_000
    if scene.chapter == "L2":
        played.go_to(0)
        start = picture(played)["lanes"][0]["train_loss"]
        assert start == pytest.approx(math.log(5), rel=1e-6)
    if scene.chapter in ("L18", "L20"):
        for _ in range(5):
            played.move(epochs=800)
        slopes = [abs(lane.model[-1].weight.item()) for lane in played.lanes]
        now = picture(played)["lanes"]
        assert all(lane["train_accuracy"] == 1 for lane in now)
        assert slopes == sorted(slopes, reverse=True)
        assert slopes[0] > 10
    if scene.chapter == "L8":
        played.move(epochs=60)
        losses = {lane.name: picture(played)["lanes"][i] for i, lane in enumerate(played.lanes)}
        stuck = {n for n, score in losses.items() if score["train_accuracy"] < 0.6}
        assert {"zeros", "ones"} <= stuck
        assert "xavier" not in stuck


def test_what_is_behind_the_numbers():
    played = Playground({"data": {"classes": 3, "rows": 60}, "recipe": {"hidden": [7, 4]}})
    with pytest.raises(SteepestError, match="no step has been taken yet"):
        surface_of(played)
    played.move(epochs=3)
    ledger = ledger_of(played)
    assert all(entry["agrees"] for entry in ledger["entries"])
    assert {"Z1", "L", "dL/dW1"} <= {entry["name"] for entry in ledger["entries"]}
    surface = surface_of(played)
    path = surface["paths"][0]
    u, v = (np.abs(np.array(surface[k]) - path[-1][i]).argmin() for i, k in enumerate(("us", "vs")))
    assert surface["losses"][v][u] < max(max(row) for row in surface["losses"])
    assert surface["steps"][0][-1] == played.lanes[0].step


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"lr": 100}, "LR_TOO_HIGH"),
        ({"init": "zeros"}, "SYMMETRIC_INIT"),
        ({"lr": 1e-6}, "LR_TOO_LOW"),
    ],
)
def test_health_names_a_fault_that_was_chosen(fault, code):
    played = Playground({"recipe": {"epochs": 30} | fault})
    assert health_of(played)["findings"][0]["code"] == code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_points_have_their_classes_and_their_file_is_exact(kind, classes):
    points = make_points(kind, classes=classes, rows=101, noise=0.1, seed=3)
    again = read_points(points.csv())
    assert np.array_equal(points.x, again.x)
    assert np.array_equal(points.y, again.y)
    assert points.columns == again.columns
    assert len(np.unique(points.y)) == len(points.classes) <= classes
    other = make_points(kind, classes=classes, rows=101, noise=0.1, seed=4)
    assert not np.array_equal(points.x, other.x)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"data": {"kind": "moon"}}, "no points called 'moon'; did you mean 'moons'"),
        ({"data": {"rows": 1e9}}, "rows must lie between 4 and 2000"),
        ({"data": {"rows": "many"}}, "rows must be a number"),
        ({"data": {"classes": 2.5}}, "classes must be a number"),
        ({"data": {"noise": math.nan}}, "noise must be a number"),
        ({"data": {"rows": math.inf}}, "rows must be a number"),
        ({"data": [1]}, "data must be a table"),
        ({"lanes": [1]}, "each lane must be a table"),
        ({"lanes": True}, "lanes must be a number of seeds"),
        ({"recipe": {"hidden": {"a": 1}}}, "hidden"),
        ({"recipe": {"lr": math.nan}}, "lr"),
        ({"recipe": {"batch_size": [1]}}, "batch_size"),
        ({"data": {"csv": "1,2,A\n1,x,B"}}, "line 2"),
        ({"data": {"csv": "1,2,A\n1,inf,B"}}, "line 2"),
        ({"data": {"csv": "1,2,A\n1,3,A\n1,4,A\n1,5,A"}}, "2 to 5 classes"),
        ({"data": {"path": "/etc/passwd"}}, "no 'path' here"),
        ({"recipe": {"data": "/etc/passwd"}}, "no 'data' here"),
        ({"recipe": {"hidden": [1000]}}, "at most 8 layers of 64 units"),
        ({"recipe": {"lr": "fast"}}, "lr"),
        ({"recipe": {"lr": "auto"}}, "give a number"),
        ({"recipe": {"optimizer": "lbfgs", "batch_size": "full"}}, "optimizers sgd"),
        ({"recipe": {"epochs": 10**9}}, "at most 10000"),
        ({"recipe": {"hidden": [64] * 8}, "lanes": 100}, "more than a picture can follow"),
        ({"lanes": 101}, "between 1 and 100"),
        ({"lanes": [{"name": "a", "out": "x"}]}, "no 'out' here"),
        ({"runs": 3}, "no 'runs' here"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(wanted, said):
    with pytest.raises(SteepestError) as refused:
        Playground(wanted)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_sessions_forget_the_oldest_and_take_only_whole_steps():
    sessions = Sessions()
    names = [sessions.begin({"data": MOONS})["name"] for _ in range(7)]
    with pytest.raises(SteepestError, match="has been closed"):
        sessions.move(names[0], {"steps": 1})
    assert sessions.move(names[-1], {"steps": 3})["lanes"][0]["step"] == 3
    assert sessions.move(names[-1], {"steps": -2, "net": False})["lanes"][0]["step"] == 1
    assert sessions.move(names[-1], {"to": 10**5})["samples"] == points_total(names[-1], sessions)
    for wrong in ({"steps": 0.5}, {"epochs": "all"}, {"to": 10**9}):
        with pytest.raises(SteepestError, match="whole number"):
            sessions.move(names[-1], wrong)
    with pytest.raises(SteepestError, match="has no 'soul'"):
        sessions.look(names[-1], "soul")


def points_total(name, sessions):
    return sessions.move(name, {})["total"]
