"""Probabilities are told from logits however they are written, and logits from probabilities."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from steepest import Recipe
from steepest.errors import ModelError
from steepest.objective.ranges import lasting_range, range_of
from steepest.training.preparation import prepare


class Ending(nn.Module):
    """A net of one hidden layer and a function of its logits."""

    def __init__(self, outputs, ending):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, outputs)
        self.ending = ending

    def forward(self, x):
        return self.ending(self.last(self.first(x).relu()))


def under_no_grad(z):
    with torch.no_grad():
        return torch.sigmoid(z)


SIGMOIDS = {
    "squeeze": lambda z: torch.sigmoid(z).squeeze(),
    "squeeze(1)": lambda z: torch.sigmoid(z).squeeze(1),
    "clamp": lambda z: torch.sigmoid(z).clamp(1e-7, 1 - 1e-7),
    "float": lambda z: torch.sigmoid(z.double()).float(),
    "unsqueeze": lambda z: torch.sigmoid(z[:, 0]).unsqueeze(1),
    "transposed": lambda z: torch.sigmoid(z.t()).t(),
    "flatten": lambda z: torch.sigmoid(z).flatten(),
    "exp(logsigmoid)": lambda z: F.logsigmoid(z).exp(),
    "expit": torch.special.expit,
    "tanh": lambda z: z.tanh() * 0.5 + 0.5,
    "by hand": lambda z: 1 / (1 + torch.exp(-z)),
    "of the other class": lambda z: 1 - torch.sigmoid(z),
    "softmax of two": lambda z: torch.cat([z, -z], 1).softmax(1)[:, 1],
    "erf": lambda z: torch.special.ndtr(z),
    "hardsigmoid": F.hardsigmoid,
    "saturated": lambda z: torch.sigmoid(100 * z),
}
SOFTMAXES = {
    "clamp": lambda z: z.softmax(1).clamp(1e-7),
    "float": lambda z: z.double().softmax(1).float(),
    "transposed": lambda z: z.t().softmax(0).t(),
    "unsqueezed": lambda z: z.unsqueeze(2).softmax(1).squeeze(2),
    "exp(log_softmax)": lambda z: z.log_softmax(1).exp(),
    "by hand": lambda z: z.exp() / z.exp().sum(1, keepdim=True),
    "shifted": lambda z: (z - z.max(1, keepdim=True)[0]).exp().div(
        (z - z.max(1, keepdim=True)[0]).exp().sum(1, keepdim=True)),
    "normalised": lambda z: F.normalize(F.softplus(z), p=1),
    "mixed": lambda z: 0.5 * z.softmax(1) + 0.5 * (2 * z).softmax(1),
}  # fmt: skip
LOGITS = {
    "linear": lambda z: z,
    "rectified": F.relu,
    "in [0, 1] at first": lambda z: 0.01 * z + 0.5,
    "of small sum": lambda z: 0.01 * z + 1 / z.shape[1],
    "a sigmoid, scaled": lambda z: 5 * torch.sigmoid(z),
    "squared": lambda z: z * z,
    "softplus": F.softplus,
    "tanh": torch.tanh,
}


def objective(model, classes, labels=None):
    rng = np.random.default_rng(0)
    y = np.arange(60) % classes if labels is None else labels
    x = rng.normal(size=(60, 4)).astype(np.float32)
    settings = {} if labels is None else {"task": "multilabel"}
    before = [p.detach().clone() for p in model.parameters()]
    ready = prepare(model, (x, y), Recipe(**settings))
    assert all(map(torch.equal, model.parameters(), before))
    return ready


@pytest.mark.parametrize("ending", SIGMOIDS)
def test_a_sigmoid_is_seen_however_it_is_written(ending):
    found = objective(Ending(1, SIGMOIDS[ending]), 2).plan.objective
    assert (found.kind, found.outputs) == ("binary", "probabilities")


@pytest.mark.parametrize("ending", SOFTMAXES)
def test_a_softmax_is_seen_however_it_is_written(ending):
    found = objective(Ending(3, SOFTMAXES[ending]), 3).plan.objective
    assert (found.kind, found.outputs) == ("multiclass", "probabilities")


@pytest.mark.parametrize("start", ["as drawn", "zeros", "constant", "tiny"])
@pytest.mark.parametrize("ending", LOGITS)
@pytest.mark.parametrize(("outputs", "classes"), [(1, 2), (3, 3)])
def test_plain_logits_are_never_taken_for_probabilities(ending, outputs, classes, start):
    """Heads of zeros, rectified ones, outputs that begin in [0, 1] or with rows that sum to 1."""
    model = Ending(outputs, LOGITS[ending])
    with torch.no_grad():
        if start != "as drawn":
            model.last.weight.mul_(1e-6 if start == "tiny" else 0)
            model.last.bias.fill_(1 / outputs if start == "constant" else 0)
    ready = objective(model, classes)
    assert ready.plan.objective.outputs == "logits"
    assert not any("could not be told" in line for line in ready.summary)


def test_log_probabilities_are_logits():
    assert objective(Ending(3, lambda z: z.log_softmax(1)), 3).plan.objective.outputs == "logits"


@pytest.mark.parametrize(
    ("outputs", "ending", "message"),
    [
        (3, torch.special.expit, "ends in a sigmoid but gives 3 outputs for 3 classes"),
        (3, lambda z: z.softmax(0), "no softmax makes them sum to 1"),
        (1, lambda z: z.softmax(1), "softmax over one output, which is always 1"),
        (1, lambda z: z.exp() / z.exp().sum(1, keepdim=True), "which is always 1"),
        (1, F.logsigmoid, "ends in the logarithm of a sigmoid, which is no logit"),
        (1, under_no_grad, "no gradient can flow back from the model's outputs"),
        (3, lambda z: z.softmax(1).detach(), "no gradient can flow back"),
    ],
)
def test_what_is_no_logit_and_no_probability_is_refused(outputs, ending, message):
    with pytest.raises(ModelError, match=message):
        objective(Ending(outputs, ending), max(2, outputs))


def test_each_label_of_several_is_a_case_of_its_own():
    labels = np.random.default_rng(1).integers(0, 2, (60, 3))
    for ending, outputs in ((SIGMOIDS["tanh"], "probabilities"), (F.relu, "logits")):
        assert objective(Ending(3, ending), 2, labels).plan.objective.outputs == outputs
    with pytest.raises(ModelError, match="ends in a softmax, which lets a row have one class"):
        objective(Ending(3, SOFTMAXES["by hand"]), 2, labels)


def test_outputs_that_tell_nothing_are_said_to():
    ready = objective(Ending(1, lambda z: z * torch.zeros(1)), 2)
    assert ready.plan.objective.outputs == "logits"
    assert any("could not be told from its outputs" in line for line in ready.summary)


def test_ranges_of_few_numbers():
    assert range_of(torch.tensor([[0.2, 0.8], [torch.nan, 1.0]])) == "rows"
    assert range_of(torch.tensor([[0.2, 0.9]])) == "each"
    assert range_of(torch.tensor([1.0, 1.0])) == "ones"
    assert range_of(torch.tensor([0.5, -1e-9])) == "any"
    assert range_of(torch.tensor([[torch.inf]])) is None
    refusing = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
    refusing[0].register_forward_pre_hook(lambda _, x: 1 / 0 if x[0].abs().max() > 50 else None)
    assert lasting_range(refusing.eval(), torch.randn(5, 4)) == "each"
