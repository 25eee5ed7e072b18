"""Rules on other variants than those of tests/faults, and on what looks like a fault and is none."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import steepest as sp
from steepest.health import Evidence, Finding
from steepest.health.findings.ranking import ranked

TIME = 10.0


def data(n=480, d=10, classes=3):
    g = torch.Generator().manual_seed(0)
    X = torch.randn(n, d, generator=g)
    return X, X[:, :classes].argmax(1)


def net(d=10, classes=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(d, 32), nn.ReLU(), nn.Linear(32, classes))


def check(model=None, loss_fn=F.cross_entropy, X=None, y=None, *, lr=0.1, loader=None, val=None):
    if X is None:
        X, y = data()
    model = model or net(X.shape[1])
    train = loader or DataLoader(TensorDataset(X, y), 32, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    return sp.check(model, loss_fn, optimizer, train, val, seconds=TIME)


def test_own_functions_are_read_by_their_graph():
    model = nn.Sequential(*net(), nn.Softmax(-1))
    assert check(model, lambda p, t: F.cross_entropy(p, t) + 0.0)[0].code == "LOSS_EXPECTS_LOGITS"
    assert check(model, lambda p, t: F.nll_loss(torch.log(p + 1e-8), t)).actionable.codes == []
    assert check(net(), lambda z, t: (z.logsumexp(1) - z[range(len(z)), t]).mean()).codes == []


def test_log_softmax_twice_does_no_harm():
    assert check(nn.Sequential(*net(), nn.LogSoftmax(1))).codes == []


def test_a_last_layer_that_starts_at_zero_is_healthy():
    model = net()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    assert check(model).actionable.codes == []


class Bag(nn.Module):
    """Words and places, added and averaged; the places start at 0."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(50, 16), nn.Linear(16, 2)
        self.places = nn.Parameter(torch.zeros(8, 16))

    def forward(self, tokens):
        return self.head((self.words(tokens) + self.places).mean(1))


def test_places_that_start_at_zero_are_no_symmetric_units():
    tokens = torch.randint(0, 50, (480, 8), generator=torch.Generator().manual_seed(0))
    assert check(Bag(), X=tokens, y=(tokens.float().mean(1) > 25).long()).actionable.codes == []


def test_lazy_layers_are_looked_at():
    model = nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(3))
    assert check(model).codes == []
    assert isinstance(model[0].weight, nn.UninitializedParameter)


def test_scale_is_harmless_before_a_normalisation():
    X, y = data()
    assert check(nn.Sequential(nn.BatchNorm1d(10), *net()), X=300 * X + 1000, y=y).codes == []


def test_a_column_that_decides_the_label_is_no_leak():
    X, _ = data()
    assert check(net(classes=2), X=X, y=(X[:, 4] > 0).long()).actionable.codes == []


def test_unshuffled_rows_that_are_mixed_are_healthy():
    X, y = data()
    loader = DataLoader(TensorDataset(X, y), 32)
    assert check(loader=loader).codes == []


def test_equal_rows_of_discrete_tables_are_no_leak():
    g = torch.Generator().manual_seed(0)
    X = torch.randint(0, 2, (480, 4), generator=g).float()
    y = (X[:, 0] + X[:, 1] > 1).long()
    val = DataLoader(TensorDataset(X[:100].clone(), y[:100]), 100)
    assert "TRAIN_VAL_LEAK" not in check(net(4, 2), X=X, y=y, val=val).codes


def test_a_schedule_that_starts_low_is_not_too_low():
    X, y = data()
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    torch.optim.lr_scheduler.LinearLR(optimizer, 1e-6, total_iters=100)
    train = DataLoader(TensorDataset(X, y), 32, shuffle=True)
    assert sp.check(model, F.cross_entropy, optimizer, train, seconds=TIME).codes == []


@pytest.mark.parametrize("scale", [1e3, 1e-4])
def test_the_cause_comes_first_and_explains_the_rest(scale):
    X, y = data()
    findings = check(X=X * scale, y=y)
    assert findings.actionable.codes == ["INPUT_NOT_NORMALISED" if scale > 1 else "INPUT_TOO_SMALL"]
    assert findings[0].confidence == "confirmed"
    assert "standardised inputs" in str(findings[0].evidence[1])


def finding(code, severity="warn"):
    return Finding(code, severity, "m", "f", (Evidence("a", "b"),))


def test_ranking_puts_facts_before_symptoms_and_keeps_what_is_independent():
    found = [
        finding("LR_TOO_HIGH"),
        finding("TRAIN_VAL_LEAK"),
        finding("DEAD_RELU"),
        finding("SUM_REDUCTION"),
        finding("NOT_CHECKED", "info"),
    ]
    findings = ranked(found)
    assert findings.codes == ["TRAIN_VAL_LEAK", "SUM_REDUCTION", "NOT_CHECKED"]
    assert sorted(f.code for f in findings[1].consequences) == ["DEAD_RELU", "LR_TOO_HIGH"]


