"""run.to_script("train.py"): a plain PyTorch file with the losses of the run."""

import gzip
import os
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import steepest as sp
from steepest.errors import SteepestError

SMALL_RECIPE = {"hidden": (16,), "epochs": 3, "lr": 0.05, "check": False, "watch": False}
SMALL = {"hidden": (16,), "epochs": 3, "progress": "none", "check": False, "watch": False}


def losses_of(run, path, *, apart=False):
    """The losses that a script prints, by epoch, after it was run (in a process of its own)."""
    text = run.to_script(path).read_text("utf-8")
    if apart:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-W", "error", path], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("epoch ")]
        rows = [dict(pair.split(" ") for pair in line.split("  ")) for line in lines]
        for part, loss, accuracy in re.findall(r"(\w+): loss (\S+), accuracy (\S+)", done.stdout):
            assert float(loss) == pytest.approx(run.scores[part].loss, rel=1e-5)
            assert float(accuracy) == pytest.approx(run.scores[part].accuracy, rel=1e-6)
        return [{name: float(value) for name, value in row.items()} for row in rows], text
    made = {"__name__": "script"}
    exec(text, made)
    return made["train"](made["make_net"](), made["load_data"]()), text


def assert_same(run, rows, *, rel=1e-5):
    assert len(rows) == run.history.height
    for name in ("train_loss", "val_loss", "train_acc", "val_acc"):
        found = [row[name] for row in rows if name in row]
        expected = [value for value in run.history[name] if value is not None]
        np.testing.assert_allclose(found, expected, rtol=rel if "loss" in name else 1e-6)


def table(path, *, separator=","):
    """Numbers, words and truth values, some of each missing, of classes that they tell."""
    random = np.random.default_rng(0)
    age = random.normal(40, 12, 160).round(1)
    city = random.choice(["Graz", "Wien", "Linz"], 160, p=[0.5, 0.3, 0.2])
    member = random.random(160) < 0.5
    frame = pl.DataFrame(
        {
            "city": pl.Series(city).set(pl.Series(random.random(160) < 0.1), None),
            "age": pl.Series(age).set(pl.Series(random.random(160) < 0.2), None),
            "member": pl.Series(member).set(pl.Series(random.random(160) < 0.1), None),
            "since": pl.Series(20_000 + random.integers(0, 900, 160)).cast(pl.Date),
            "income": random.lognormal(10, 1, 160).round(2),
            "churned": np.where(age + 10 * member + random.normal(0, 5, 160) > 46, "yes", "no"),
        }
    )
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(
        path, separator=separator
    )
    return path


def test_a_plain_net_on_digits_in_a_process_of_its_own(tmp_path):
    run = sp.train(None, "digits", optimizer="sgd", lr=0.1, **SMALL)
    rows, text = losses_of(run, tmp_path / "train.py", apart=True)
    assert_same(run, rows)
    assert "steepest" not in text
    assert "learning_rate(" not in text
    assert "penalty" not in text


def test_a_table_with_gaps_and_words_and_many_settings_in_a_process_of_its_own(tmp_path):
    run = sp.train(
        None,
        table(tmp_path / "customers.csv", separator=";"),
        target="churned",
        **{**SMALL, "epochs": 6, "hidden": (16, 16)},
        optimizer="sgd",
        lr=0.2,
        momentum=0.9,
        nesterov=True,
        weight_decay=1e-3,
        schedule="cosine",
        warmup=5,
        l1=1e-4,
        l2=1e-3,
        dropout=0.2,
        test=0.2,
        label_smoothing=0.1,
        class_weight="balanced",
        clip_norm=0.5,
        seed=2**40 + 3,
        early_stopping=True,
        patience=2,
        batch_size=16,
        residual=True,
        stochastic_depth=0.2,
    )
    rows, text = losses_of(run, tmp_path / "train.py", apart=True)
    assert_same(run, rows)
    assert "WARMUP" in text
    assert "PATIENCE" in text


