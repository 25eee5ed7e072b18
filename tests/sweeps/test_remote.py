"""What another process trains comes back with the bits of this one, from rows it cannot write."""

import pickle

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.sweeps.metrics import Metric
from steepest.sweeps.preparations import Preparations
from steepest.sweeps.remote import Order, RemoteTraining, RemoteWorker, Shared

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 6)).astype(np.float32)
Y = (X @ RNG.normal(size=(6, 3))).argmax(axis=1)
WEIGHTED = sp.Samples(X, Y, source="arrays", weights=np.linspace(0.1, 2, 240).astype(np.float32))
FRAME = pl.DataFrame(X, schema=list("abcdef")).with_columns(
    pl.Series("g", ["u", "v", "w"] * 80), pl.Series("class", Y)
)


def sent(thing):
    """As it comes out of an object store: its arrays cannot be written."""
    buffers = []
    data = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x):
        return self.linear(x) * 2


@pytest.mark.parametrize(
    ("data", "settings", "model"),
    [
        ((X, Y), {"hidden": (8,)}, None),
        (WEIGHTED, {"hidden": (8,), "engine": "torch"}, None),
        (FRAME, {"hidden": (8,), "early_stopping": True}, None),
        ((X, Y), {}, Net()),
        (FRAME, {"members": 2, "hidden": (4,)}, None),
    ],
    ids=["native", "torch", "frame", "module", "several nets"],
)
def test_it_comes_back_with_the_same_bits(data, settings, model):
    recipe = sp.Recipe(epochs=3, test=0.2, threads=1, **settings)
    here = sp.sweep(recipe, {"lr": [0.05, 0.2]}, model=model, data=data, seeds=2)
    preparations = Preparations(model, data)
    preparations.whole(recipe)
    shared = Shared(model, preparations.read, Metric.of("val_loss"), keep_best=1)
    worker = RemoteWorker(sent(shared))
    names = here.results["run"].to_list()
    recipes = [recipe.replace(lr=row["lr"]).with_seed(row["seed"]) for row in here]
    orders = [Order(n, r, None, np.inf) for n, r in zip(names, recipes, strict=True)]
    reports = sent(worker.carry_out(sent(orders)))
    found = pl.DataFrame([vars(report.row) for report in reports]).drop("seconds")
    assert found.equals(here.results.select(found.columns))
    history = pl.DataFrame([vars(e) for report in reports for e in report.history])
    there = pl.concat([here.history(name) for name in names])
    assert history.drop("seconds", "metrics").equals(there)
    kept = [name for name, r in zip(names, reports, strict=True) if r.weights]
    if settings.get("members"):
        assert not kept  # they are trained again where they are kept
        return
    assert kept == list(here.kept)
    place = names.index(kept[0])
    run = RemoteTraining(reports[place], recipes[place], preparations).to_run()
    ours = here.run(kept[0])
    assert run.scores == ours.scores
    assert run.history.drop("seconds").equals(ours.history.drop("seconds"))
    theirs, ours = run.model.state_dict(), ours.model.state_dict()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


def test_a_run_that_pauses_and_one_that_fails():
    class Broken(Net):
        def forward(self, x):
            if self.training:
                raise RuntimeError("no more\nthan this")
            return super().forward(x)

    preparations = Preparations(lambda r: Broken() if r.lr > 0.2 else Net(), (X, Y))
    recipe = sp.Recipe(epochs=5, threads=1, lr=0.1)
    preparations.whole(recipe)
    shared = Shared(preparations.model, preparations.read, Metric.of("val_loss"), keep_best=2)
    worker = RemoteWorker(shared)
    orders = [Order("a", recipe, 2, np.inf), Order("b", recipe.replace(lr=0.3), None, np.inf)]
    paused, failed = worker.carry_out(orders)
    assert not paused.has_ended
    assert paused.weights is None
    row = RemoteTraining(paused, recipe, preparations).prune("too slow")
    assert (row.status, row.cause, row.epochs) == ("pruned", "too slow", 2)
    assert row.val_loss == paused.history[-1].val_loss
    assert failed.has_ended
    assert failed.row.cause == "RuntimeError: no more"
