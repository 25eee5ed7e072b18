"""A model of float64 is trained, scored and asked with the numbers of the data, not rounded ones."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.data import Preprocessing

RNG = np.random.default_rng(0)
Y = np.arange(16) % 2
# Apart by less than float32 can tell.
X = 1 + 1e-9 * (Y[:, None] + RNG.random((16, 3)))


def as_npy(x, folder):
    np.save(folder / "X.npy", x)
    np.save(folder / "y.npy", Y)
    return folder / "X.npy", folder / "y.npy"


def as_npz(x, folder):
    np.savez(folder / "rows.npz", X=x, y=Y)
    return folder / "rows.npz"


def as_frame(x, folder):
    return pl.DataFrame({**{f"x{i}": x[:, i] for i in range(3)}, "target": Y})


def as_csv(x, folder):
    as_frame(x, folder).write_csv(folder / "rows.csv")
    return folder / "rows.csv"


def as_parquet(x, folder):
    as_frame(x, folder).write_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


SOURCES = [
    lambda x, folder: (x, Y),
    lambda x, folder: (np.asfortranarray(x), Y),
    lambda x, folder: (torch.from_numpy(x), torch.from_numpy(Y)),
    *(as_npy, as_npz, as_frame, as_csv, as_parquet),
]


def model():
    torch.manual_seed(0)
    return nn.Linear(3, 2, dtype=torch.float64)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("scaling", ["none", "standardise"])
def test_it_takes_the_steps_of_a_loop_in_float64(source, scaling, tmp_path):
    data = sp.load_data(source(X, tmp_path))
    settings = {"epochs": 3, "batch_size": "full", "lr": 0.5, "momentum": 0.0, "validation": 0.0}
    settings |= {"scaling": scaling, "check": False, "watch": False}
    run = sp.train(model(), data, progress="none", **settings)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    x = x if scaling == "none" else (x - x.mean(0)) / x.std(0)
    twin = model()
    sgd = torch.optim.SGD(twin.parameters(), 0.5)
    for _ in range(3):
        sgd.zero_grad()
        nn.functional.cross_entropy(twin(x), y).backward()
        sgd.step()
    tolerance = {"rtol": 0, "atol": 1e-13 if scaling == "none" else 1e-5}
    for trained, expected in zip(run.model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(trained, expected, **tolerance)
    logits = twin(x).detach()
    found = run.classifier.predict_proba(data.train)
    assert np.allclose(found, logits.softmax(1).numpy(), **tolerance)
    loss = nn.functional.cross_entropy(logits, y).item()
    assert run.scores["train"].loss == pytest.approx(loss, abs=tolerance["atol"])


def test_a_mapped_file_of_float64_stays_mapped(tmp_path):
    train = sp.load_data(as_npy(X, tmp_path)).train
    inputs = Preprocessing.fit(train).prepare(train, np.float64)
    assert isinstance(inputs.array, np.memmap)
    assert inputs.block(0, 16).std(axis=0, ddof=1) == pytest.approx(1)