CASES = {
    "adam": {"optimizer": "adam", "layer_norm": True, "clip_value": 0.1, "activation": "gelu"},
    "adamw": {"optimizer": "adamw", "schedule": "one_cycle", "ema": 0.9, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "schedule": "step", "step_size": 1, "momentum": 0.5},
    "groups": {"optimizer": "sgd", "groups": {"biases": {"lr_scale": 2.0, "weight_decay": 0.1}}},
    "found": {"optimizer": "sgd", "lr": "auto", "batch_norm": True},
    "plateau": {"optimizer": "sgd", "lr": 2.0, "schedule": "plateau", "plateau_patience": 0},
    "cut": {"optimizer": "sgd", "steps": 11, "schedule": "flat_cos", "min_lr": 0.01},
    "focal": {"optimizer": "sgd", "loss": "focal", "class_weight": {"yes": 2.0}},
    "weighted": {"optimizer": "sgd", "sampling": "weighted", "class_weight": "balanced"},
    "factors": {
        "optimizer": "sgd",
        "dropout": 0.5,
        "dropout_schedule": "cosine",
        "pos_weight": 2.0,
        "label_smoothing": 0.2,
        "label_smoothing_schedule": "coslog4",
        "weight_decay": 0.1,
        "weight_decay_schedule": "flat_cos",
    },
    "accuracy": {"optimizer": "sgd", "early_stopping": True, "best_by": "accuracy", "patience": 1},
    "balanced": {
        "optimizer": "sgd",
        "early_stopping": True,
        "best_by": "balanced_accuracy",
        "class_weight": "balanced",
        "accumulate": 3,
        "l2": 1e-3,
        "clip_norm": 1.0,
        "ema": 0.5,
    },
    "muon": {
        "optimizer": "muon",
        "hidden": (16, 12),
        "weight_decay": 0.1,
        "schedule": "cosine",
        "weight_decay_schedule": "cosine",
    },
    "lbfgs": {"optimizer": "lbfgs", "batch_size": "full", "l2": 1e-3},
    "swa": {"optimizer": "sgd", "swa": 0.5, "batch_norm": True},
    "layers": {
        "optimizer": "adamw",
        "scaling_layer": True,
        "parametric_activation": True,
        "numeric_embedding": "periodic",
        "category_embedding": 2,
        "activation": "mish",
        "groups": {"scaling": {"lr_scale": 6.0}, "first layer": {"weight_decay": 0.1}},
    },
    "no validation": {"optimizer": "sgd", "validation": 0.0, "batch_size": "full"},
}


@pytest.mark.parametrize("case", CASES)
def test_settings(tmp_path, case):
    data = table(tmp_path / "customers.parquet")
    run = sp.train(None, data, target="churned", **{**SMALL, **CASES[case]})
    rows, _ = losses_of(run, tmp_path / "train.py")
    assert_same(run, rows)


