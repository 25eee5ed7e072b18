"""Without the extras: everything that a training needs works, the rest names its extra."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from steepest.loggers import MLflow, TensorBoard, Trackio, WandB

ROOT = Path(__file__).parent.parent
OPTIONAL = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "matplotlib": "matplotlib",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "jinja2": "jinja2",
    "latex2mathml": "latex2mathml",
    "pyarrow": "pyarrow",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "tensorboard": "tensorboard",
    "mlflow-skinny": "mlflow",
    "sqlalchemy": "sqlalchemy",
    "alembic": "alembic",
    "wandb": "wandb",
    "trackio": "trackio",
    "ray": "ray",
    "optuna": "optuna",
}
LOGGERS = {"mlflow", "tensorboard", "trackio", "wandb"}
APART = LOGGERS | {"ray"}  # by its size: it is not in `all` either
# In front of a program: the packages of the extras are not found.
BLOCKED = f"""
import sys
from importlib.machinery import PathFinder
class Finder:
    find_distributions = PathFinder.find_distributions
    @staticmethod
    def find_spec(name, path=None, target=None):
        absent = name.partition('.')[0] in {set(OPTIONAL.values())}
        return None if absent else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""


@pytest.fixture
def bare(tmp_path):
    """Runs a program in a process of its own that has no extras; what it prints."""

    def run(program):
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", BLOCKED + program],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


def _extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    return {name: {re.split(r"[>\[]", p)[0] for p in packages} for name, packages in extras.items()}


def test_an_extra_names_what_is_imported_late_and_all_and_loggers_have_every_one():
    extras = _extras()
    ours = set(extras) - {"all", "loggers", "dev", "docs"}
    assert set.union(*(extras[name] for name in ours)) == set(OPTIONAL)
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'all = ["steepest[{",".join(sorted(ours - APART))}]"]' in text
    assert f'loggers = ["steepest[{",".join(sorted(LOGGERS))}]"]' in text
    assert '"steepest[all,loggers,ray]"' in text
    named = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r'needs\("(\w+)"', path.read_text("utf-8"))
    }
    assert named == ours - LOGGERS  # those of loggers are named by their classes
    assert {kind.extra for kind in (TensorBoard, MLflow, WandB, Trackio)} == LOGGERS


def test_a_training_from_data_to_predictions_needs_no_extra(bare, table):
    bare(f"""
import numpy as np, polars as pl, steepest as sp
X = np.random.default_rng(0).normal(size=(200, 4)).astype('float32')
y = (X[:, 0] > 0).astype(int)
run = sp.train(None, (X, y), sp.Recipe(epochs=2, mixup=0.2), progress='none')
assert run.history.height == 2
run.save('arrays')
assert (sp.load_run('arrays').classifier.predict(X) == run.classifier.predict(X)).all()
table = {str(table)!r}
recipe = sp.Recipe(data=table, target='churned', epochs=2)
run = sp.train(recipe=recipe.replace(hidden=(8,)), out='net', progress='none')
sp.resume('net', epochs=3, progress='none')
assert len(sp.load_run('net').classifier.predict_proba(table)) == 300
sp.train(recipe=recipe, out='nets', progress='none')
assert len(sp.load_run('nets').classifier.predict_proba(table)) == 300
assert 'formula' in str(sp.explain.backprop(sp.mlp(4, (3,), 2), X[:2], y[:2]).to_dict())
sp.explain.graph(lambda x: x[0] * x[1], [2.0, 3.0])
import torch
loader = [(torch.from_numpy(X[:32]), torch.from_numpy(y[:32]))]
net = sp.mlp(4, (3,), 2)
sp.check(net, torch.nn.CrossEntropyLoss(), torch.optim.SGD(net.parameters(), 0.1), loader)
""")


def test_each_other_use_names_its_extra(bare, table):
    printed = bare("""
import numpy as np, steepest as sp
X = np.random.default_rng(0).normal(size=(60, 4)).astype('float32')
y = (X[:, 0] > 0).astype(int)
run = sp.train(None, (X, y), sp.Recipe(epochs=1), progress='none')
open('x.parquet', 'w').write('x')
import os
for name in 'ab':
    os.makedirs('pictures/' + name)
    open(f'pictures/{name}/1.png', 'wb').close()
def plots():
    import steepest.report
for use in (
    plots,
    lambda: run.report('r.html'),
    lambda: run.export('m.onnx'),
    lambda: run.evaluate((X, y)),
    lambda: sp.load_data('digits'),
    lambda: sp.load_data('x.parquet'),
    lambda: sp.load_data('pictures'),
    lambda: sp.explain.backprop(sp.mlp(4, (3,), 2), X[:2], y[:2]).save('l.html'),
    lambda: sp.explain.descent('moons'),
    lambda: sp.explain.initialisation_spread,
    lambda: sp.loggers.TensorBoard('tb'),
    lambda: sp.loggers.MLflow(),
    lambda: sp.loggers.WandB(),
    lambda: sp.loggers.Trackio(),
    lambda: sp.sweep(None, {'lr': [0.1]}, data=(X, y), ray='auto'),
    lambda: sp.sweep(None, {'lr': [0.1]}, data=(X, y), sampler='optuna', trials=8),
):
    try:
        use()
    except sp.SteepestError as error:
        assert isinstance(error, ImportError)
        print(error)
    else:
        raise AssertionError('it needs no extra')
""")
    named = re.findall(r"pip install 'steepest\[(\w+)\]'", printed)
    assert named == [
        *("plots", "plots", "onnx", "metrics", "datasets", "parquet", "images"),
        *("explain", "explain", "explain"),
        *("tensorboard", "mlflow", "wandb", "trackio", "ray", "optuna"),
    ]
    assert "Parquet needs pyarrow, which is not installed" in printed


def test_the_command_line_works_without_extras_and_names_the_one_that_is_missing(bare, table):
    printed = bare(f"""
import contextlib, io
from steepest.cli import main
def run(*line):
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(list(line))
    except SystemExit as ended:
        print(line[0], ended.code, said.getvalue().strip().splitlines()[-1])
table = {str(table)!r}
run('train', table, '--target', 'churned', '--epochs', '1', '--out', 'r')
run('check', table, '--target', 'churned')
run('predict', 'r', table)
run('train', '--help')
run('evaluate', 'r', table)
run('report', 'r')
run('find-lr', table, '--target', 'churned', '--plot', 'x.png')
run('board', '.')
""")
    lines = printed.splitlines()
    assert [line.split()[:2] for line in lines] == [
        *(["train", "0"], ["check", "0"], ["predict", "0"], ["train", "0"]),
        *(["evaluate", "2"], ["report", "2"], ["find-lr", "2"], ["board", "2"]),
    ]
    assert "steepest[metrics]" in lines[4]
    assert "steepest[plots]" in lines[5]
    assert "steepest[plots]" in lines[6]
    assert "steepest[board]" in lines[7]
