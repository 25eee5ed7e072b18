"""A report is one screen: the cause in full, the others as far as there is room."""

import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.health import Findings
from steepest.health.findings.finding import Evidence, Finding

SCREEN, WIDTH = 30, 96


def made(code, evidence=4):
    numbers = tuple(Evidence(f"number {k}", "another") for k in range(evidence))
    reasons = ("a cause that looks like it", "another one")
    return Finding(code, "warn", f"what {code} says", f"mend {code}", numbers, reasons)


@pytest.mark.parametrize("count", [1, 2, 4, 9, 25])
def test_a_report_is_one_screen_and_names_all(count):
    findings = Findings(map(made, (f"CAUSE_{k}" for k in range(count))), ["it can", "it does"])
    lines = str(findings).splitlines()
    assert len(lines) <= SCREEN
    assert max(map(len, lines)) <= WIDTH
    words = set(str(findings).replace(",", " ").replace(":", " ").split())
    assert all(f"CAUSE_{k}" in words for k in range(count))
    assert "number 3" in str(findings)  # of the first, all


def test_what_is_shortened_is_said_in_full_alone():
    findings = Findings(map(made, ("FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH")))
    assert "another one" in str(findings[1:2])
    assert str(findings).count("another one") == 1
    assert "findings[1:2]" in str(findings)
    assert "findings[1:2]" not in str(findings[:1])


def test_many_consequences_are_one_line():
    effects = tuple(map(made, "ABCDE"))
    (line,) = [
        line
        for line in str(Findings([Finding("X", "warn", "m", "f", consequences=effects)])).split(
            "\n"
        )
        if line.startswith("  follows")
    ]
    assert line.split(maxsplit=1)[1] == "A, B, C, D, E"


class Listed(nn.Module):
    """Layers in a Python list."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.heads = [nn.Linear(16, 3)]

    def forward(self, x):
        return torch.softmax(self.heads[0](torch.relu(self.first(x))), 1)


def test_a_loop_with_many_faults_is_one_screen():
    torch.manual_seed(0)
    X = torch.randn(900, 8)
    y = X[:, :3].argmax(1)
    model = Listed()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.5)
    train = DataLoader(TensorDataset(X[:700] * 20, y[:700]), 32)
    val = DataLoader(TensorDataset(X[700:], y[700:]), 64)
    findings = sp.check(model, nn.CrossEntropyLoss(), optimizer, train, val)
    text = str(findings)
    assert len(findings) >= 3
    assert len(text.splitlines()) <= SCREEN
    assert "RuntimeError" not in text  # of a layer in a list, which float64 does not reach
    (mismatch,) = (f for f in findings if f.code == "TRAIN_VAL_PREPROC_MISMATCH")
    assert len(mismatch.evidence) == 1  # what is beyond its bound, and nothing else
    assert "stretched" in str(mismatch.evidence[0])


def test_what_a_sigmoid_flattens_is_no_small_start():
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]
    for seed in range(3):
        torch.manual_seed(seed)
        layers = nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        model = nn.Sequential(*layers, nn.Sigmoid())
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
        train = DataLoader(TensorDataset(X, y), 32, shuffle=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            findings = sp.check(model, nn.BCEWithLogitsLoss(), optimizer, train)
        assert findings[0].code == "LOSS_EXPECTS_LOGITS"
        assert "INIT_TOO_SMALL" not in findings.codes
        assert "log_softmax" not in str(findings)
