"""Which weights a run ends with: the last, their average, or those of the best epoch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest import Recipe
from steepest.errors import RecipeError
from steepest.run import EpochFinished
from steepest.training.weights import first_averaged

ENGINES = ["native", "torch"]


def train(data, model=None, **settings):
    return sp.train(model, data, progress="none", **settings)


def noisy(seed=0, rows=160):
    """Labels that are chance: what a net learns of them does not hold for other rows."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 10)).astype(np.float32), rng.integers(0, 2, rows)


@pytest.mark.parametrize("engine", ENGINES)
def test_early_stopping_goes_back_to_the_epoch_of_the_lowest_validation_loss(engine):
    run = train(
        noisy(),
        hidden=(64,),
        lr=0.3,
        validation=0.3,
        epochs=200,
        early_stopping=True,
        patience=4,
        engine=engine,
    )
    losses = run.history["val_loss"].to_list()
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 4 < 200
    assert run.scores["validation"].loss == pytest.approx(losses[best], rel=1e-6)
    reason = run.record.table("events")["text"][-1]
    assert reason == (
        "the validation loss has not been lower for 4 epochs; the weights are those of epoch "
        f"{best}, the best on the validation part"
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_the_average_of_the_weights_is_what_is_evaluated_and_kept(blobs, engine):
    """By hand: run the same steps without it, and average the weights after each."""
    seen = []
    model = sp.mlp(4, [6], 3, seed=0)
    start = {name: p.clone() for name, p in model.state_dict().items()}
    plain = sp.mlp(4, [6], 3, seed=0)
    average = None
    for steps in range(1, 13):
        plain.load_state_dict(start)
        train(blobs, plain, steps=steps, batch_size=30, engine="torch")
        now = {name: p.detach().double().clone() for name, p in plain.named_parameters()}
        average = now if average is None else {n: 0.8 * average[n] + 0.2 * now[n] for n in now}
    run = train(
        blobs,
        model,
        steps=12,
        batch_size=30,
        ema=0.8,
        engine=engine,
        observers=[lambda e: seen.append(e) if isinstance(e, EpochFinished) else None],
    )
    for name, p in model.named_parameters():
        assert torch.allclose(p.double(), average[name], rtol=1e-4, atol=1e-6), name
    assert run.scores["validation"].loss == pytest.approx(seen[-1].val_loss)


def means_of_epochs(data, settings):
    """A net trained with swa, and the weights of its first layer after each epoch."""
    seen = []
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    def keep(event):
        if isinstance(event, EpochFinished):
            seen.append(model[0].weight.detach().clone())

    run = train(data, model, lr=0.5, observers=[keep], **settings)
    return run, torch.stack(seen)


@pytest.mark.parametrize(
    ("settings", "averaged"),
    [
        ({"epochs": 10, "swa": 0.5}, 5),
        ({"epochs": 10, "swa": 0.6, "engine": "torch"}, 6),
        ({"epochs": 10, "swa": 0.7}, 7),
        ({"epochs": 10, "swa": 0.01}, 1),
        ({"epochs": 10, "swa": 0.99}, 10),
        ({"epochs": 1, "swa": 0.3}, 1),
        ({"epochs": 9, "steps": 21, "swa": 0.5}, 2),  # of 4 epochs, the last of 3 steps
    ],
)
def test_swa_is_the_mean_of_the_last_epochs(blobs, settings, averaged):
    run, seen = means_of_epochs(blobs, settings)
    model = run.model
    assert torch.allclose(model[0].weight, seen[-averaged:].mean(0), rtol=1e-5, atol=1e-7)
    train_inputs, *_ = run.classifier.prepare(run.dataset.train)
    x = torch.from_numpy(train_inputs.block(0, len(train_inputs)))
    z = nn.functional.linear(x, model[0].weight, model[0].bias)
    assert torch.allclose(model[1].running_mean, z.mean(0), atol=1e-4)
    assert torch.allclose(model[1].running_var, z.var(0), rtol=1e-3)


def test_swa_averages_the_share_of_the_epochs_that_the_docs_state():
    for epochs in range(1, 31):
        for share in np.linspace(0.01, 0.99, 99).tolist():
            plan = SimpleNamespace(
                recipe=Recipe(swa=share), total_steps=7 * epochs - 3, steps_per_epoch=7
            )
            assert epochs - first_averaged(plan) == max(1, round(share * epochs))


@pytest.mark.parametrize("engine", ENGINES)
def test_evaluation_never_changes_state(blobs, engine):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    run = train(blobs, model, epochs=2, engine=engine, check=False)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    first = run.classifier.predict_proba(blobs[0])
    assert np.array_equal(first, run.classifier.predict_proba(blobs[0]))
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_with_everything_on_is_the_same_again_and_for_calls_of_any_length(blobs, engine):
    settings = {
        "hidden": (8, 8),
        "dropout": 0.2,
        "batch_norm": True,
        "residual": True,
        "stochastic_depth": 0.2,
        "optimizer": "adamw",
        "schedule": "cosine",
        "warmup": 3,
        "mixup": 0.3,
        "label_smoothing": 0.1,
        "ema": 0.9,
        "class_weight": "balanced",
        "clip_norm": 1.0,
        "accumulate": 2,
        "epochs": 3,
        "engine": engine,
    }
    first = train(blobs, **settings)
    second = train(blobs, **settings, log_every=1)
    assert first.info["engine"] == engine
    for p, q in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_batch_norm_with_batches_of_one_row_is_refused(blobs):
    with pytest.raises(RecipeError) as error:
        train(blobs, hidden=(4,), batch_norm=True, batch_size=1)
    assert str(error.value) == (
        "batch_size is 1, and module '2' (BatchNorm1d) needs the spread of several rows: take a "
        "larger batch_size, or LayerNorm"
    )


def test_a_net_with_all_of_it_is_saved_and_opened(blobs, tmp_path):
    settings = {"hidden": (8, 8), "dropout": 0.2, "batch_norm": True, "residual": True}
    run = train(blobs, **settings, stochastic_depth=0.1, epochs=2, out=tmp_path / "run")
    again = sp.load_run(tmp_path / "run")
    assert repr(again.model) == repr(run.model.eval())
    assert np.array_equal(
        again.classifier.predict_proba(blobs[0]), run.classifier.predict_proba(blobs[0])
    )
