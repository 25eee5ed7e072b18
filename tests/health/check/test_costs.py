"""A net whose passes are dear: facts on few rows, and no experiment that does not fit."""

import time
from typing import ClassVar

import torch
from torch import nn

import steepest as sp

ROWS = 16


class Dear(nn.Module):
    """Takes 20 ms of the processor for each row."""

    # How many rows each pass had; of the class, which the check does not put back.
    seen: ClassVar = []

    def __init__(self, softmax):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        self.softmax = softmax

    def forward(self, x):
        Dear.seen.append(len(x))
        end = time.thread_time() + 0.02 * len(x)
        while time.thread_time() < end:
            pass
        z = self.layers(x)
        return z.softmax(1) if self.softmax else z


def checked(seconds, softmax=False):
    torch.manual_seed(0)
    X = torch.randn(320, 8)
    batches = list(zip(X.split(ROWS), X[:, :3].argmax(1).split(ROWS), strict=True))
    model = Dear(softmax)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    # What a check imports, or torch sets up, at its first use is none of it.
    sp.check(nn.Linear(8, 3), nn.CrossEntropyLoss(), None, batches, seconds=0.0)
    Dear.seen.clear()
    before = time.thread_time()
    found = sp.check(model, nn.CrossEntropyLoss(), optimizer, batches, seconds=seconds)
    return found, list(Dear.seen), time.thread_time() - before


def test_facts_of_a_dear_net_take_fewer_rows_than_five_steps_and_are_told():
    found, seen, _ = checked(0.0, softmax=True)
    assert found.codes[0] == "LOSS_EXPECTS_LOGITS"
    assert max(seen) <= 8
    # A step takes a forward pass, and about two more to go back, of all its rows.
    assert sum(seen) <= 5 * 3 * ROWS


def test_an_experiment_that_does_not_fit_is_not_begun():
    _, facts, _ = checked(0.0)
    found, seen, seconds = checked(2.0)
    a_step = 3 * 0.02 * ROWS  # as it is reckoned: here the way back takes nothing
    assert seconds <= max(2.0, 0.02 * sum(facts)) + a_step
    assert sum(seen) - sum(facts) < 30 * ROWS
    assert found.codes == ["NOT_CHECKED"]


def test_what_was_not_looked_at_is_a_line_that_says_how_to_ask_for_it():
    found, _, _ = checked(0.1)
    (finding,) = found
    assert len(finding.evidence) == 1
    assert "for want of time (0.1 s of the processor)" in finding.message
    assert "seconds=40" in finding.fix  # four times 30 steps of 16 rows at 20 ms are 38 s
    assert len(str(found).splitlines()) <= 4


def test_cheap_nets_are_passed_all_rows():
    torch.manual_seed(0)
    X = torch.randn(320, 8)
    rows = []

    class Seen(nn.Linear):
        def forward(self, x):
            rows.append(len(x))
            return super().forward(x)

    batches = list(zip(X.split(ROWS), X[:, :3].argmax(1).split(ROWS), strict=True))
    sp.check(Seen(8, 3), nn.CrossEntropyLoss(), None, batches)
    assert 256 in rows


def test_what_a_pass_takes_besides_its_rows_is_not_taken_for_what_rows_cost():
    """A small net of 8 rows takes as long as one of 128: its what-ifs fit all the same."""
    torch.manual_seed(0)
    X = torch.randn(640, 8)

    class Slow(nn.Sequential):
        def forward(self, x):
            end = time.thread_time() + 0.002
            while time.thread_time() < end:
                pass
            return super().forward(x)

    model = Slow(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    batches = list(zip(X.split(128), X[:, :3].argmax(1).split(128), strict=True))
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    summed = nn.CrossEntropyLoss(reduction="sum")
    found = sp.check(model, summed, optimizer, batches, seconds=2.0)
    assert "what-if 'as it is'" not in str(found)
