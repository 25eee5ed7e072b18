"""The best epoch by another measure than the loss, for one net and for several."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import balanced_accuracy_score
from sklearn.metrics import log_loss as sklearn_log_loss

import steepest as sp
from steepest.classifier import calibrated_loss, fitted_temperature
from steepest.report import best_epoch
from steepest.training.deciding import balanced_accuracy
from steepest.training.observers import StopTraining
from steepest.training.weights import Best

MEASURES = ("loss", "accuracy", "balanced_accuracy", "calibrated_loss")


def noisy(rows=240):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    y = np.digitize(x[:, 0] + 0.8 * rng.normal(size=rows), [-0.2, 1.4])
    return x, y


SETTINGS = {
    "hidden": (32,),
    "lr": 0.5,
    "epochs": 25,
    "batch_size": 16,
    "validation": 0.3,
    "progress": "none",
    "check": False,
    "watch": False,
}


def costs_of(probabilities, y):
    """What scikit-learn says of these rows, by measure, and their loss."""

    def tempered(log_temperature):
        powers = probabilities ** (1 / np.exp(log_temperature))
        return powers / powers.sum(axis=1, keepdims=True)

    def cost(t):
        return len(y) * sklearn_log_loss(y, tempered(t)) + 10 * t**2 / 2

    t = minimize_scalar(cost, bounds=(np.log(0.2), np.log(5)), method="bounded").x
    decided = probabilities.argmax(axis=1)
    loss = sklearn_log_loss(y, probabilities)
    return {
        "loss": loss,
        "accuracy": 1 - (decided == y).mean(),
        "balanced_accuracy": 1 - balanced_accuracy_score(y, decided),
        "calibrated_loss": sklearn_log_loss(y, tempered(t)),
    }, loss


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("best_by", MEASURES)
def test_the_weights_at_the_end_are_the_best_by_scikit_learns_figures(best_by, engine):
    x, y = noisy()
    train, held_out = (x[80:], y[80:]), (x[:80], y[:80])
    dataset = replace(sp.load_data(train), validation=sp.load_data(held_out).train)
    settings = {**SETTINGS, "validation": 0.0, "engine": engine}
    found = []
    for epochs in range(1, 26):
        run = sp.train(None, dataset, **{**settings, "epochs": epochs})
        by, loss = costs_of(run.classifier.predict_proba(held_out[0]), held_out[1])
        found.append((round(by[best_by], 9), loss))
    run = sp.train(None, dataset, **settings, early_stopping=True, patience=25, best_by=best_by)
    best = min(range(25), key=found.__getitem__)
    kept, loss = costs_of(run.classifier.predict_proba(held_out[0]), held_out[1])
    assert kept[best_by] == pytest.approx(found[best][0], abs=1e-5)
    assert loss == pytest.approx(found[best][1], abs=1e-5)
    text = run.record.table("events")["text"].to_list()[-1]
    by = "" if best_by == "loss" else f" by {best_by.replace('_', ' ')}"
    assert f"the weights are those of epoch {best}, the best on the validation part{by}" in text
    assert best_epoch(run.history, best_by) == best
    column = {"loss": "val_loss", "accuracy": "val_acc"}.get(best_by, f"val_{best_by}")
    cost, _ = found[best]
    is_share = best_by in ("accuracy", "balanced_accuracy")
    assert run.history[column][best] == pytest.approx(1 - cost if is_share else cost, abs=1e-5)
    assert run.history.width == 8 + (best_by in ("balanced_accuracy", "calibrated_loss"))


def test_patience_is_that_of_the_measure():
    run = sp.train(
        None, noisy(), **SETTINGS, early_stopping=True, patience=2, best_by="balanced_accuracy"
    )
    text = run.record.table("events")["text"].to_list()[-1]
    assert text.startswith(
        "the balanced accuracy on the validation part has not been higher for 2 epochs; "
    )
    assert run.history.height < 25


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("best_by", ["accuracy", "calibrated_loss"])
def test_a_resumed_run_chooses_the_same_epoch(best_by, members, tmp_path):
    several = {} if members is None else {"members": members, "validation": 0.0}
    settings = {
        **SETTINGS,
        **several,
        "early_stopping": True,
        "patience": 25,
        "best_by": best_by,
        "checkpoint_epochs": 1,
        "keep_checkpoints": 40,
    }
    whole = sp.train(None, noisy(), **settings, out=tmp_path / "whole")
    folder = tmp_path / "stopped"

    def stop(event):
        if getattr(event, "epoch", 0) == 12 and hasattr(event, "val_loss"):
            raise StopTraining

    sp.train(None, noisy(), **settings, out=folder, observers=[stop])
    about = [json.loads(p.read_text()) for p in sorted(folder.glob("checkpoints/step-*.json"))]
    kept = about[-1] if members is None else about[-1]["members"][0]
    assert kept["best_epoch"] >= 0
    assert 0 <= kept["best_cost"] < 2
    again = sp.resume(folder, data=noisy(), progress="none")
    assert again.history.drop("seconds").equals(whole.history.drop("seconds"))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])


def test_a_checkpoint_from_before_has_the_loss_for_cost(tmp_path):
    settings = {**SETTINGS, "early_stopping": True, "patience": 25}
    sp.train(None, noisy(), **{**settings, "epochs": 5}, out=tmp_path / "run")
    for path in (tmp_path / "run").glob("checkpoints/step-*.json"):
        about = json.loads(path.read_text())
        assert about.pop("best_cost", None) == about["best_loss"]
        path.write_text(json.dumps(about))
    longer = sp.resume(tmp_path / "run", data=noisy(), epochs=25, progress="none")
    whole = sp.train(None, noisy(), **settings)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, longer.model.state_dict()[name])


def test_of_equal_costs_the_loss_decides_and_then_the_earlier_epoch():
    best, model = Best(), torch.nn.Linear(1, 1)
    for epoch, (cost, loss) in enumerate([(0.5, 1.0), (0.4, 2.0), (0.4, 1.5), (0.4, 1.5)]):
        best.offer(epoch, cost, loss, model)
    best.offer(4, 0.0, float("nan"), model)
    assert (best.epoch, best.cost, best.loss) == (2, 0.4, 1.5)


def test_the_measures_weigh_rows_and_take_several_classes_in_a_row():
    decided, targets = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    assert balanced_accuracy(decided, targets) == pytest.approx((1 + 1 / 2 + 0) / 3)
    weights = np.array([1, 3, 1, 0], dtype=np.float32)
    assert balanced_accuracy(decided, targets, weights) == pytest.approx((1 + 1 / 4) / 2)
    several = np.array([[1, 0], [0, 0]]), np.array([[1, 1], [0, 0]])
    assert balanced_accuracy(*several) == pytest.approx((1 + 1 / 2) / 2)
    y = np.array([[1, 0], [1, 1], [0, 0], [0, 1]] * 50)
    p = np.where(y == 1, 0.99, 0.01)
    p[::4] = 1 - p[::4]
    cooled = calibrated_loss(p, y, multilabel=True)
    assert fitted_temperature(p, y, multilabel=True) > 3
    assert cooled == pytest.approx(0.5623, abs=0.02)  # the entropy of a quarter wrong
    twice = calibrated_loss(p, y, multilabel=True, weights=np.full(200, 2, dtype=np.float32))
    assert twice == pytest.approx(cooled)
