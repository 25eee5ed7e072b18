"""Labels are accused only if neither the nearest rows nor a new start of the net vouch for them."""

import pytest
import torch
from torch import nn

from steepest.health.findings.experiments import Experiment
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup
from steepest.health.watch.label_tests import tests_of_labels as asked


def batches(X, y, epochs=2):
    return [
        Batch((X[k : k + 40],), y[k : k + 40]) for _ in range(epochs) for k in range(0, len(X), 40)
    ]


def setup(columns, classes=2):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(columns, 32), nn.ReLU(), nn.Linear(32, classes))
    return Setup(net, nn.CrossEntropyLoss())


def rows(n, columns, seed=0):
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(seed))


def test_shuffled_labels_are_found_by_two_experiments():
    X = rows(600, 8)
    y = (X[:, 0] > 0).long()[torch.randperm(600, generator=torch.Generator().manual_seed(5))]
    result = asked(setup(8), batches(X, y), 5.0)
    assert not result.hold
    assert [e.experiment for e in result.evidence] == [Experiment.NEIGHBOURS, Experiment.NEW_START]


def test_the_neighbours_vouch_for_labels():
    X = rows(600, 8)
    assert asked(setup(8), batches(X, (X[:, 0] > 0).long()), 5.0).hold


def test_a_parity_is_no_noise_though_its_neighbours_differ():
    signs = torch.randint(2, (600, 8), generator=torch.Generator().manual_seed(0))
    assert asked(setup(8), batches(2.0 * signs - 1, signs.sum(1) % 2), 5.0).hold


def test_a_new_start_vouches_where_neighbours_cannot():
    words = torch.randint(40, (600, 6), generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.EmbeddingBag(40, 8), nn.Linear(8, 2))
    y = ((words < 20).sum(1) > 3).long()
    assert asked(Setup(net, nn.CrossEntropyLoss()), batches(words, y), 5.0).hold


@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.6, 0.4)])
def test_a_common_class_is_no_signal(shares):
    X = rows(600, 8)
    y = (torch.rand(600, generator=torch.Generator().manual_seed(3)) < shares[1]).long()
    assert not asked(setup(8), batches(X, y), 5.0).hold
