"""NaN and infinity in weights and buffers: told before training by name and place, and not guessed at."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.errors import HealthError

NAN, INF = math.nan, math.inf


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


def rows(n=120):
    X = torch.randn(n, 6, generator=torch.Generator().manual_seed(0))
    return X, X[:, :3].argmax(1)


def check(model, train=True):
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    loader = DataLoader(TensorDataset(*rows()), 32) if train else None
    return sp.check(model, F.cross_entropy, optimizer, loader, seconds=10)


@pytest.mark.parametrize(
    ("name", "place", "value", "shown"),
    [
        ("0.weight", (3, 5), NAN, "0.weight[3, 5]"),
        ("3.bias", (2,), NAN, "3.bias[2]"),
        ("0.weight", (0, 0), INF, "0.weight[0, 0]"),
        ("1.weight", (7,), -INF, "1.weight[7]"),
        ("1.running_mean", (4,), NAN, "1.running_mean[4]"),
        ("1.running_var", (0,), INF, "1.running_var[0]"),
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_the_tensor_and_the_index_are_named_and_nothing_else_is_guessed(
    name, place, value, shown, train
):
    model = net()
    with torch.no_grad():
        model.state_dict()[name][place] = value
    found = check(model, train)
    assert found.actionable.codes == ["NONFINITE_WEIGHTS"]
    assert found[0].severity == "error"
    assert found[0].evidence[0].where == f"first {shown}"
    assert ("NaN" if math.isnan(value) else "infinite") in found[0].evidence[0].measured


def test_several_tensors_are_told_in_one_finding():
    model = net()
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(NAN)
    (found,) = check(model).actionable
    assert "and 2 more" in found.message
    assert [e.measured for e in found.evidence][:2] == [
        "96 NaN of 96 values",
        "16 NaN of 16 values",
    ]


class Masked(nn.Module):
    """Attention over three places of two numbers that looks only back, by a mask with -inf."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)
        self.unused = nn.Parameter(torch.full((2,), -INF), requires_grad=False)
        self.mix, self.head = nn.Linear(2, 2), nn.Linear(6, 3)

    def forward(self, x):
        x = x.unflatten(1, (3, 2))
        scores = self.mix(x) @ x.transpose(1, 2) + self.mask
        return self.head((scores.softmax(-1) @ x).flatten(1))


def test_a_mask_with_infinities_is_meant():
    causal = torch.full((3, 3), -INF).triu(1)
    assert "NONFINITE_WEIGHTS" not in check(Masked(causal)).codes
    found = check(Masked(torch.full((3, 3), -INF)))  # a softmax over nothing
    assert found[0].code == "NONFINITE_WEIGHTS"
    assert "mask" in found[0].message


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_training_of_our_own_does_not_begin(engine):
    X, y = rows()
    for name in ("0.weight", "1.running_mean"):
        model = net()
        model.state_dict()[name].flatten()[1] = NAN
        with pytest.raises(HealthError, match=f"NONFINITE_WEIGHTS.*{name}"):
            sp.train(model, (X.numpy(), y.numpy()), epochs=1, engine=engine, progress="none")
