"""run.export("model.pt2"), loaded by torch alone, and run.card("README.md")."""

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.errors import ModelError


@pytest.fixture
def run():
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 5)) + 10
    y = np.where(X[:, 0] > 10, "up", "do|wn")
    return sp.train(None, (X, y), hidden=(8,), epochs=3, test=0.25, progress="none", check=False)


def test_prepared_rows_in_torch_alone(tmp_path, run):
    written = run.export(tmp_path / "m.pt2")
    assert written["largest_difference"] <= 1e-6
    net = torch.export.load(tmp_path / "m.pt2").module()
    X = np.random.default_rng(1).normal(size=(7, 5)) + 10
    samples = run.classifier.read(X)
    prepared = run.classifier.preprocessing.prepare(samples).block(0, 7)
    found = net(torch.from_numpy(prepared)).detach().numpy()
    np.testing.assert_allclose(found, run.classifier.predict_proba(X), rtol=0, atol=1e-6)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 2)

    def forward(self, x):
        return self.linear(x) if x.sum() > 0 else -self.linear(x)


def test_a_net_that_torch_cannot_trace_is_named(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 5))
    run = sp.train(Branching(), (X, X[:, 0] > 0), epochs=1, progress="none", check=False)
    with pytest.raises(ModelError, match=r"^Branching cannot be traced by torch.export"):
        run.export(tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_the_card_has_the_numbers_of_the_run(tmp_path, run):
    text = run.card(tmp_path / "README.md").read_text("utf-8")
    evaluation = run.evaluate()
    for score in evaluation.classes:
        name = score.name.replace("|", r"\|")
        assert f"| {name} | {score.precision:.3f} | {score.recall:.3f} | {score.support} |" in text
    assert f"calibration error {evaluation.expected_calibration_error:.4f}" in text
    assert f"| test | 30 | {run.scores['test'].loss:.4f} |" in text
    assert run.recipe.to_toml().strip() in text
    assert "flatter" not in text


def test_a_run_from_a_folder_says_what_was_not_measured(tmp_path, run):
    run.save(tmp_path / "run")
    text = sp.load_run(tmp_path / "run").card(tmp_path / "card.md").read_text("utf-8")
    assert "not measured" in text
    assert "load_run('run')" in text


@pytest.mark.parametrize("test", [0.0, 0.2])
def test_the_card_of_a_run_read_back_knows_whether_rows_were_kept_apart(tmp_path, test):
    x = np.random.default_rng(0).normal(size=(60, 3))
    run = sp.train(
        None, (x, (x[:, 0] > 0).astype(int)), epochs=1, lr=0.1, test=test, progress="none"
    )
    again = sp.load_run(run.save(tmp_path / "run"))
    for one in (run, again):
        text = one.card(tmp_path / "card.md").read_text("utf-8")
        (tmp_path / "card.md").unlink()
        assert ("No test rows were kept apart" in text) == (test == 0)
