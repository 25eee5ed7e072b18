"""check() leaves no trace, whatever it looks at."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset

import steepest as sp
from steepest.health.check.probe_pass import run_pass
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup
from steepest.health.replay.untouched import _remember, _Values


class Drawing(Dataset):
    """Rows with noise of a generator of its own, of numpy's, Python's and torch's; it counts."""

    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.generator = torch.Generator().manual_seed(1)
        self.reads = 0
        self.history = []

    def __len__(self):
        return 120

    def __getitem__(self, i):
        self.reads += 1
        self.history.append(i)
        noise = self.rng.normal() + np.random.normal() + random.random() + torch.randn(()).item()
        return torch.randn(6, generator=self.generator) + 0.01 * float(noise), i % 3


class Custom(nn.Module):
    """Buffers that change in forward, a counter, a generator, a hook that counts."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU())
        self.head = nn.Linear(16, 3)
        self.register_buffer("seen", torch.zeros(()))
        self.calls = 0
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, x):
        self.calls += 1
        self.seen += len(x)
        return self.head(self.body(x + 0.01 * torch.randn(x.shape, generator=self.generator)))


class Uncopyable(Custom):
    def __deepcopy__(self, memo):
        raise RuntimeError("not to be copied")


def rows():
    g = torch.Generator().manual_seed(5)
    X = torch.randn(120, 6, generator=g)
    return TensorDataset(X, X[:, :3].argmax(1))


def drawing():
    torch.manual_seed(0)
    model, dataset = Custom(), Drawing()
    order = torch.Generator().manual_seed(9)
    sampler = RandomSampler(dataset, generator=order)
    return (
        model,
        nn.CrossEntropyLoss(),
        torch.optim.Adam(model.parameters()),
        DataLoader(dataset, 16, sampler=sampler),
    )


def penalised():
    """A loss function that holds the model, and gradients that are there before."""
    torch.manual_seed(0)
    model = Custom()

    def loss_fn(z, y):
        return F.cross_entropy(z, y) + 1e-3 * sum(p.square().sum() for p in model.parameters())

    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    loader = DataLoader(rows(), 16, shuffle=True)
    x, y = rows()[:16]
    for _ in range(3):
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
    return model, loss_fn, optimizer, loader


def frozen():
    torch.manual_seed(0)
    model = Custom().eval()
    model.body.requires_grad_(False)
    model.body[2].train()
    return (
        model,
        nn.CrossEntropyLoss(),
        torch.optim.AdamW(model.head.parameters()),
        [(torch.randn(8, 6), torch.arange(8) % 3) for _ in range(5)],
    )


def uncopyable():
    torch.manual_seed(0)
    model = Uncopyable()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    return model, nn.CrossEntropyLoss(), optimizer, DataLoader(rows(), 16, shuffle=True)


def lbfgs():
    torch.manual_seed(0)
    model = Custom()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    return model, nn.CrossEntropyLoss(), optimizer, DataLoader(rows(), 16)


def tensors(value, found):
    if isinstance(value, torch.Tensor):
        found.append(value.detach().clone())
    elif isinstance(value, dict):
        for key, part in value.items():
            found.append(str(key) if isinstance(key, str) else "")
            tensors(part, found)
    elif isinstance(value, (list, tuple)):
        for part in value:
            tensors(part, found)
    else:
        found.append(value if isinstance(value, (int, float, str, bool, type(None))) else "")
    return found


def state(model, optimizer, loader):
    found = []
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        found += [name, p.detach().clone(), p.requires_grad]
        found.append(None if p.grad is None else p.grad.clone())
    found += [(name, module.training) for name, module in model.named_modules()]
    found += [model.calls, model.generator.get_state()]
    tensors([optimizer.state_dict()], found)
    found += [torch.get_rng_state(), torch.tensor(np.random.get_state()[1].astype(np.int64))]
    found += [np.random.get_state()[2:], random.getstate()]
    if isinstance(loader, DataLoader):
        for holder in (loader, loader.sampler, loader.dataset):
            generator = getattr(holder, "generator", None)
            found.append(None if generator is None else generator.get_state())
        dataset = loader.dataset
        if isinstance(dataset, Drawing):
            found += [
                dataset.reads,
                copy.copy(dataset.history),
                str(dataset.rng.bit_generator.state),
            ]
    return found


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.shape == b.shape and bool((a == b).all())
    return a == b


@pytest.mark.parametrize("make", [drawing, penalised, frozen, uncopyable, lbfgs])
def test_nothing_is_different_afterwards(make):
    model, loss_fn, optimizer, loader = make()
    before = state(model, optimizer, loader)
    sp.check(model, loss_fn, optimizer, loader, loader)
    after = state(model, optimizer, loader)
    assert len(before) == len(after)
    different = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if not same(a, b)]
    assert different == []


def test_a_training_after_a_check_has_the_same_bits():
    def train(checked):
        torch.manual_seed(0)
        model = Custom()
        optimizer = torch.optim.Adam(model.parameters())
        loader = DataLoader(rows(), 16, shuffle=True)
        if checked:
            sp.check(model, F.cross_entropy, optimizer, loader, loader)
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(train(False), train(True))


def test_an_iterator_is_not_used_up():
    model = nn.Linear(6, 3)
    batches = iter([(torch.randn(8, 6), torch.arange(8) % 3) for _ in range(5)])
    findings = sp.check(model, F.cross_entropy, None, batches)
    assert len(list(batches)) == 5
    assert findings.codes == ["NOT_CHECKED"]
    assert "only once" in findings[0].message


def test_values_that_an_optimizer_holds_too_are_kept_once():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    values = [one for one in _remember((model, optimizer)) if isinstance(one, _Values)]
    held = [id(one.tensor) for one in values]
    assert len(held) == len(set(held))
    assert {id(p) for p in model.parameters()} <= set(held)


class Writes(nn.Linear):
    """Changes its bias in its own forward pass."""

    def forward(self, x):
        with torch.no_grad():
            self.bias.add_(1.0)
        return super().forward(x)


@pytest.mark.parametrize("kind", [nn.Linear, Writes])
def test_the_first_pass_holds_no_second_copy_of_what_it_left_alone(kind):
    model = kind(4, 3)
    before = [p.detach().clone() for p in model.parameters()]
    setup = Setup(model, nn.CrossEntropyLoss())
    passed = run_pass(setup, Batch((torch.ones(2, 4),), torch.tensor([0, 1])))
    shared = [p.data_ptr() == q.data_ptr() for p, q in zip(
        passed.setup.model.parameters(), model.parameters(), strict=True
    )]  # fmt: skip
    assert shared == [True, kind is nn.Linear]
    assert all(torch.equal(p, kept) for p, kept in zip(model.parameters(), before, strict=True))
    assert all(p.grad is None for p in model.parameters())
    assert set(passed.grads) == {"weight", "bias"}