def test_a_code_is_told_once_below_a_cause():
    twice = [finding("SUM_REDUCTION"), finding("LR_TOO_HIGH"), finding("LR_TOO_HIGH")]
    assert [f.code for f in ranked(twice)[0].consequences] == ["LR_TOO_HIGH"]


def test_a_linear_net_follows_from_no_scale():
    findings = ranked([finding("INPUT_NOT_NORMALISED"), finding("NO_NONLINEARITY")])
    assert findings.codes == ["INPUT_NOT_NORMALISED", "NO_NONLINEARITY"]


def test_probabilities_that_round_to_0_do_not_make_a_net_linear():
    X, y = data()
    model = nn.Sequential(*net(), nn.Softmax(1))
    with torch.no_grad():
        model[0].weight.mul_(300)
        model[2].weight.mul_(300)
    assert check(model, X=X, y=y).actionable.codes == ["LOSS_EXPECTS_LOGITS", "INIT_TOO_LARGE"]


def test_what_is_wrong_besides_is_no_consequence_and_without_the_cause_it_stands_first():
    X, y = data()
    first, second = check(nn.Sequential(*net(), nn.Softmax(1)), X=1e3 * X, y=y).actionable
    assert (first.code, second.code) == ("LOSS_EXPECTS_LOGITS", "INPUT_NOT_NORMALISED")
    assert second.apart == ("LOSS_EXPECTS_LOGITS",)
    assert check(X=1e3 * X, y=y).actionable.codes == ["INPUT_NOT_NORMALISED"]
    assert check(nn.Sequential(*net(), nn.Softmax(1))).actionable.codes == ["LOSS_EXPECTS_LOGITS"]


def test_a_rate_that_runs_away_is_told_where_the_labels_teach_nothing():
    X, y = data()
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(5))]
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 100.0)
    train = DataLoader(TensorDataset(X, y), 32, shuffle=True)
    (found,) = sp.check(model, F.cross_entropy, optimizer, train, seconds=TIME).actionable
    assert found.code == "LR_TOO_HIGH"
    assert "runs away" in found.message


class Noisy(Dataset):
    def __init__(self, noise):
        (self.X, self.y), self.noise = data(), noise

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i] + self.noise * torch.randn(10), self.y[i]


@pytest.mark.parametrize(("noise", "said"), [(0.0, None), (0.02, "info"), (0.5, "warn")])
def test_validation_rows_that_differ_each_time(noise, said):
    model, before = net(), torch.get_rng_state()
    train, val = DataLoader(Noisy(0.5), 32), DataLoader(Noisy(noise), 64)
    findings = check(model, loader=train, val=val)
    told = [f.severity for f in findings if f.code == "RANDOM_VALIDATION"]
    assert told == ([said] if said else [])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_note_explains_no_warning():
    findings = ranked([finding("SUM_REDUCTION", "info"), finding("LR_TOO_HIGH")])
    assert findings.codes == ["LR_TOO_HIGH", "SUM_REDUCTION"]


@pytest.mark.parametrize(("times", "said"), [(1.0, False), (2.0, True)])
def test_luck_of_another_start_is_no_evidence_that_weights_are_too_large(times, said, monkeypatch):
    """A column of a few values far out makes a high first loss, whatever the weights."""
    start = sys.modules["steepest.health.check.rules.start"]
    monkeypatch.setattr(start, "lower", lambda other, plain: True)
    X, y = data()
    model = net()
    with torch.no_grad():
        for layer in model[::2]:
            nn.init.kaiming_normal_(layer.weight).mul_(times)
            nn.init.zeros_(layer.bias)
    findings = check(model, X=torch.where(X.abs() > 1, 6 * X.sign(), X), y=y)
    assert ("INIT_TOO_LARGE" in findings.codes) == said


def rows_with_wrong_labels(n=1200, share=0.15):
    torch.manual_seed(0)
    y = torch.randint(0, 3, (n,))
    X = 4 * torch.eye(10)[y] + torch.randn(n, 10)
    wrong = torch.randperm(len(y))[: round(share * len(y))]
    given = y.clone()
    given[wrong] = (y[wrong] + 1) % 3
    return X, given, set(wrong.tolist())


def test_suspects_are_named_by_their_numbers_in_the_data():
    X, y, wrong = rows_with_wrong_labels()
    some = torch.randperm(len(y))[:900]
    part = Subset(TensorDataset(X, y), some.tolist())
    found = check(X=X, y=y, loader=DataLoader(part, 32, shuffle=True))
    place = next(f for f in found if f.code == "LABEL_NOISE").evidence[0].where
    named = [int(number) for number in place.rpartition("rows ")[2].split(", ")]
    assert len(named) == 20
    assert sum(int(some[n]) in wrong for n in named) >= 18
    assert "counted from 0" in place


