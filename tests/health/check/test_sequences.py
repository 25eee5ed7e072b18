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


class Language(nn.Module):
    """At each place of (N, T) words the logits of the next one, in one of three forms."""

    def __init__(self, reader, form="rows"):
        super().__init__()
        self.embedding, self.fc = nn.Embedding(9, 16), nn.Linear(16, 9)
        self.reader, self.form = reader, form

    def forward(self, words):
        z = self.fc(self.reader(self.embedding(words)))
        return {"rows": z, "flat": z.flatten(0, 1), "channels": z.transpose(1, 2)}[self.form]


class Recurrent(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.gru = nn.GRU(16, 16 // (1 + settings.get("bidirectional", False)), batch_first=True,
                          **settings)  # fmt: skip

    def forward(self, h):
        return self.gru(h)[0]


class Attention(nn.Module):
    def __init__(self, causal):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)
        self.causal = causal

    def forward(self, h):
        mask = nn.Transformer.generate_square_subsequent_mask(h.shape[1])
        return self.layer(h, src_mask=mask if self.causal else None)


def next_words(model, **settings):
    torch.manual_seed(0)
    text = torch.randint(0, 9, (400, 12)).cumsum(1) % 9
    loader = DataLoader(TensorDataset(text[:, :-1], text[:, 1:]), 32, shuffle=True)

    def loss_fn(z, y):
        z = z.transpose(1, 2) if model.form == "channels" else z.reshape(-1, 9)
        return nn.functional.cross_entropy(z.reshape(-1, 9), y.flatten())

    own = torch.optim.Adam(model.parameters(), 1e-3)
    return sp.check(model, loss_fn, own, loader, seconds=0, **settings)


@pytest.mark.parametrize("form", ["rows", "flat", "channels"])
@pytest.mark.parametrize(
    ("reader", "reads"),
    [
        (lambda: Attention(causal=False), True),
        (lambda: Recurrent(bidirectional=True), True),
        (lambda: Attention(causal=True), False),
        (lambda: Recurrent(), False),
    ],
    ids=["all places", "both directions", "causal", "one direction"],
)
def test_a_model_that_reads_the_next_word_is_told(reader, reads, form):
    torch.manual_seed(0)
    found = next_words(Language(reader(), form))
    assert ("TARGET_LEAK_FEATURE" in found.actionable.codes) == reads
    assert reads or not found.actionable
