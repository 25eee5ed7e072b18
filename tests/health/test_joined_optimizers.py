"""An object of the user's own that steps several optimizers together."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp


class Joined:
    """Steps each of them; says no more than its parts' name for them."""

    def __init__(self, name, *optimizers):
        setattr(self, name, optimizers)
        self._each = optimizers

    def zero_grad(self):
        for one in self._each:
            one.zero_grad()

    def step(self):
        for one in self._each:
            one.step()


@pytest.mark.filterwarnings("ignore:PARAMS_NOT_IN_OPTIMISER")
@pytest.mark.parametrize("name", ["optimizers", "hidden_away"])
def test_joined_optimizers_are_watched_and_what_they_lack_is_named_where_they_are_shown(name):
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = Joined(name, *(torch.optim.SGD(model[k].parameters(), 0.1) for k in (0, 4)))
    X = torch.randn(256, 8)
    y = X[:, :3].argmax(1)
    loader, loss_fn = DataLoader(TensorDataset(X, y), 32), nn.CrossEntropyLoss()
    checked = sp.check(model, loss_fn, optimizer, loader, seconds=1)
    assert ("PARAMS_NOT_IN_OPTIMISER" in checked.codes) is (name == "optimizers")
    with sp.watch(model, loss_fn, optimizer, loader) as w:
        for _ in range(3):
            for x, targets in loader:
                optimizer.zero_grad()
                loss_fn(model(x), targets).backward()
                optimizer.step()
    assert not {"NO_STEP", "NO_ZERO_GRAD", "ZERO_AFTER_BACKWARD"} & set(w.findings.codes)


def test_a_sparse_gradient_is_no_reason_to_leave_a_rule_out():
    model = nn.Sequential(nn.EmbeddingBag(40, 8, sparse=True), nn.Linear(8, 3))
    X, y = torch.randint(40, (256, 6)), torch.randint(3, (256,))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loader = DataLoader(TensorDataset(X, y), 32)
    findings = sp.check(model, nn.CrossEntropyLoss(), optimizer, loader, seconds=1)
    assert "symmetric_init" not in str(findings)
