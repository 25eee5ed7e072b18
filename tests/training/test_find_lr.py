"""The learning-rate range test."""

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import ModelError, RecipeError


def bits(model):
    return b"".join(t.numpy().tobytes() for t in model.state_dict().values())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_its_suggestion_trains_well(name, optimizer):
    run = sp.train(
        None,
        sp.load_data(name),
        lr="auto",
        optimizer=optimizer,
        hidden=(32,),
        epochs=15,
        test=0.25,
        progress="none",
    )
    assert run.scores["test"].accuracy > 0.92
    notes = run.record.table("events").filter(kind="note")["text"].to_list()
    assert any(note.startswith("learning rate ") and "range test" in note for note in notes)


def test_it_leaves_the_model_as_it_was_and_gives_the_same_again(blobs):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    before, generator = bits(model), torch.get_rng_state()
    first, second = sp.find_lr(model, blobs), sp.find_lr(model, blobs)
    assert bits(model) == before
    assert torch.equal(torch.get_rng_state(), generator)
    assert np.array_equal(first.losses, second.losses)
    assert len(first.rates) == len(first.losses) == len(first.smoothed) <= 200
    assert (np.diff(np.log(first.rates)) > 0).all()
    assert 1e-4 < first.suggestion < 10


def test_lbfgs_has_no_rate_to_find(blobs):
    with pytest.raises(RecipeError) as error:
        sp.train(None, blobs, lr="auto", optimizer="lbfgs", batch_size="full", progress="none")
    assert str(error.value) == "lbfgs searches its step along a line: leave out lr"


def test_weights_that_are_no_numbers_are_named(blobs):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    model[2].bias.data[1] = float("nan")
    with pytest.raises(ModelError, match=r"2\.bias holds NaN"):
        sp.find_lr(model, blobs)
