"""The ledger's numbers are autograd's, for any chain of layers and every loss; and they read well."""

import html.parser
import itertools
import re
import xml.dom.minidom

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import steepest as sp
from steepest.explain import backprop
from steepest.explain.numbers import cells

ACTIVATIONS = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "leaky": lambda: nn.LeakyReLU(0.2),
    "gelu": nn.GELU,
    "gelu tanh": lambda: nn.GELU("tanh"),
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "selu": nn.SELU,
    "identity": nn.Identity,
    "dropout": nn.Dropout,
}


def norm(kind, width):
    layer = nn.BatchNorm1d(width) if kind == "batch" else nn.LayerNorm(width)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.normal_()
    if kind == "batch":
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
    return layer


@st.composite
def chains(draw):
    """A random Sequential of what the native engine knows, and the width of its outputs."""
    widths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    outputs = draw(st.sampled_from([1, 2, 3, 5]))
    layers = [nn.Flatten()]
    linear = draw(st.sampled_from([nn.Linear, sp.LinearLayer]))
    for fan_in, fan_out in itertools.pairwise(widths):
        layers.append(linear(fan_in, fan_out))
        kind = draw(st.sampled_from(["none", "batch", "layer"]))
        if kind != "none":
            layers.append(norm(kind, fan_out))
        layers += [
            ACTIVATIONS[a]() for a in draw(st.lists(st.sampled_from([*ACTIVATIONS]), max_size=2))
        ]
        if draw(st.booleans()):
            block = nn.Sequential(
                nn.Linear(fan_out, fan_out), ACTIVATIONS[draw(st.sampled_from([*ACTIVATIONS]))]()
            )
            layers.append(sp.Residual(block, 0.3))
    layers.append(nn.Linear(widths[-1], outputs, bias=draw(st.booleans())))
    return nn.Sequential(*layers), widths[0], outputs


@settings(max_examples=30, deadline=None)
@given(chains(), st.integers(2, 7), st.booleans(), st.integers(0, 2**31))
def test_every_number_by_hand_is_autograds(chain, rows, several, seed):
    model, features, outputs = chain
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)) * 2
    if several and outputs > 1:
        y = rng.integers(0, 2, (rows, outputs))
        y[0] = 1  # so that the rows are not one-hot
        loss = nn.BCEWithLogitsLoss()
    else:
        y = rng.integers(0, max(2, outputs), rows)
        loss = nn.CrossEntropyLoss() if outputs > 1 else nn.BCEWithLogitsLoss()
    ledger = backprop(model, x, y)
    assert ledger.agrees, str(ledger).splitlines()[-1]
    assert all(e.by_hand for e in ledger if e.phase == "backward")
    assert all("\\" not in e.plain and "{" not in e.plain for e in ledger)
    # An autograd of the test's own, beside the one that the ledger asks.
    model = model.double().eval()
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # after tanh, autograd itself refuses it
    z = model(torch.from_numpy(x))
    target = torch.from_numpy(y)
    value = (
        loss(z, target)
        if isinstance(loss, nn.CrossEntropyLoss)
        else loss(z, target.double().reshape(z.shape))
    )
    weights = {id(p): name for name, p in model.named_parameters()}
    gradients = torch.autograd.grad(value, list(model.parameters()))
    assert ledger.loss == pytest.approx(value.item(), rel=1e-12)
    ours = [e for e in ledger if e.phase == "backward" and re.match(r"dL/d[Wbγβ]", e.name)]
    assert len(ours) == len(weights)
    for gradient in gradients:
        assert any(
            e.shape == tuple(gradient.shape)
            and np.allclose(e.value, gradient.numpy(), rtol=1e-9, atol=1e-12)
            for e in ours
        )


