"""What many tests use: small data, a small table, the command line."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest


def pytest_configure():
    """What health would swallow fails a test here, in commands of their own process too.

    `make sanitize` tests another build of the extension than the installed one.
    """
    os.environ.setdefault("STEEPEST_RAISE", "1")
    path = os.environ.get("STEEPEST_TEST_NATIVE")
    if path:
        spec = importlib.util.spec_from_file_location("steepest._native", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["steepest._native"] = module


# Tests that take more than a few seconds together, by what they are: `make quick` leaves them out.
_MARKS = {
    "faults": ("faults/",),
    "docs": ("docs/", "explain/test_docs.py", "health/findings/test_pages.py"),
    "slow": (
        *("abuse/", "parity/test_parity.py", "parity/test_toolbox.py", "engine/test_toolbox.py"),
        *("cli/test_cli.py", "training/test_resume.py", "training/test_multilabel.py"),
        *("training/test_workers.py", "training/test_ray_train.py", "sweeps/test_ray.py"),
        *("ensemble/test_ensemble.py", "estimator/", "export/"),
        *("training/test_sample_weights.py", "training/test_tampered_checkpoints.py"),
        *("report/test_report.py", "explain/descent/", "explain/test_explain_cli.py"),
        "explain/test_imports.py",
        *("health/check/test_evidence.py", "health/check/test_odd_objects.py"),
        *("native/test_memory.py", "run/test_links.py", "test_extras.py"),
        *("benchmarks/", "board/"),
    ),
}


def pytest_collection_modifyitems(config, items):
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            name = item.path.relative_to(here).as_posix()
            for mark, places in _MARKS.items():
                if name.startswith(places):
                    item.add_marker(mark)


@pytest.fixture(autouse=True)
def seeded_torch():
    """Modules that a test makes have the same first weights in every order of the tests."""
    import torch

    torch.manual_seed(0)


@pytest.fixture
def blobs():
    """Three clouds in four dimensions that a straight cut tells apart: (X, y)."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 60)
    centres = rng.normal(0, 6, (3, 4))
    return (centres[y] + rng.normal(0, 1, (180, 4))).astype(np.float32), y


TABLE_HEADER = "age,income,member,city,churned"


@pytest.fixture
def table(tmp_path):
    """A CSV of 300 rows with numbers, gaps, booleans and words, and the class `churned`."""
    rng = np.random.default_rng(1)
    lines = [TABLE_HEADER]
    for i in range(300):
        age, member = rng.integers(18, 80), rng.random() < 0.5
        income = "" if i % 11 == 0 else f"{rng.normal(50_000, 9_000):.2f}"
        city = rng.choice(["Prague", "Brno", '"Ústí, nad Labem"'])
        churned = "yes" if age + 20 * member + rng.normal(0, 4) > 55 else "no"
        lines.append(f"{age},{income},{str(bool(member)).lower()},{city},{churned}")
    path = tmp_path / "customers.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def steepest(tmp_path):
    """Runs the real command in a process of its own, in tmp_path."""

    def run(*arguments, cwd=tmp_path, timeout=120):
        command = [sys.executable, "-m", "steepest", *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=timeout)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run
