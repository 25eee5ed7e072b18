"""The small measured example of each page in docs/toolbox: with the technique and without it.

    python examples/toolbox.py [NAME ...] [--write]

Each line is the mean over five seeds, of split, first weights and order alike. `--write` puts the
tables into the pages.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import steepest as sp

PAGES = Path(__file__).resolve().parent.parent / "docs" / "toolbox"
SEEDS = range(5)
MARK = re.compile(r"(<!-- measured -->\n).*", re.DOTALL)

Settings = dict[str, Any]


def digits(seed: int) -> Any:
    """1797 images of 8 x 8."""
    X, y = images()
    return X, y


def images() -> tuple[Any, Any]:
    train = sp.load_data("digits").train
    return np.asarray(train.inputs, dtype=np.float32).reshape(-1, 8, 8), np.asarray(train.labels)


def noisy(seed: int) -> Any:
    """The digits, of whose labels a fifth are drawn by chance."""
    X, y = images()
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(y)) < 0.2
    return X, np.where(wrong, rng.permutation(y), y)


def with_noise(seed: int) -> Any:
    """Breast cancer, whose 30 columns stand beside 60 of noise."""
    train = sp.load_data("breast_cancer").train
    X, y = np.asarray(train.inputs, dtype=np.float32), np.asarray(train.labels)
    noise = np.random.default_rng(seed).normal(size=(len(X), 60))
    return np.hstack([X, noise.astype(np.float32)]), y


def waves(seed: int) -> Any:
    """Two classes by the sum of a sine of each of 4 numbers; 4 more say nothing."""
    X = np.random.default_rng(seed).normal(size=(2000, 8)).astype(np.float32)
    return X, (np.sin(4 * X[:, :4]).sum(axis=1) > 0).astype(np.int64)


def shops(seed: int) -> Any:
    """Two classes by a quantity of each of 40 shops and of each of 40 goods, and two numbers."""
    rng = np.random.default_rng(seed)
    shop, good = rng.integers(0, 40, (2, 1500))
    X = rng.normal(size=(1500, 2))
    likes, worth = rng.normal(size=(2, 40))
    score = likes[shop] + worth[good] + 0.5 * X[:, 0] * likes[shop]
    return pl.DataFrame(
        {
            "shop": [f"shop {i}" for i in shop],
            "good": [f"good {i}" for i in good],
            "price": X[:, 0],
            "age": X[:, 1],
            "label": np.where(score > 0, "bought", "left"),
        }
    )


def rare(seed: int) -> Any:
    """Breast cancer with 20 of the 212 malignant cases: one row in nineteen."""
    train = sp.load_data("breast_cancer").train
    X, y = np.asarray(train.inputs, dtype=np.float32), np.asarray(train.labels)
    malignant = np.flatnonzero(y == np.unique(y)[np.argmin(np.unique(y, return_counts=True)[1])])
    left_out = np.random.default_rng(seed).permutation(malignant)[20:]
    kept = np.setdiff1d(np.arange(len(y)), left_out)
    return X[kept], y[kept]


def tags(seed: int) -> Any:
    """Rows with up to five classes each, or none."""
    from sklearn.datasets import make_multilabel_classification

    X, Y = make_multilabel_classification(1000, 20, n_classes=5, random_state=0)
    return X.astype(np.float32), Y


# Many rows and few epochs: how quickly it learns.
SHORT: Settings = {"hidden": (64,), "epochs": 5, "test": 0.3, "validation": 0.0, "lr": 0.02}
# Few rows and many epochs: how far what it learned holds.
FEW: Settings = {"hidden": (128,), "epochs": 60, "test": 0.85, "validation": 0.0, "lr": 0.1}
LONG: Settings = {**FEW, "test": 0.5, "epochs": 100}
DEEP: Settings = {**FEW, "hidden": (64,) * 6, "lr": 0.02}
RARE: Settings = {"hidden": (16,), "epochs": 30, "test": 0.5, "validation": 0.0, "lr": 0.05}

# Page -> data, what all lines have in common, and what each line has of its own.
CASES: dict[str, tuple[Any, Settings, dict[str, Settings]]] = {
    "sgd": (
        digits,
        SHORT,
        {
            "lr 0.02": {},
            "momentum 0.9": {"momentum": 0.9},
            "Nesterov": {"momentum": 0.9, "nesterov": True},
        },
    ),
    "adam": (
        digits,
        SHORT,
        {"sgd, lr 0.001": {"lr": 0.001}, "adam, lr 0.001": {"lr": 0.001, "optimizer": "adam"}},
    ),
    "adamw": (
        digits,
        {**FEW, "lr": 0.003},
        {
            "adam": {"optimizer": "adam"},
            "adam, weight_decay 0.5": {"optimizer": "adam", "weight_decay": 0.5},
            "adamw, weight_decay 0.5": {"optimizer": "adamw", "weight_decay": 0.5},
        },
    ),
    "muon": (
        digits,
        {**SHORT, "hidden": (64, 64, 64), "epochs": 3},
        {
            "adamw, lr 0.001": {"optimizer": "adamw", "lr": 0.001},
            "adamw, lr 0.005": {"optimizer": "adamw", "lr": 0.005},
            "muon, lr 0.02": {"optimizer": "muon"},
            "muon, lr 0.02, adamw_lr_scale 0.25": {"optimizer": "muon", "adamw_lr_scale": 0.25},
        },
    ),
    "flat_cos": (
        noisy,
        {**SHORT, "epochs": 20, "lr": 0.3, "batch_size": 8},
        {
            "constant": {},
            "cosine": {"schedule": "cosine"},
            "flat_cos": {"schedule": "flat_cos"},
            "coslog4": {"schedule": "coslog4"},
        },
    ),
    "scheduled": (
        digits,
        {**FEW, "dropout": 0.5, "label_smoothing": 0.2},
        {
            "constant": {},
            "dropout flat_cos": {"dropout_schedule": "flat_cos"},
            "label_smoothing flat_cos": {"label_smoothing_schedule": "flat_cos"},
            "label_smoothing coslog4": {"label_smoothing_schedule": "coslog4"},
            "both flat_cos": {
                "dropout_schedule": "flat_cos",
                "label_smoothing_schedule": "flat_cos",
            },
        },
    ),
    "rmsprop": (
        digits,
        SHORT,
        {
            "sgd, lr 0.001": {"lr": 0.001},
            "rmsprop, lr 0.001": {"lr": 0.001, "optimizer": "rmsprop"},
        },
    ),
    "lbfgs": (
        digits,
        {**SHORT, "batch_size": "full", "epochs": 30, "lr": None},
        {"sgd, lr 0.1, 30 steps": {}, "lbfgs, 30 steps": {"optimizer": "lbfgs"}},
    ),
    "groups": (
        digits,
        SHORT,
        {
            "all at lr 0.02": {},
            "first layer at a tenth": {"groups": {"first layer": {"lr_scale": 0.1}}},
            "last layer at ten times": {"groups": {"last layer": {"lr_scale": 10.0}}},
        },
    ),
    "clipping": (
        digits,
        {**SHORT, "lr": 1.0},
        {
            "lr 1": {},
            "clip_norm 0.5": {"clip_norm": 0.5},
            "clip_value 0.05": {"clip_value": 0.05},
        },
    ),
    "accumulation": (
        digits,
        {**SHORT, "lr": 0.1},
        {
            "batch_size 8": {"batch_size": 8},
            "batch_size 8, accumulate 4": {"batch_size": 8, "accumulate": 4},
            "batch_size 32": {"batch_size": 32},
        },
    ),
    "ema": (
        noisy,
        {**SHORT, "lr": 0.3, "epochs": 10, "batch_size": 8},
        {"last weights": {}, "ema 0.99": {"ema": 0.99}},
    ),
    "swa": (
        noisy,
        {**SHORT, "lr": 0.3, "epochs": 20, "batch_size": 8},
        {"last weights": {}, "swa 0.5": {"swa": 0.5}},
    ),
    "schedules": (
        noisy,
        {**SHORT, "lr": 0.3, "epochs": 20, "batch_size": 8},
        {
            "constant": {},
            "step": {"schedule": "step", "step_size": 7},
            "multistep": {"schedule": "multistep", "milestones": (10, 15)},
            "exponential": {"schedule": "exponential", "gamma": 0.8},
        },
    ),
    "cosine": (
        noisy,
        {**SHORT, "lr": 0.3, "epochs": 20, "batch_size": 8},
        {
            "constant": {},
            "cosine": {"schedule": "cosine"},
            "restarts": {"schedule": "cosine", "restart_every": 10},
        },
    ),
    "warmup": (
        digits,
        {**DEEP, "optimizer": "rmsprop", "lr": 0.01, "epochs": 10},
        {"none": {}, "warmup 0.2": {"warmup": 0.2}},
    ),
    "one_cycle": (
        digits,
        {**SHORT, "lr": 0.3},
        {"constant": {}, "one_cycle": {"schedule": "one_cycle"}},
    ),
    "plateau": (
        noisy,
        {**SHORT, "lr": 0.3, "epochs": 20, "batch_size": 8, "validation": 0.2},
        {
            "constant": {},
            "plateau": {"schedule": "plateau", "plateau_patience": 1, "gamma": 0.3},
        },
    ),
    "find_lr": (
        digits,
        SHORT,
        {f"lr {lr}": {"lr": lr} for lr in (0.001, 0.1, 10.0)} | {"lr auto": {"lr": "auto"}},
    ),
    "l1": (digits, FEW, {"none": {}, "l1 0.0003": {"l1": 3e-4}, "l1 0.003": {"l1": 3e-3}}),
    "l2": (digits, FEW, {"none": {}, "l2 0.001": {"l2": 1e-3}, "l2 0.01": {"l2": 1e-2}}),
    "dropout": (digits, FEW, {"none": {}, "dropout 0.3": {"dropout": 0.3}}),
    "activations": (
        digits,
        {**DEEP, "epochs": 10},
        {f'"{name}"': {"activation": name} for name in ("tanh", "relu", "silu", "mish", "selu")},
    ),
    "parametric_activation": (
        digits,
        {**FEW, "optimizer": "adam", "lr": 0.005},
        {
            f"{name}{', parametric' * learned}": {
                "activation": name,
                "parametric_activation": learned,
            }
            for name in ("selu", "mish")
            for learned in (False, True)
        },
    ),
    "numeric_embedding": (
        waves,
        {**FEW, "test": 0.5, "optimizer": "adam", "lr": 0.002},
        {
            "none": {},
            **{
                f"periodic, sigma {sigma}": {
                    "numeric_embedding": "periodic",
                    "periodic_sigma": sigma,
                }
                for sigma in (0.1, 0.5, 3.0)
            },
        },
    ),
    "category_embedding": (
        shops,
        {**FEW, "test": 0.5, "epochs": 20, "optimizer": "adam", "lr": 0.002, "target": "label"},
        {"one-hot": {}, **{f"embedding of {k}": {"category_embedding": k} for k in (4, 8, 16)}},
    ),
    "batch_ensemble": (
        digits,
        {**FEW, "optimizer": "adamw", "lr": 0.002},
        {"one net": {}, **{f"{k} members": {"batch_ensemble": k} for k in (4, 16)}},
    ),
    "scaling_layer": (
        with_noise,
        {**FEW, "lr": 0.02},
        {
            "none": {},
            "scaling_layer": {"scaling_layer": True},
            "scaling_layer, lr 6 times": {
                "scaling_layer": True,
                "groups": {"*.scale": {"lr_scale": 6.0}},
            },
        },
    ),
    "batch_norm": (
        digits,
        {**DEEP, "epochs": 10},
        {"none": {}, "batch_norm": {"batch_norm": True}},
    ),
    "layer_norm": (
        digits,
        {**DEEP, "epochs": 10},
        {"none": {}, "layer_norm": {"layer_norm": True}},
    ),
    "stochastic_depth": (
        digits,
        {**DEEP, "residual": True},
        {"residual blocks": {}, "stochastic_depth 0.3": {"stochastic_depth": 0.3}},
    ),
    "mixup": (noisy, LONG, {"none": {}, "mixup 0.4": {"mixup": 0.4}}),
    "cutmix": (noisy, LONG, {"none": {}, "cutmix 1": {"cutmix": 1.0}}),
    "cutout": (digits, FEW, {"none": {}, "cutout 3": {"cutout": 3}}),
    "shift_crop_flip": (
        digits,
        FEW,
        {"none": {}, "shift 1": {"shift": 1}, "crop 1": {"crop": 1}, "flip": {"flip": True}},
    ),
    "label_smoothing": (noisy, LONG, {"none": {}, "smoothing 0.1": {"label_smoothing": 0.1}}),
    "early_stopping": (
        noisy,
        {**LONG, "validation": 0.15},
        {"100 epochs": {}, "early_stopping": {"early_stopping": True}},
    ),
    "class_weight": (rare, RARE, {"none": {}, "balanced": {"class_weight": "balanced"}}),
    "weighted_sampling": (
        rare,
        RARE,
        {"shuffled": {}, "weighted": {"class_weight": "balanced", "sampling": "weighted"}},
    ),
    "multilabel": (
        tags,
        {**RARE, "task": "multilabel", "hidden": (32,)},
        {"none": {}, "pos_weight 3": {"pos_weight": 3.0}},
    ),
    "focal": (
        rare,
        RARE,
        {
            "cross entropy": {},
            "focal": {"loss": "focal"},
            "focal, balanced": {"loss": "focal", "class_weight": "balanced"},
        },
    ),
}
DATA = {
    digits: "the digits (8 x 8 images)",
    noisy: "the digits, a fifth of the labels of all parts drawn by chance",
    tags: "1000 made-up rows with up to five of five classes (accuracy: all five right)",
    with_noise: "breast cancer, 60 columns of noise beside its 30",
    waves: "2000 made-up rows, of a sine of each of 4 numbers, beside 4 that say nothing",
    shops: "1500 made-up purchases in 40 shops, of 40 goods",
    rare: "breast cancer with 20 malignant cases of 377",
}


def measure(data: Any, settings: Settings) -> dict[str, float]:
    """Means over the seeds."""
    found = []
    for seed in SEEDS:
        run = sp.train(None, data(seed), seed=seed, progress="none", **settings)
        test = run.evaluate()
        found.append(
            {
                "train loss": run.scores["train"].loss,
                "train accuracy": run.scores["train"].accuracy,
                "test loss": test.loss,
                "test accuracy": test.accuracy,
                "balanced": test.balanced_accuracy,
            }
        )
    return {name: float(np.mean([row[name] for row in found])) for name in found[0]}


def table(name: str) -> str:
    data, common, lines = CASES[name]
    columns = ["train loss", "train accuracy", "test loss", "test accuracy"]
    if data in (rare, tags):
        columns[1] = "balanced"
    heads = [{"balanced": "mean recall of the test classes"}.get(c, c) for c in columns]
    text = ", ".join(f"{k} = {v}" for k, v in common.items() if v is not None)
    rows = [
        f"Means over five seeds on {DATA[data]}; {text}.",
        "",
        "| | " + " | ".join(heads) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for label, own in lines.items():
        values = measure(data, {**common, **own})
        shown = [f"{values[c]:.3f}" if "loss" in c else f"{values[c]:.1%}" for c in columns]
        rows.append(f"| {label} | " + " | ".join(shown) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*CASES, []])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.names or CASES:
        found = table(name)
        print(f"{name}\n{found}\n", flush=True)
        if arguments.write:
            page = PAGES / f"{name}.md"
            text = page.read_text(encoding="utf-8")
            page.write_text(MARK.sub(lambda m, t=found: m[1] + t + "\n", text), encoding="utf-8")


if __name__ == "__main__":
    main()
