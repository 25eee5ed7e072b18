"""What is wrong with words and sequences: padding that drowns them, axes that are exchanged."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp


def loader(X, y, batch=32):
    return DataLoader(TensorDataset(X, y), batch, shuffle=True)


def checked(model, X, y, X_val=None, y_val=None):
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    val = None if X_val is None else loader(X_val, y_val)
    return sp.check(model, nn.CrossEntropyLoss(), optimizer, loader(X, y), val, seconds=1)


class Bag(nn.Module):
    def __init__(self, words=30, classes=30):
        super().__init__()
        self.embedding, self.fc = nn.Embedding(words, 8), nn.Linear(8, classes)

    def forward(self, x):
        return self.fc(self.embedding(x).mean(1))


class LastState(nn.Module):
    def __init__(self, padding):
        super().__init__()
        self.embedding = nn.Embedding(30, 8, padding_idx=0)
        self.gru, self.fc = nn.GRU(8, 16, batch_first=True), nn.Linear(16, 2)
        self.padding = padding

    def forward(self, x):
        x = nn.functional.pad(x, (0, self.padding))
        return self.fc(self.gru(self.embedding(x))[0][:, -1])


@pytest.mark.parametrize(("padding", "ignored"), [(80, True), (3, False)])
def test_a_state_behind_much_padding_knows_no_word(padding, ignored):
    X = torch.randint(1, 30, (256, 6))
    findings = checked(LastState(padding), X, (X[:, -1] > 15).long())
    assert ("INPUT_IGNORED" in findings.codes) is ignored


class FirstPlace(nn.Module):
    """Reads the answer off a word that is put before the others."""

    def __init__(self, batch_first):
        super().__init__()
        self.word = nn.Parameter(torch.randn(1, 1, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=batch_first)
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        h = torch.cat([self.word.expand(len(x), -1, -1), x], 1)
        return self.fc(self.layer(h)[:, 0])


class PlacesFirst(FirstPlace):
    """The same, its axes exchanged as a layer without batch_first wants them."""

    def __init__(self):
        super().__init__(batch_first=False)

    def forward(self, x):
        h = torch.cat([self.word.expand(len(x), -1, -1), x], 1)
        return self.fc(self.layer(h.transpose(0, 1))[0])


@pytest.mark.parametrize(
    ("model", "mixes"),
    [
        (lambda: FirstPlace(batch_first=False), True),
        (lambda: FirstPlace(batch_first=True), False),
        (PlacesFirst, False),
    ],
)
def test_a_layer_that_takes_rows_for_places_is_the_cause_of_outputs_that_are_all_the_same(
    model, mixes
):
    X = torch.randn(256, 15, 8)  # with the word, as many places as rows are looked at
    findings = checked(model(), X, (X[:, 0, 0] > 0).long())
    assert ("BATCH_MIXING" in findings.codes) is mixes
    assert not mixes or findings[0].code == "BATCH_MIXING"


@pytest.mark.parametrize(("label", "leaks"), [(-1, True), (None, False)])
def test_the_last_word_is_no_word_to_guess(label, leaks):
    text = torch.randint(30, (400,))
    X = text.unfold(0, 6, 1)[:-1]
    y = X[:, label].clone() if leaks else text[6:]
    findings = checked(Bag(), X, y)
    assert ("TARGET_LEAK_FEATURE" in findings.codes) is leaks


@pytest.mark.parametrize(("rows", "severity"), [(2, "info"), (20, "warn")])
def test_a_class_that_few_validation_rows_alone_have_is_a_note(rows, severity):
    X, y = torch.randint(30, (500, 6)), torch.randint(29, (500,))
    y_val = torch.randint(29, (400,))
    y_val[:rows] = 29
    findings = checked(Bag(), X, y, torch.randint(30, (400, 6)), y_val)
    found = next(f for f in findings if f.code == "CLASS_SET_MISMATCH")
    assert found.severity == severity
