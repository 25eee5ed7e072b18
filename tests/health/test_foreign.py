"""What health swallows: the user's exceptions, never ours while we test."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steepest as sp
from steepest.health.foreign import SWITCH, foreign, is_foreign, swallow


def net():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def batches():
    X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    return list(zip(X.split(16), X[:, :3].argmax(1).split(16), strict=True))


def raised(call):
    try:
        with foreign:
            call()
    except ValueError as error:
        return error


def test_only_what_leaves_a_foreign_block_is_foreign():
    theirs, ours = raised(lambda: int("x")), ValueError("ours")
    assert is_foreign(theirs)
    assert not is_foreign(ours)
    swallow(theirs)
    with pytest.raises(ValueError, match="ours"):
        swallow(ours)


def test_without_the_switch_ours_is_swallowed_too(monkeypatch):
    monkeypatch.delenv(SWITCH)
    swallow(ValueError("ours"))


def broken_rule(context):
    yield 1 / 0


def broken(*_, **__):
    raise ZeroDivisionError("a mistake of ours")


# A function of ours that runs within each place where exceptions are swallowed.
PLACES = {
    "examine": ("check.check", "_examine"),
    "reading": ("check.forming", "read"),
    "a rule": ("check.check", "functions_of"),
    "the first pass": ("check.check", "run_pass"),
    "the triage": ("check.check", "MEMORISED"),
    "a trial": ("check.forming", "first_tensor"),
    "a replay": ("replay.replay", "Setup.step"),
    "the kind of the loss": ("check.context", "graph_nodes"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_mistake_of_ours_fails_a_test_and_not_a_user(place, monkeypatch):
    module, name = PLACES[place]
    owner = sys.modules[f"steepest.health.{module}"]
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    monkeypatch.setattr(
        owner,
        name,
        {"functions_of": lambda _: {broken_rule: (0, 0)}, "MEMORISED": Broken()}.get(name, broken),
    )
    model = nn.Sequential(*net(), nn.Dropout(0.1)).eval()
    optimizer = torch.optim.RMSprop(model.parameters())
    with pytest.raises(ZeroDivisionError):
        sp.check(model, F.cross_entropy, optimizer, batches(), seconds=10)
    monkeypatch.delenv(SWITCH)
    found = sp.check(model, F.cross_entropy, optimizer, batches(), seconds=10)
    assert found.actionable.codes == []  # nor is the user told that the model or the loss fails
    assert "NOT_CHECKED" in found.codes or place == "the kind of the loss"


class Broken:
    def __format__(self, _):
        broken()


class Raises(nn.Module):
    """Raises from the so manieth call on."""

    def __init__(self, calls):
        super().__init__()
        self.body, self.calls = net(), calls

    def forward(self, x):
        self.calls -= 1
        if self.calls < 0:
            raise ValueError("theirs")
        return self.body(x)


@pytest.mark.parametrize("calls", [0, 1])
def test_an_exception_of_the_users_is_told_with_the_switch_on(calls):
    model = Raises(calls)
    found = sp.check(model, F.cross_entropy, torch.optim.Adam(model.parameters()), batches())
    assert "theirs" in str(found)