def test_batch_norm_while_training_goes_through_the_statistics_of_the_rows():
    model = nn.Sequential(nn.Linear(3, 4), norm("batch", 4), nn.Tanh(), nn.Linear(4, 2))
    x, y = torch.randn(6, 3), [0, 1, 0, 1, 1, 0]
    ledger = backprop(model, x, y, training=True)
    assert ledger.agrees
    assert "mean(G)" in ledger["dL/dZ1"].plain
    assert backprop(model, x, y)["dL/dZ1"].plain == "dL/dZ1 = (dL/dU1 ⊙ γ1)/(√(v + ε))"


@pytest.mark.parametrize(
    ("last", "targets"),
    [(nn.Softmax(1), [0, 2, 1, 1]), (nn.LogSoftmax(1), [0, 2, 1, 1]), (nn.Sigmoid(), [0, 1, 1, 0])],
)
def test_models_that_end_in_probabilities(last, targets):
    width = 1 if isinstance(last, nn.Sigmoid) else 3
    ledger = backprop(nn.Sequential(nn.Linear(5, width), last), torch.randn(4, 5), targets)
    assert ledger.agrees
    assert ledger["dL/dZ1"].difference is not None


def test_a_saturated_softmax_has_its_infinite_and_its_finite_gradient():
    model = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1000.0], [-1000.0]]))
    ledger = backprop(model, [[1.0]], [1])
    assert ledger.loss == pytest.approx(2000)
    assert ledger["dL/dA1"].value.tolist() == [[0, -np.inf]]
    assert ledger["dL/dZ1"].value.tolist() == [[1, -1]]
    assert ledger.agrees


def test_a_wrong_gradient_is_seen():
    from steepest.explain.backprop.layers import ManualLinear

    right = ManualLinear.backward
    try:
        ManualLinear.backward = lambda self, dz, writer: right(self, dz * 1.0001, writer)
        ledger = backprop(nn.Linear(3, 2), torch.randn(4, 3), [0, 1, 0, 1])
    finally:
        ManualLinear.backward = right
    assert not ledger.agrees
    assert "dL/dW1" in str(ledger).splitlines()[-1]


def test_a_layer_that_is_used_twice_has_the_sum_of_both_uses():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(4, 3))
    ledger = backprop(model, torch.randn(5, 4), [0, 1, 2, 0, 1])
    assert ledger.agrees
    assert ledger["dL/dW1"].plain == "dL/dW1 = (dL/dZ2)ᵀ A1 + (dL/dZ1)ᵀ X"
    assert "dL/dW2" not in [entry.name for entry in ledger]

    tied = nn.Sequential(nn.Embedding(6, 4), nn.Flatten(0, 1), nn.Linear(4, 6, bias=False))
    tied[2].weight = tied[0].weight
    ledger = backprop(tied, [[1], [2]], [1, 2])
    assert ledger.agrees
    assert "other code uses it too" in ledger["dL/dW1"].note


class Between(nn.Module):
    """Uses a layer's weight in its own code too, and passes an input by name."""

    def __init__(self):
        super().__init__()
        self.a, self.o = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.o(nn.functional.linear(torch.tanh(self.a(input=x)), self.a.weight))


def test_a_weight_that_code_between_the_modules_uses_too_is_no_false_alarm():
    ledger = backprop(Between(), torch.randn(5, 4), [0, 1, 2, 0, 1])
    assert ledger.agrees
    assert "other code uses it too" in ledger["dL/dW1"].note
    assert ledger["dL/db1"].difference < 1e-12


