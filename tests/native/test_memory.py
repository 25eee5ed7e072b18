"""Memory of the native engine at its peak, measured by the operating system in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import re, sys
from pathlib import Path

import numpy as np
from torch import nn

from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan
from steepest.engine.native import NativeEngine
from steepest.objective import Objective


def resident(what):
    return 1024 * int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])


def train(rows, features, kind, width):
    array = np.ones((rows, features), dtype=kind)
    model = nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, 2))
    samples = Samples(array, None, "test")
    inputs = Preprocessing.fit(samples, "none").prepare(samples)
    targets = np.ones(rows, dtype=np.int64)
    recipe = Recipe(lr=1e-3, momentum=0.9, batch_size=64)
    plan = Plan(model, Objective("multiclass"), inputs, targets, recipe)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    engine = NativeEngine()
    engine.load(plan)
    for _ in range(2):
        engine.advance([1e-3] * plan.steps_per_epoch)
    grown = resident("VmHWM") - before
    parameters = sum(p.nbytes for p in model.parameters())
    return grown, array.nbytes + targets.nbytes, parameters


train(100, 20, "float32", 8)  # what is loaded once
grown, data, parameters = train(*map(int, sys.argv[1:3]), *sys.argv[3:4], int(sys.argv[4]))
print(grown, data, parameters)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize(
    ("rows", "features", "kind", "width"),
    [
        pytest.param(60_000, 784, "uint8", 100, id="images"),
        pytest.param(1_000_000, 20, "float32", 64, id="narrow table"),
        pytest.param(2_000, 2_000, "float32", 2_000, id="more parameters than data"),
    ],
)
def test_at_its_peak_it_holds_at_most_a_fifth_more_than_it_must(rows, features, kind, width):
    command = [sys.executable, "-c", PROGRAM, str(rows), str(features), kind, str(width)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, data, parameters = map(int, done.stdout.split())
    velocities = parameters
    # The data and the model's parameters were there before; the engine keeps parameters of its own.
    assert data + parameters + grown <= 1.2 * (data + 2 * parameters + velocities)
    assert grown >= parameters  # the measurement sees what the engine must allocate
