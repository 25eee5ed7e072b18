"""The preset for images: when it is taken, what it decides, and that its cost has a bound."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

import steepest as sp
from steepest.engine.flops import FlopCounter
from steepest.ensemble.preset import decided
from steepest.errors import DataError
from steepest.nn import multiply_adds
from steepest.presets import Meeting, decide
from steepest.presets.image import _BUDGET
from steepest.recipe import Recipe

RNG = np.random.default_rng(0)
QUICK = {"epochs": 1, "check": False, "progress": "none"}


def pictures(count, *shape, dtype=np.uint8):
    """Bright in the upper half, or in the lower one."""
    labels = np.arange(count) % 2
    images = RNG.integers(0, 100, (count, *shape))
    height = shape[-2]
    images[labels == 0, ..., : height // 2, :] += 100
    images[labels == 1, ..., height // 2 :, :] += 100
    return (images if dtype == np.uint8 else images / 255).astype(dtype), labels


def chosen(data, **settings):
    return decided(None, data, Recipe(**settings), by_hand=False).recipe


def of(rows, *image, classes=10, **given):
    return decide("image", Recipe(**given), Meeting(rows, 1, 1, classes, False, image))[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(12, 12), (1, 12, 12), (3, 12, 10)])
def test_images_have_the_preset(shape, dtype):
    made = chosen(pictures(20, *shape, dtype=dtype))
    assert (made.preset, made.channels, made.hidden) == ("image", (32, 64), ())


@pytest.mark.parametrize("settings", [{"flip": True}, {"shift": 0}, {"epochs": 3}, {"cutout": 2}])
def test_what_is_given_of_images_is_kept_beside_it(settings):
    made = chosen(pictures(20, 3, 12, 12), **settings)
    plain = chosen(pictures(20, 3, 12, 12))
    assert made == plain.replace(**settings)


def test_who_describes_a_net_has_it():
    made = chosen(pictures(20, 3, 12, 12), hidden=(5,))
    assert made == Recipe(hidden=(5,))


def test_a_torch_dataset_of_images_has_it():
    X, y = pictures(20, 1, 12, 12, dtype=np.float32)
    assert chosen(TensorDataset(torch.from_numpy(X), torch.from_numpy(y))).preset == "image"


def test_images_with_their_channels_last_are_refused():
    with pytest.raises(DataError, match=r"pass X.transpose\(0, 3, 1, 2\), rows of \(3, 12, 11\)"):
        chosen(pictures(20, 12, 11, 3))


@pytest.mark.parametrize("rows", [2, 10, 500, 5_000, 60_000, 1_000_000])
@pytest.mark.parametrize(
    "image", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 200), (1, 5, 100)]
)
def test_the_cost_of_any_data_has_a_bound(rows, image):
    made = of(rows, *image)
    trained = (1 - made.validation) * rows
    an_epoch = 6 * trained * multiply_adds(image, made.channels, 10, residual=made.residual)
    assert an_epoch * made.epochs < 1.01 * _BUDGET or (made.epochs, made.channels[0]) == (3, 8)
    assert made.epochs * -(-rows // made.batch_size) >= 200
    assert 0 <= made.ema < 1


def test_smaller_minibatches_take_smaller_steps():
    few, more, many = (of(rows, 1, 28, 28) for rows in (1_000, 16_000, 60_000))
    assert [made.batch_size for made in (few, more, many)] == [16, 64, 128]
    assert few.lr < more.lr < many.lr
    assert (few.lr / many.lr) ** 2 == pytest.approx(16 / 128, rel=0.05)


@pytest.mark.parametrize(
    ("rows", "given", "share"),
    [
        (500, {}, 0.1),
        (60_000, {}, 0.0333),
        (60_000, {"validation": 0.2}, 0.2),
        (9, {"test": 0.5}, 0.1),
    ],
)
def test_of_many_images_fewer_are_held_out_unless_a_share_is_given(rows, given, share):
    assert of(rows, 1, 28, 28, **given).validation == share
    with_members = of(rows, 1, 28, 28, members=2, **given)
    assert with_members.validation == share


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 41, 50), (3, 100, 224), (8, 8)])
def test_what_a_row_costs_is_what_its_net_multiplies(shape):
    net = sp.nn.convolutional(shape, (4, 8, 8), 5, batch_norm=True, residual=True)
    with FlopCounter(net) as counter, torch.no_grad():
        net.eval()(torch.zeros(1, *shape))
    expected = 2 * multiply_adds(shape, (4, 8, 8), 5, residual=True)
    assert counter.flops(1) == pytest.approx(expected, rel=0.01)  # it counts the pools too


def test_channels_that_are_given_decide_the_budget():
    assert of(60_000, 1, 28, 28, channels=(64, 64)).epochs < of(60_000, 1, 28, 28).epochs
    assert of(500, 1, 28, 28, channels=(16,)).residual is False


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("shape", [(8, 8), (1, 4, 30), (3, 50, 44), (3, 33, 90)])
def test_images_of_any_size_are_trained(shape, engine):
    run = sp.train(None, pictures(24, *shape), engine=engine, **QUICK)
    assert (run.recipe.preset, run.info["engine"]) == ("image", engine)
    assert isinstance(run.model[-1], nn.Linear | sp.LinearLayer)
    assert np.isfinite(run.history["train_loss"].to_numpy()).all()


def test_one_row_of_each_class_is_enough_to_begin():
    X = RNG.integers(0, 255, (12, 3, 16, 16)).astype(np.uint8)
    run = sp.train(
        None, (X, np.arange(12)), validation=0.0, channels=(8, 8), preset="image", **QUICK
    )
    assert run.recipe.epochs == 1
    assert of(12, 3, 16, 16).epochs == 200


def test_a_folder_of_images_of_odd_sizes_needs_no_setting(tmp_path):
    for i in range(40):
        X, _ = pictures(2, 3, int(RNG.integers(12, 24)), int(RNG.integers(12, 24)))
        X[0, 0], X[1, 2] = X[0, 0] // 4, X[1, 2] // 4
        for name, pixels in zip(("blue", "red"), X, strict=True):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "photos" / name / f"{i}.png")
    run = sp.train(
        None,
        tmp_path / "photos",
        epochs=8,
        check=False,
        progress="none",
        test=0.2,
        out=tmp_path / "run",
    )
    assert run.recipe.preset == "image"
    assert "are resized to" in " ".join(run.record.table("events")["text"])
    assert run.scores["test"].accuracy > 0.9
    again = sp.load_run(tmp_path / "run")
    assert again.evaluate(tmp_path / "photos").accuracy > 0.9  # resized as then
    alone = tmp_path / "new" / "red"
    alone.mkdir(parents=True)
    Image.new("RGB", (90, 55)).save(alone / "a.png")
    assert len(again.classifier.predict(tmp_path / "new")) == 1