# What goes together or not, a recipe says itself. Without batch_norm and steps that divide by the
# size of a gradient: where that is rounding alone, the two engines differ by more, too.
DRAWN = {
    "activation": st.sampled_from(["tanh", "relu", "leaky_relu", "gelu", "silu", "mish", "selu"]),
    "init": st.sampled_from(["xavier", "he", "lecun", "normal", "uniform"]),
    "hidden": st.sampled_from([(), (5,), (8, 8), (6, 6, 6)]),
    "residual": st.just(True),
    "stochastic_depth": st.just(0.3),
    "dropout": st.sampled_from([0.1, 0.5]),
    "dropout_schedule": st.sampled_from(["cosine", "flat_cos"]),
    "layer_norm": st.just(True),
    "momentum": st.just(0.8),
    "nesterov": st.just(True),
    "weight_decay": st.just(0.03),
    "weight_decay_schedule": st.sampled_from(["cosine", "coslog4"]),
    "l1": st.just(1e-3),
    "l2": st.just(1e-2),
    "penalise_biases": st.just(True),
    "clip_norm": st.just(0.5),
    "clip_value": st.just(0.05),
    "accumulate": st.just(3),
    "schedule": st.sampled_from(["step", "exponential", "cosine", "one_cycle", "plateau"]),
    "warmup": st.sampled_from([3, 0.2, 500]),
    "min_lr": st.just(1e-3),
    "restart_every": st.just(2),
    "plateau_patience": st.just(0),
    "label_smoothing": st.just(0.1),
    "label_smoothing_schedule": st.just("cosine"),
    "loss": st.just("focal"),
    "class_weight": st.just("balanced"),
    "sampling": st.just("weighted"),
    "ema": st.just(0.9),
    "swa": st.just(0.5),
    "early_stopping": st.just(True),
    "best_by": st.sampled_from(["accuracy", "balanced_accuracy"]),
    "validation": st.sampled_from([0.0, 0.3]),
    "test": st.just(0.2),
    "steps": st.just(13),
    "batch_size": st.sampled_from([7, 150, "full"]),
    "seed": st.integers(0, 2**64 - 1),
    "scaling": st.sampled_from(["minmax", "none", "robust", "quantile", "piecewise"]),
    "groups": st.just({"biases": {"lr_scale": 0.5, "weight_decay": 0.01}}),
}


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(chosen=st.dictionaries(st.sampled_from(list(DRAWN)), st.none(), max_size=9), data=st.data())
def test_settings_drawn_at_random(tmp_path_factory, chosen, data):
    drawn = {name: data.draw(DRAWN[name]) for name in chosen}
    while True:  # leave out what has no meaning beside the others
        try:
            recipe = sp.Recipe(optimizer="sgd", **{**SMALL_RECIPE, **drawn})
            break
        except SteepestError:
            drawn.popitem()
    folder = tmp_path_factory.mktemp("drawn")
    path = table(folder / "customers.csv")
    run = sp.train(None, path, recipe, target="churned", progress="none")
    try:
        rows, _ = losses_of(run, folder / "train.py")
    except SteepestError as refused:
        assume("steps end an epoch early" not in str(refused))
        raise
    assert_same(run, rows)


@pytest.mark.parametrize("scaling", ["minmax", "none", "robust", "quantile", "piecewise"])
def test_scalings_of_tables_and_matrices(tmp_path, scaling):
    random = np.random.default_rng(1)
    x = random.normal(3, 2, (90, 4))
    x[:, 3] = 7.0
    np.savez(tmp_path / "rows.npz", X=x, y=np.where(x[:, 0] > 3, "up", "down"))
    for data, target in ((tmp_path / "rows.npz", None), (table(tmp_path / "a.csv"), "churned")):
        run = sp.train(
            None, data, target=target, scaling=scaling, optimizer="adamw", lr=1e-3, **SMALL
        )
        rows, _ = losses_of(run, tmp_path / "train.py")
        assert_same(run, rows)


