"""check() takes anyone's objects, never raises, and keeps to its time."""

import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import steepest as sp

TIME = 10.0  # enough on a busy machine: what is left out for time is no part of these tests


def loader(*tensors, batch=32, **options):
    return DataLoader(TensorDataset(*tensors), batch, shuffle=True, **options)


def data(n=320, d=8, classes=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(n, d, generator=g)
    return X, X[:, :classes].argmax(1)


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.read = nn.LSTM(16, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, tokens, lengths):
        out, _ = self.read(self.words(tokens))
        return self.head(out[torch.arange(len(out)), lengths - 1])


class Two(nn.Module):
    """Two inputs; a mapping as output."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(4, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, wide, narrow):
        return {"logits": self.head(torch.relu(self.a(wide) + self.b(narrow)))}


class Stream(IterableDataset):
    def __iter__(self):
        X, y = data()
        yield from zip(X, y, strict=True)


def words():
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 20, (320, 6), generator=g)
    lengths = torch.randint(1, 7, (320,), generator=g)
    return Words(), F.cross_entropy, loader(tokens, lengths, (tokens[:, 0] > 9).long())


def two_inputs():
    X, y = data()
    return Two(), F.cross_entropy, loader(X, torch.randn(320, 4), y)


def mapping():
    X, y = data()
    rows = [{"wide": x, "narrow": x[:4], "labels": c} for x, c in zip(X, y, strict=True)]
    return Two(), nn.CrossEntropyLoss(), DataLoader(rows, 32, shuffle=True)


def stream():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    return model, nn.CrossEntropyLoss(), DataLoader(Stream(), 32)


def plain_list():
    X, y = data()
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    return (
        model,
        lambda z, t: F.cross_entropy(z, t),
        list(zip(X.split(32), y.split(32), strict=True)),
    )


def binary():
    X, y = data(classes=2)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
    return model, nn.BCEWithLogitsLoss(), loader(X, y.float())


def transformer():
    X, y = data(d=24)
    model = nn.Sequential(
        nn.Unflatten(1, (3, 8)),
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True),
        nn.Flatten(),
        nn.Linear(24, 3),
    )
    return model, nn.CrossEntropyLoss(label_smoothing=0.1), loader(X, y)


@pytest.mark.parametrize(
    "make", [words, two_inputs, mapping, stream, plain_list, binary, transformer]
)
def test_a_healthy_program_of_any_form_is_looked_at_and_silent(make):
    torch.manual_seed(0)
    model, loss_fn, train = make()
    findings = sp.check(model, loss_fn, sgd(model), train, seconds=TIME)
    assert [str(f) for f in findings] == []
    assert len(findings.triage) == 2


def test_several_optimizers_and_none():
    torch.manual_seed(0)
    X, y = data()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    several = [
        torch.optim.Adam(model[0].parameters(), 1e-3),
        torch.optim.SGD(model[2].parameters(), 0.1),
    ]
    for optimizer in (several, None):
        assert sp.check(model, F.cross_entropy, optimizer, loader(X, y), seconds=TIME).codes == []
    partly = sp.check(model, F.cross_entropy, several[0], loader(X, y), seconds=TIME)
    assert partly.codes == ["PARAMS_NOT_IN_OPTIMISER"]
    assert partly[0].severity == "error"  # the last layer is one of those that are left out


@pytest.mark.parametrize(
    ("model", "loss_fn", "target", "code", "told"),
    [
        (nn.Linear(9, 3), nn.CrossEntropyLoss(), None, "FORWARD_FAILS", "nn.Linear(8, ...)"),
        (nn.Linear(8, 3), nn.CrossEntropyLoss(), "int", "LOSS_FAILS", "y.long()"),
        (nn.Linear(8, 2), nn.CrossEntropyLoss(), None, "CLASS_SET_MISMATCH", "outside"),
        (nn.Linear(8, 1), nn.BCEWithLogitsLoss(), "float", "LOSS_FAILS", "unsqueeze(1)"),
    ],
)
def test_what_the_users_code_raises_is_an_error_with_its_cause(model, loss_fn, target, code, told):
    X, y = data()
    y = {"int": y.int(), "float": (y > 0).float(), None: y}[target]
    findings = sp.check(model, loss_fn, sgd(model), loader(X, y), seconds=TIME)
    assert findings[0].code == code
    assert findings[0].severity == "error"
    assert told in findings[0].message + findings[0].fix


@pytest.mark.parametrize(
    "batches",
    [None, [], [torch.randn(8, 8)], [("a", "b")], [(None, None)], object(), [{"x": 1}], 7],
)
def test_odd_data_are_told_and_never_raise(batches):
    findings = sp.check(nn.Linear(8, 3), F.cross_entropy, None, batches)
    assert findings.codes[-1] in ("NOT_CHECKED", "FORWARD_FAILS")


def test_a_big_model_keeps_to_the_time():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 2000), nn.ReLU(), nn.Linear(2000, 2000), nn.ReLU(), nn.Linear(2000, 3)
    )
    X, y = data()
    start = time.thread_time()
    findings = sp.check(model, F.cross_entropy, sgd(model), loader(X, y), seconds=0.5)
    assert time.thread_time() - start < 5  # one step may be begun; without a limit it is 20 s
    assert "NOT_CHECKED" in findings.codes


def test_a_report_says_what_why_and_what_to_do():
    torch.manual_seed(0)
    X, y = data()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(1))
    findings = sp.check(model, nn.CrossEntropyLoss(), sgd(model), loader(X, y), seconds=TIME)
    text = str(findings)
    for part in ("warn: LOSS_EXPECTS_LOGITS", "measured", "never below 0.551", "fix", "more"):
        assert part in text
    assert "LOSS_EXPECTS_LOGITS" in findings._repr_html_()
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("look", [sp.check, sp.watch])
def test_objects_in_anothers_place_are_refused_in_a_line(look):
    model, rows = nn.Linear(8, 3), loader(*data())
    with pytest.raises(TypeError, match=r"loss_fn must be .* but is a DataLoader; the order is"):
        look(model, rows, nn.CrossEntropyLoss(), sgd(model))
    with pytest.raises(
        TypeError, match=r"optimizer must be .* but is a TensorDataset: .*; the order"
    ):
        look(model, nn.CrossEntropyLoss(), TensorDataset(*data()))
    with pytest.raises(
        TypeError, match=r"model must be a torch.nn.Module, but is a SGD; the order"
    ):
        look(sgd(model), nn.CrossEntropyLoss())
