"""Trainings in several threads, and whatever else torch has once for the whole process."""

import sys
import threading
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import steepest as sp
from steepest.engine.rows import as_tensor


class Noisy(nn.Module):
    """Draws from torch's generator while it trains, and `always` also where it is evaluated."""

    def __init__(self, hidden, always=False):
        super().__init__()
        self.first, self.last = nn.Linear(4, hidden), nn.Linear(hidden, 3)
        self.norm = nn.BatchNorm1d(hidden)
        self.always = always

    def forward(self, x):
        h = F.dropout(self.norm(self.first(x)), 0.4, self.training or self.always)
        return self.last(h + 0.1 * torch.randn_like(h))


KINDS = [(8, False, 1), (16, True, 2), (8, False, 1)]  # width, always, threads


def model_of(width, always, _):
    torch.manual_seed(width)
    return Noisy(width, always)


def train(model, blobs, kind):
    settings = {"epochs": 4, "swa": 0.5, "threads": kind[2], "log_every": 3, "check": False}
    run = sp.train(model, blobs, progress="none", **settings)
    return [*model.state_dict().values(), torch.tensor(run.history["val_loss"].to_list())]


def test_trainings_in_threads_have_the_bits_of_each_alone(blobs):
    alone = [train(model_of(*kind), blobs, kind) for kind in KINDS]
    models = [model_of(*kind) for kind in KINDS]
    together = [None] * len(KINDS)

    def work(i):
        together[i] = train(models[i], blobs, KINDS[i])

    threads, filters = torch.get_num_threads(), list(warnings.filters)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        workers = [threading.Thread(target=work, args=(i,)) for i in range(len(KINDS))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    for found, expected in zip(together, alone, strict=True):
        assert all(map(torch.equal, found, expected))
    assert torch.get_num_threads() == threads
    assert list(warnings.filters) == filters


def test_a_run_leaves_torch_s_generator_as_it_was_also_by_its_evaluations(blobs):
    model = Noisy(8, always=True)
    before = torch.get_rng_state()
    sp.train(model, blobs, epochs=2, swa=0.5, progress="none", check=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_read_only_memory_becomes_a_tensor_without_a_warning():
    array = np.arange(6.0).reshape(2, 3)[:, ::2]
    array.flags.writeable = False
    tensor = as_tensor(array)
    assert tensor.tolist() == array.tolist()
    assert tensor.data_ptr() == array.ctypes.data
    del array
    assert tensor.tolist() == [[0.0, 2.0], [3.0, 5.0]]


@pytest.mark.parametrize("outer", [torch.no_grad, torch.inference_mode])
def test_it_works_inside_no_grad_and_inference_mode(blobs, outer, tmp_path):
    settings = {"epochs": 2, "hidden": (4,), "progress": "none"}
    expected = sp.train(None, blobs, **settings)
    with outer():
        run = sp.train(None, blobs, out=tmp_path / "run", **settings)
        assert np.array_equal(
            run.classifier.predict_proba(blobs[0]), expected.classifier.predict_proba(blobs[0])
        )
        assert run.evaluate(blobs).accuracy == expected.evaluate(blobs).accuracy
        longer = sp.resume(tmp_path / "run", data=blobs, epochs=3, progress="none")
        assert sp.find_lr(None, blobs).suggestion > 0
        opened = sp.load_run(tmp_path / "run").classifier.predict(blobs[0])
        assert not torch.is_grad_enabled()
    assert longer.status == "finished"
    assert np.array_equal(opened, longer.classifier.predict(blobs[0]))


def test_a_model_that_cannot_take_a_gradient_is_refused(blobs):
    with torch.inference_mode():
        model = nn.Linear(4, 3)
        with pytest.raises(sp.SteepestError) as error:
            sp.train(model, blobs, progress="none")
    assert str(error.value) == (
        "weight was made inside torch.inference_mode() and takes no gradient: make the model "
        "outside it"
    )


@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_model_on_the_meta_device_is_refused(blobs, device):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3, device="meta"))
    with pytest.raises(sp.SteepestError) as error:
        sp.train(model, blobs, device=device, progress="none")
    assert str(error.value) == (
        "2.weight is on the meta device, which holds no numbers: give the model weights first, "
        "model.to_empty(device='cpu') and an initialisation"
    )
