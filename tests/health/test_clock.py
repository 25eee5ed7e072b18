"""The time of a check: the processor's, and one line for all that it did not suffice for."""

import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import steepest as sp
from steepest.health.clock import FOR_EVER, Clock


def test_waiting_is_not_computing():
    clock, wall = Clock(0.05), Clock(0.05, spent=time.perf_counter)
    time.sleep(0.06)
    assert not clock.over
    assert wall.over
    until = time.thread_time() + 0.06
    while time.thread_time() < until:
        pass
    assert clock.over
    assert not clock.waited
    assert not FOR_EVER.over


def test_what_waits_for_ever_ends():
    clock = Clock(10, waiting=0.01)
    time.sleep(0.02)
    assert clock.over
    assert clock.waited


def objects(lr=0.1):
    torch.manual_seed(0)
    X = torch.randn(320, 8)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr)
    batches = list(zip(X.split(32), X[:, :3].argmax(1).split(32), strict=True))
    return model, nn.CrossEntropyLoss(), optimizer, batches


def test_all_that_there_was_no_time_for_is_one_line_at_the_end():
    model, loss_fn, optimizer, batches = objects()
    for p in model.parameters():
        nn.init.constant_(p, 0.1)
    found = sp.check(model, loss_fn, optimizer, batches, seconds=1e-6)
    assert found.codes == ["SYMMETRIC_INIT", "NOT_CHECKED"]
    (reason,) = found[-1].evidence
    assert "for want of time (1e-06 s of the processor)" in reason.measured
    assert "more" in reason.measured
    text = str(found)
    assert text.count("want of time") == 1
    assert text.index("note: not looked at") == text.index("note:") > text.rindex("\n\n")
    assert found._repr_html_().count("want of time") == 1


class Slow(Dataset):
    """Each row waits for a disk."""

    def __len__(self):
        return 12

    def __getitem__(self, i):
        time.sleep(0.02)
        return torch.full((8,), float(i)), i % 3


def test_a_loader_that_waits_is_told(monkeypatch):
    monkeypatch.setattr("steepest.health.replay.batches._PATIENCE", 0.5)
    monkeypatch.setattr("steepest.health.replay.batches._LEAST_WAIT", 0.0)
    model, loss_fn, optimizer, _ = objects()
    found = sp.check(model, loss_fn, optimizer, DataLoader(Slow(), 4), seconds=1.0)
    assert "more of the training data: it took too long after 1 minibatches" in str(found)