def test_rows_of_more_than_are_compared_keep_their_numbers():
    X, y, wrong = rows_with_wrong_labels(n=5000)
    found = check(X=X, y=y)
    place = next(f for f in found if f.code == "LABEL_NOISE").evidence[0].where
    named = [int(number) for number in place.rpartition("rows ")[2].split(", ")]
    assert sum(n in wrong for n in named) >= 18
    assert max(named) >= 2000


def test_a_rare_class_that_neighbours_cannot_tell_accuses_none_of_its_rows():
    X, y = data(n=900, classes=2)
    rare = torch.rand(900) < 0.12
    findings = check(X=X, y=torch.where(rare, 2, y))
    assert "LABEL_NOISE" not in findings.codes


@pytest.mark.parametrize(("ignored", "severity"), [(1, "warn"), (7, None)])
def test_a_class_that_the_loss_leaves_out_is_a_warning_however_rare_it_is(ignored, severity):
    torch.manual_seed(0)
    X = torch.randn(600, 8)
    y = X[:, :6].argmax(1)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 6))
    loader = DataLoader(TensorDataset(X, y), 32, shuffle=True)
    own = torch.optim.SGD(model.parameters(), 0.1)
    found = sp.check(model, nn.CrossEntropyLoss(ignore_index=ignored), own, loader, seconds=0)
    assert [one.severity for one in found if one.code == "IGNORED_LABELS"] == [severity] * (
        severity is not None
    )
    assert "CLASS_SET_MISMATCH" not in found.codes


class Tagger(nn.Module):
    """Of words (N, 9) the logits of each place (N, 6, 9)."""

    def __init__(self):
        super().__init__()
        self.embedding, self.fc = nn.Embedding(6, 16), nn.Linear(16, 6)

    def forward(self, words):
        return self.fc(self.embedding(words)).transpose(1, 2)


def test_places_that_the_loss_leaves_out_may_be_padding():
    torch.manual_seed(0)
    words = torch.randint(1, 6, (300, 9))
    words[:, 8] = 0
    model = Tagger()
    loader = DataLoader(TensorDataset(words, words), 32, shuffle=True)
    own = torch.optim.SGD(model.parameters(), 0.1)
    found = sp.check(model, nn.CrossEntropyLoss(ignore_index=0), own, loader, seconds=0)
    assert not found.actionable
    assert [one.severity for one in found if one.code == "IGNORED_LABELS"] in ([], ["info"])


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (lambda X, y: (X.flip(1), y), "TRAIN_VAL_PREPROC_MISMATCH"),
        (lambda X, y: (X.transpose(2, 3), y), "TRAIN_VAL_PREPROC_MISMATCH"),
        (lambda X, y: (X, (y + 1) % 6), "VAL_LABELS_MISMATCH"),
        (lambda X, y: (X, y), None),
    ],
    ids=["BGR", "H and W", "labels", "sound"],
)
def test_validation_images_that_are_read_otherwise_are_not_other_labels(read, code):
    """Bars that stand or lie, in one of three colours."""
    torch.manual_seed(0)
    y = torch.randint(0, 6, (900,))
    X = 0.3 * torch.randn(900, 3, 8, 8)
    for image, label in zip(X, y, strict=True):
        bar = image[label % 3]
        (bar[:, 2:5] if label < 3 else bar[2:5]).add_(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 6))
    parts = (X[:600], y[:600]), read(X[600:], y[600:])
    train, val = (DataLoader(TensorDataset(*part), 32, shuffle=True) for part in parts)
    own = torch.optim.SGD(model.parameters(), 0.05)
    found = sp.check(model, nn.CrossEntropyLoss(), own, train, val, seconds=10)
    assert found.actionable.codes == ([code] if code else [])


@pytest.mark.parametrize(("twins", "severity"), [(2, None), (9, "info"), (60, "warn")])
def test_a_few_training_rows_in_the_validation_part_are_a_note(twins, severity):
    torch.manual_seed(0)
    X, X_val = torch.randn(600, 8), torch.randn(300, 8)
    X_val[:twins] = X[:twins]
    parts = (DataLoader(TensorDataset(x, x[:, :3].argmax(1)), 32) for x in (X, X_val))
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    own = torch.optim.SGD(model.parameters(), 0.1)
    found = sp.check(model, nn.CrossEntropyLoss(), own, *parts, seconds=0)
    told = [one.severity for one in found if one.code == "TRAIN_VAL_LEAK"]
    assert told == ([severity] if severity else [])