class Own(nn.Module):
    """A module that is no chain, with code between its layers."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.a(x))
        return self.c(h + self.b(h).relu())


def test_other_modules_are_worked_out_layer_by_layer():
    model = Own()
    x, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    ledger = backprop(model, x, y)
    assert ledger.agrees
    model = model.double()
    nn.functional.cross_entropy(model(x.double()), y).backward()
    for i, layer in enumerate((model.a, model.b, model.c), start=1):
        assert np.allclose(ledger[f"dL/dW{i}"].value, layer.weight.grad.numpy(), atol=1e-14)
        assert ledger[f"dL/dW{i}"].difference < 1e-12
    assert not ledger["H1"].by_hand


def test_an_unknown_layer_in_a_chain_is_autograds_and_the_rest_by_hand():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    ledger = backprop(model, torch.randn(5, 1, 4, 4), [0, 1, 2, 0, 1])
    assert ledger.agrees
    assert ledger["dL/dW1"].by_hand
    assert not ledger["dL/dX"].by_hand
    x = torch.tensor([[1, 2], [3, 0]])
    embedded = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 2))
    assert backprop(embedded, x, [0, 1]).agrees


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.random.get_rng_state()
    backprop(
        model,
        torch.randn(4, 3, generator=torch.Generator().manual_seed(1)),
        [0, 1, 1, 0],
        training=True,
    )
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 3], "the target of row 2 is 3, but must be one of 0 .. 2"),
        ([0, 1], "one target for each of the 3 rows, but has shape (2,)"),
        ([[0.5, 0.5, 0]] * 3, "row 0 of y is [0.5, 0.5, 0.0], which is not one-hot"),
        (["a", "b", "c"], "must be class indices 0, 1, ..."),
    ],
)
def test_targets_that_do_not_fit_are_told(y, message):
    with pytest.raises(sp.SteepestError, match=re.escape(message)):
        backprop(nn.Linear(4, 3), torch.randn(3, 4), y)


def test_inputs_that_do_not_fit_are_told():
    with pytest.raises(sp.SteepestError, match=r"cannot take inputs of shape \(3, 5\)"):
        backprop(nn.Linear(4, 3), torch.randn(3, 5), [0, 1, 2])
    with pytest.raises(sp.SteepestError, match="a ledger is saved as"):
        backprop(nn.Linear(4, 3), torch.randn(3, 4), [0, 1, 2]).save("a.pdf")


class _Balanced(html.parser.HTMLParser):
    """Every element that is opened is closed in its turn."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.seen = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in ("meta", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_pages_are_whole_and_need_nothing_else(tmp_path):
    model = sp.mlp(5, [4, 4], 3, activation="gelu", layer_norm=True, residual=True)
    ledger = backprop(model, torch.randn(20, 5), torch.arange(20) % 3)
    page = ledger.save(tmp_path / "ledger.html").read_text("utf-8")
    parser = _Balanced()
    parser.feed(page)
    assert not parser.open
    assert not parser.wrong
    assert "math" in parser.seen
    assert "src=" not in page
    assert "href=" not in page
    formulas = re.findall(r"<math.*?</math>", page, re.DOTALL)
    assert len(formulas) >= len(ledger)
    for formula in formulas:
        document = xml.dom.minidom.parseString(formula.replace("&nbsp;", " "))
        assert not document.getElementsByTagName("merror")
        assert "\\" not in formula
    assert ledger._repr_html_() in page
    text = ledger.save(tmp_path / "ledger.md").read_text("utf-8")
    assert text.count("$$") == 2 * len(ledger)
    assert text.count("```") == 2 * len(ledger)
    assert ledger.save(tmp_path / "ledger.txt").read_text("utf-8") == str(ledger)


def test_large_arrays_are_shortened():
    table = cells(np.arange(10000.0).reshape(100, 100))
    assert len(table) == len(table[0]) == 8
    assert table[0][:2] == ["0", "1"]
    assert table[-1][-1] == "9999"
    assert table[4] == ["…"] * 8
    assert (
        max(
            len(line)
            for line in str(
                backprop(nn.Linear(500, 30), torch.randn(200, 500), [1] * 200)
            ).splitlines()
        )
        <= 100
    )


def test_a_sigmoid_by_hand_is_a_sigmoid():
    model = nn.Sequential(nn.Linear(3, 1), nn.Tanh(), Half())
    x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    ledger = backprop(model, x, y)
    p = model(x)[:, 0].double()
    expected = nn.functional.binary_cross_entropy(p, y.double()).item()
    assert ledger["L"].value == pytest.approx(expected, rel=1e-6)


class Half(nn.Module):
    def forward(self, x):
        return 0.5 * x + 0.5