def write_sources(folder):
    """Data of each kind, by what is said of it: what `train` takes beside the settings."""
    random = np.random.default_rng(0)
    x, mask = random.normal(size=(60, 4)), np.arange(60) % 5 == 0
    y = (x[:, 0] > 0).astype(int)
    odd = "la'\"] + b"  # a name that is to stay one
    rare = np.r_[np.zeros(50, int), [1] * 9, [2]]
    arrays = {
        "mask": {"X": x, "y": y, "is_test": mask},
        "one-hot": {"X": x, "y": np.eye(2)[y]},
        "odd": {"X": x, odd: y + 1.0},
        "rare": {"X": (100 * x).astype(np.int16), "y": rare},
        "val": {"X_train": x[9:], "y_train": y[9:], "X_val": x[:9], "y_val": y[:9]},
    }
    for name, own in arrays.items():
        np.savez(folder / f"{name}.npz", **own)
        yield {"data": folder / f"{name}.npz", "target": odd if name == "odd" else None}
    several = (x[:, :3] > 0.3).astype(int)
    np.savez(folder / "several.npz", X=x, y=several)
    yield {"data": folder / "several.npz", "task": "multilabel", "test": 0.2, "pos_weight": 2.0}
    columns = {"x": x[:, 0], "a": several[:, 0], "b": several[:, 1] > 0, "c": several[:, 2]}
    for ending in ("csv", "parquet"):
        path, frame = folder / f"several.{ending}", pl.DataFrame(columns)
        frame.write_parquet(path) if ending == "parquet" else frame.write_csv(path)
        smoothing = {"label_smoothing": 0.1, "class_weight": (1.0, 2.0, 0.5)}
        yield {"data": path, "task": "multilabel", "target": "a,b,c", **smoothing}
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    yield {"data": folder / "x.npy", "target": str(folder / "y.npy"), "validation": 0.3}
    texts = {
        "plain": [f"{a:.3f},{b:.3f},{c}" for a, b, c in zip(x[:, 0], x[:, 1], y, strict=True)],
        "commas": ["a;b;y", *(f"0,{i};{'' if i % 7 else i};{i % 2}" for i in range(60))],
        "marks": [
            "a,w,y",
            *(f"{'NA' if i % 6 else i},{'uv?'[i % 3]},{i % 2}.5" for i in range(60)),
        ],
        "levels": ["a,w,y", *(f"{i / 7},w{i * i % 90},{i % 3}" for i in range(300)), "", ""],
        "dates": ["when,y", *(f"2020-01-{1 + i % 28:02d} 12:00:30.5,{i % 2}" for i in range(60))],
        "truth": ["a,y", *(f"{i % 9},{'TRUE' if i % 2 else 'false'}" for i in range(60))],
        "quotes": ['"a, b",w,y', *(f'{i % 9},"x ""{i % 3}""\nz",{i % 2}' for i in range(60))],
    }
    for name, lines in texts.items():
        (folder / f"{name}.csv").write_text("\n".join(lines), "utf-8")
        yield {"data": folder / f"{name}.csv", "target": "column_3" if name == "plain" else "y"}
    for ending in ("csv", "parquet"):
        train, test = (table(folder / f"{part}.{ending}") for part in ("train", "test"))
        yield {"data": train, "target": "churned", "test": str(test)}
    idx = folder / "idx"
    idx.mkdir()
    for part, count in (("train", 50), ("t10k", 20)):
        images, labels = random.integers(0, 256, (count, 36)), random.integers(0, 3, count)
        header = np.array([0x803, count, 6, 6], ">u4").tobytes()
        (idx / f"{part}-images-idx3-ubyte").write_bytes(header + images.astype("u1").tobytes())
        header = np.array([0x801, count], ">u4").tobytes()
        with gzip.open(idx / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(header + labels.astype("u1").tobytes())
    yield {"data": idx}
    for part, label in (("train", "a"), ("train", "b"), ("test", "b"), ("test", "a")):
        (folder / "images" / part / label).mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(0, 256, (5, 7 + i % 2, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / part / label / f"{i}.png")
    yield {"data": folder / "images", "image_size": 6}


def test_sources(tmp_path):
    rest = {**SMALL, "epochs": 2, "optimizer": "sgd"}
    for source in write_sources(tmp_path):
        run = sp.train(None, **{**rest, **source})
        rows, _ = losses_of(run, tmp_path / "train.py")
        assert_same(run, rows)


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_arrays_of_images_with_a_test_part(tmp_path, kind):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (80, 1, 5, 5)).astype(kind)
    y = (x[:, 0, 2, 2] > 128).astype(int)
    np.savez(tmp_path / "a.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    changed = {"shift": 1, "crop": 1, "flip": True, "cutout": 2} if kind is np.uint8 else {}
    run = sp.train(None, tmp_path / "a.npz", optimizer="sgd", **changed, **SMALL)
    rows, _ = losses_of(run, tmp_path / "train.py")
    assert_same(run, rows)


def test_a_net_of_float64_has_the_same_losses_to_more_digits(tmp_path):
    data = table(tmp_path / "customers.csv")
    torch.set_default_dtype(torch.float64)
    try:
        run = sp.train(None, data, target="churned", optimizer="adam", dropout=0.1, **SMALL)
        rows, text = losses_of(run, tmp_path / "train.py")
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same(run, rows, rel=1e-12)
    assert "set_default_dtype(torch.float64)" in text


def test_a_script_is_formatted_and_has_nothing_that_it_does_not_use(tmp_path):
    run = sp.train(
        None,
        table(tmp_path / "customers.csv"),
        target="churned",
        optimizer="adamw",
        class_weight=(1.0, 2.0),
        label_smoothing=0.1,
        schedule="cosine",
        **SMALL,
    )
    path = run.to_script(tmp_path / "train.py")
    ruff = [sys.executable, "-m", "ruff"]
    check = [*ruff, "check", "--isolated", "--line-length=100", "--select=E,F,I,UP", path]
    assert subprocess.run(check, capture_output=True, text=True).stdout == "All checks passed!\n"
    form = [*ruff, "format", "--isolated", "--line-length=100", "--check", path]
    assert subprocess.run(form, capture_output=True, text=True).returncode == 0
    text = path.read_text("utf-8")
    for name in re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE):
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


def test_what_a_script_cannot_be_is_refused_in_a_line(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = (x[:, 0] > 0).astype(int)
    np.savez(tmp_path / "a.npz", X=x, y=y)
    path, cases = tmp_path / "train.py", {}
    cases["arrays in memory: save them"] = sp.train(None, (x, y), optimizer="sgd", **SMALL)
    cases["trains one net, and this run has 2"] = sp.train(
        None, tmp_path / "a.npz", members=2, optimizer="sgd", **SMALL
    )
    own = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    rest = {name: value for name, value in SMALL.items() if name != "hidden"}
    cases["trained a Sequential that was given to it"] = sp.train(own, tmp_path / "a.npz", **rest)
    like_ours = sp.mlp(3, [16], 1)
    cases["trained a Sequential that was given to it: its"] = sp.train(
        like_ours, tmp_path / "a.npz", **rest
    )
    cases["had the learning rate 0.01"] = sp.train(
        None,
        tmp_path / "a.npz",
        optimizer="sgd",
        scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1),
        **SMALL,
    )
    cases["no words for a class_weight of 0"] = sp.train(
        None, tmp_path / "a.npz", optimizer="sgd", class_weight=(0.0, 1.0), **SMALL
    )
    cases["no words for mixup = 0.2"] = sp.train(
        None, tmp_path / "a.npz", optimizer="sgd", mixup=0.2, **SMALL
    )
    for message, run in cases.items():
        with pytest.raises(SteepestError, match=re.escape(message)) as refused:
            run.to_script(path)
        assert "\n" not in str(refused.value)
    assert not path.exists()


def test_data_that_have_changed_since_are_refused(tmp_path):
    data = table(tmp_path / "customers.csv")
    run = sp.train(None, data, target="churned", optimizer="sgd", **SMALL)
    data.write_text(data.read_text("utf-8").replace("Graz", "Linz"), "utf-8")
    with pytest.raises(SteepestError, match="is not what this run was trained on"):
        run.to_script(tmp_path / "train.py")


def test_names_with_quotes_stay_names(tmp_path):
    folder = tmp_path / 'a"""b\\n'
    folder.mkdir()
    data = table(folder / "it's.csv")
    text = data.read_text("utf-8").replace("income", '"in""co\'me\\"').replace("Graz", "Gr'az")
    data.write_text(text, "utf-8")
    run = sp.train(None, data, target="churned", optimizer="sgd", **SMALL)
    rows, _ = losses_of(run, tmp_path / "train.py")
    assert_same(run, rows)
