"""No finding expects infinity, and none recommends what its own experiment did not show."""

import pytest
import torch
from torch import nn

import steepest as sp


def loop(change, lr, scale=1.0):
    """(model, loss, optimizer, batches) of a small net with one thing changed."""
    torch.manual_seed(0)
    X = torch.randn(256, 6)
    y = X[:, :3].argmax(1)
    X = X * scale
    layers = [nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)]
    loss_fn, decay = nn.CrossEntropyLoss(), 0.0
    match change:
        case "softmax":
            layers.append(nn.Softmax(1))
        case "sum":
            loss_fn = nn.CrossEntropyLoss(reduction="sum")
        case "large":
            nn.init.normal_(layers[2].weight, 0, 100)
        case "dead":
            nn.init.constant_(layers[0].bias, -50)
        case "decay":
            decay = 5.0
        case "deep":
            layers = [
                *(m for _ in range(12) for m in (nn.Linear(6, 6), nn.ReLU())),
                nn.Linear(6, 3),
            ]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=decay)
    return model, loss_fn, optimizer, [(X[i : i + 32], y[i : i + 32]) for i in range(0, 256, 32)]


@pytest.mark.parametrize("change", ["softmax", "sum", "large", "dead", "decay", "deep", "scale"])
@pytest.mark.parametrize("lr", [0.1, 1e4, 1e25])
def test_nothing_expected_and_no_fix_is_infinite(change, lr):
    given = loop(change, lr, 1e4 if change == "scale" else 1.0)
    found = sp.check(*given, seconds=4)
    for finding in [*found, *(c for f in found for c in f.consequences)]:
        said = [finding.fix, *(evidence.expected for evidence in finding.evidence)]
        assert not [text for text in said if "inf" in text.split() or "nan" in text.split()]


def test_logits_that_diverge_at_the_rate_are_recommended_with_a_lower_one():
    """A softmax flattens the gradients, so that the rate for it may be too high without it."""
    found = sp.check(*loop("softmax", 3e4), seconds=4)
    (finding,) = [f for f in found if f.code == "LOSS_EXPECTS_LOGITS"]
    compared = [e for e in finding.evidence if "on logits" in e.expected]
    rate = "a tenth of the learning rate" in finding.fix
    assert len(compared) == rate == ("tenth of the rate" in "".join(e.expected for e in compared))


def test_weight_decay_is_not_blamed_if_the_steps_without_it_diverge():
    found = sp.check(*loop("decay", 1e25), seconds=4)
    assert "WEIGHT_DECAY_TOO_LARGE" not in found.codes


def fixes(run):
    every = [*run.findings, *(c for f in run.findings for c in f.consequences)]
    return {finding.code: finding.fix for finding in every}


def test_a_run_that_diverged_recommends_a_rate_only_if_it_was_tried(blobs):
    given = {"epochs": 1, "progress": "none", "check": False, "hidden": (8,)}
    high = sp.train(None, blobs, lr=1e38, **given)
    assert high.status == "diverged"
    assert fixes(high)["LR_TOO_HIGH"] == "lr=0.1"  # the usual one, since 1e35 does not learn
    hopeless = sp.train(None, (blobs[0] * 1e30, blobs[1]), scaling="none", lr=0.1, **given)
    fix = fixes(hopeless)["PREMATURE_NAN"]
    assert hopeless.status == "diverged"
    assert "learning rate was tried" in fix or "do not learn at" in fix
