"""Members that share their weights are K nets by hand: outputs, loss, probabilities, file."""

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest import EnsembleMean, EnsembleView, LinearBatchEnsemble, LinearEnsemble
from steepest.errors import ModelError, RecipeError
from steepest.nn import build, describe
from steepest.objective import Objective, TrainingLoss

K = 5


def net(outputs=3, closing="softmax"):
    torch.manual_seed(0)
    model = sp.mlp(7, [6, 4], outputs, activation="silu", batch_ensemble=K, closing=closing)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith((".r", ".s", ".bias")):
                p.add_(0.3 * torch.randn_like(p))
    return model


def member(model, k, x):
    """The k-th net's logits, layer by layer."""
    for layer in model:
        if isinstance(layer, LinearBatchEnsemble):
            x = ((x * layer.r[k]) @ layer.weight.T) * layer.s[k] + layer.bias[k]
        elif isinstance(layer, LinearEnsemble):
            x = x @ layer.weights[k].T + layer.bias[k]
        elif not isinstance(layer, (EnsembleView, EnsembleMean)):
            x = layer(x)
    return x


def test_in_training_it_gives_what_each_member_gives():
    model, x = net().train(), torch.randn(9, 7)
    found = model(x)
    assert found.shape == (9, K, 3)
    for k in range(K):
        torch.testing.assert_close(found[:, k], member(model, k, x))


@pytest.mark.parametrize(("outputs", "closing"), [(3, "softmax"), (1, "softmax"), (3, "sigmoid")])
def test_in_evaluation_it_gives_the_mean_of_their_probabilities(outputs, closing):
    model, x = net(outputs, closing).eval(), torch.randn(9, 7)
    made = {"softmax": lambda z: z.softmax(1), "sigmoid": torch.sigmoid}
    close = made["sigmoid" if outputs == 1 else closing]
    mean = torch.stack([close(member(model, k, x)) for k in range(K)]).mean(0)
    assert model(x).shape == (9, outputs)
    torch.testing.assert_close(close(model(x)), mean)


@pytest.mark.parametrize("weights", [None, torch.rand(9) + 0.5])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
def test_the_loss_is_the_mean_of_their_losses(kind, smoothing, weights):
    model, x = net(1 if kind == "binary" else 3).train(), torch.randn(9, 7)
    loss = TrainingLoss(Objective(kind), 2 if kind == "binary" else 3, smoothing)
    targets = torch.randint(0, 2, (9, 3) if kind == "multilabel" else (9,))
    mixed = (targets.roll(-1, 0), 0.7)
    for other in ((None, 1.0), mixed):
        each = [loss(member(model, k, x), targets, *other, weights) for k in range(K)]
        found = loss(model(x), targets, *other, weights)
        torch.testing.assert_close(found, torch.stack(each).mean())
        totals = [loss.total(member(model, k, x), targets, *other, weights) for k in range(K)]
        found = loss.total(model(x), targets, *other, weights)
        torch.testing.assert_close(found, torch.stack(totals).mean())


def test_members_begin_with_signs_of_their_own_and_one_matrix():
    model = sp.mlp(40, [30, 20], 3, batch_ensemble=4, seed=0)
    kinds = (LinearBatchEnsemble, LinearEnsemble)
    first, second, head = (layer for layer in model if isinstance(layer, kinds))
    assert set(first.r.flatten().tolist()) == {-1.0, 1.0}
    assert not torch.equal(first.r[0], first.r[1])
    assert (second.r == 1).all()
    assert (first.s == 1).all()
    assert first.weight.shape == (30, 40)
    assert head.weights.shape == (4, 3, 20)
    assert not torch.equal(head.weights[0], head.weights[1])


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_run_of_them_is_saved_with_the_mean_of_their_probabilities(blobs, tmp_path, engine):
    settings = {"hidden": (12,), "batch_ensemble": K, "epochs": 5, "lr": 0.05, "dropout": 0.1}
    run = sp.train(None, blobs, progress="none", out=tmp_path / "run", engine=engine, **settings)
    assert {finding.code for finding in run.findings} <= {"STOPPED_TOO_EARLY"}
    x = torch.as_tensor(
        run.classifier.preprocessing.prepare(sp.load_data(blobs).train).block(0, 50)
    )
    each = [member(run.model.eval(), k, x).softmax(1) for k in range(K)]
    np.testing.assert_allclose(
        run.classifier.predict_proba(blobs[0][:50]),
        torch.stack(each).mean(0).detach().numpy(),
        atol=1e-6,
    )
    again = sp.load_run(tmp_path / "run")
    assert repr(again.model) == repr(run.model) == repr(build(describe(run.model)))
    assert np.array_equal(again.classifier.predict(blobs[0]), run.classifier.predict(blobs[0]))
    history = run.history["train_acc"].to_numpy()
    assert history[-1] > 0.9


@pytest.mark.parametrize(
    "make",
    [
        lambda: EnsembleView(0),
        lambda: LinearEnsemble(3, 2, 10**12),
        lambda: LinearBatchEnsemble(3, 2, 0),
    ],
)
def test_a_number_of_members_that_is_none_is_refused(make):
    with pytest.raises(ModelError, match="members must be 1 to 1024"):
        make()


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ModelError, match="closing must be"):
        EnsembleMean("relu")
    with pytest.raises(RecipeError, match="one mean for all members of batch_ensemble"):
        sp.Recipe(hidden=(3,), batch_ensemble=4, batch_norm=True)


def test_members_learn_different_things():
    X = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    run = sp.train(
        None, (X, y), hidden=(16,), batch_ensemble=4, epochs=30, optimizer="adamw", lr=0.01,
        progress="none", check=False,
    )  # fmt: skip
    run.model.train()
    with torch.no_grad():
        logits = run.model(torch.from_numpy(X))[:, :, 0]
    assert float(logits.std(dim=1).mean()) > 0.05
    assert isinstance(run.model, nn.Sequential)
