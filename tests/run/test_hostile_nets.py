"""Saved nets of strangers: their sizes are known before anything is allocated."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import steepest as sp
from steepest.nn import describe, outline, outputs_of

X = np.random.default_rng(0).normal(size=(40, 1, 6, 6)).astype(np.float32)
Y = np.arange(40) % 2
HUGE = 10**4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="replicate"),
        *(nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 2)),
    )
    sp.train(net, (X, Y), epochs=1, out=folder, progress="none", check=False, watch=False)
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def small(monkeypatch):
    """No tensor that holds numbers is large."""
    largest = []
    call = nn.Module.__call__

    def watched(module, *inputs):
        found = call(module, *inputs)
        if isinstance(found, torch.Tensor) and not found.is_meta:
            largest.append(found.numel())
        return found

    monkeypatch.setattr(nn.Module, "__call__", watched)
    yield
    assert max(largest, default=0) < 10**5


def change(folder, edit):
    for path in (folder / "classifier.json", *(folder / "checkpoints").glob("step-*.json")):
        described = json.loads(path.read_text())
        edit(described["architecture"]["children"])
        path.write_text(json.dumps(described))


def opened(folder):
    sp.load_run(folder).classifier.predict(X[:3])


def resumed(folder):
    sp.resume(folder, data=(X, Y), epochs=2, progress="none")


def setting(part, **settings):
    return lambda parts: parts[part]["settings"].update(settings)


def part(name, kind, **settings):
    return lambda parts: parts.update({name: {"type": kind, "settings": settings}})


def pooled_twice(parts):
    """A huge picture in between that nothing after it tells of."""
    parts["2"] = {
        "type": "Sequential",
        "children": {
            "0": {"type": "AdaptiveAvgPool2d", "settings": {"output_size": HUGE}},
            "1": {"type": "AdaptiveAvgPool2d", "settings": {"output_size": 2}},
        },
    }


@pytest.mark.parametrize("action", [opened, resumed])
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (pooled_twice, "numbers of one row"),
        (setting("0", padding=HUGE), "numbers of one row"),
        (setting("0", padding=HUGE, stride=HUGE), "numbers of one row"),
        (setting("4", in_features=10**6, out_features=10**6), "do not fit"),
        (setting("4", in_features=10**30), "cannot be built"),
        (setting("4", in_features=8.0), "cannot be built"),
        (setting("0", groups=0), "cannot be built"),
        (setting("0", device="cpu"), "with a setting 'device'"),
        (setting("0", stride=0), "does not take rows"),
        (setting("3", start_dim=10**30), "does not take rows"),
        (setting("3", start_dim="x"), "does not take rows"),
        (part("1", "GroupNorm", num_groups=0, num_channels=2), "cannot be built"),
        (part("1", "Hardtanh", min_val=3, max_val=1), "cannot be built"),
        (part("1", "Embedding", num_embeddings=1, embedding_dim=1, _weight=3), "'_weight'"),
        (part("5", "MaxPool1d", kernel_size=1, return_indices=True), "does not take rows"),
    ],
)
def test_a_net_that_no_training_made_is_refused(folder, small, action, edit, message):
    change(folder, edit)
    with pytest.raises(sp.SteepestError, match=message) as raised:
        action(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.complex64])
def test_weights_of_another_type_are_refused(folder, dtype):
    weights = load_file(folder / "model.safetensors")
    weights["4.weight"] = weights["4.weight"].to(dtype)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(sp.SteepestError, match="holds a damaged classifier"):
        sp.load_run(folder)


def test_a_net_of_float64_is_opened_and_gone_on_with_in_float64(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    sp.train(net, (X, Y), epochs=1, out=tmp_path / "run", progress="none", check=False)
    assert sp.load_run(tmp_path / "run").model[1].weight.dtype == torch.float64
    run = sp.resume(tmp_path / "run", data=(X, Y), epochs=2, progress="none")
    assert run.model[1].weight.dtype == torch.float64


def test_a_norm_of_float32_in_a_net_of_bfloat16_is_opened(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    run = sp.train(net, (X, Y), epochs=1, progress="none", check=False)
    for linear in (net[1], net[3]):
        linear.bfloat16()
    run.save(tmp_path / "run")
    assert sp.load_run(tmp_path / "run").classifier.predict(X[:3]).shape == (3,)


def test_a_wide_net_on_large_pictures_is_no_stranger():
    wide = nn.Sequential(nn.Conv2d(1, 512, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    wide.append(nn.Linear(512, 2))
    on_meta = outline(describe(wide), wide.state_dict())
    assert outputs_of(on_meta, (1, 600, 600), torch.float32) == (2, 2)
