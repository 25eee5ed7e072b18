"""Memory of the native engine at its peak, measured by the operating system in a process of its own.

What a convolutional net gives for a minibatch is no smaller than small data: its layers' outputs and their
gradients are among what must be held.
"""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ctypes
import gc
import re
from pathlib import Path

import numpy as np
import torch
from torch import nn

from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan
from steepest.engine.inference import native_outputs
from steepest.engine.native import NativeEngine
from steepest.objective import Objective


def resident(what):
    return 1024 * int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])


def linear(features, width):
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, 2))


def lenet():
    first = (nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    return nn.Sequential(*first, *second, nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 2))


def convolutions(channels, norm, pool):
    layers = []
    for c, out in zip((1, *channels), channels):
        layers += [nn.Conv2d(c, out, 3, padding=1), norm(out), nn.ReLU(), nn.MaxPool2d(pool)]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(2))


def with_groups(channels):
    return nn.GroupNorm(4, channels)


def outputs_of(model, shape):
    # How many floats the layers give for a row.
    floats = []
    for module in model:
        module.register_forward_hook(lambda *made: floats.append(made[-1].numel()))
    model(torch.zeros(2, *shape))
    return sum(floats) // 2


def begin(rows, shape, kind, build):
    samples = Samples(np.ones((rows, *shape), dtype=kind), None, "test")
    model = build()
    model(torch.zeros(2, *shape))  # how many inputs its last layer has
    return Preprocessing.fit(samples, "none").prepare(samples), model


def grown_by(work):
    gc.collect()
    # What is free already, and would be taken without growing, goes back first.
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def train(rows, shape, kind, build):
    inputs, model = begin(rows, shape, kind, build)
    targets = np.ones(rows, dtype=np.int64)
    recipe = Recipe(lr=1e-3, momentum=0.9, batch_size=64)
    plan = Plan(model, Objective("multiclass"), inputs, targets, recipe)

    def work():
        engine = NativeEngine()
        engine.load(plan)
        steps = plan.steps_per_epoch
        for _ in range(2):
            engine.advance([1e-3] * (steps if len(shape) == 1 else min(steps, 10)))

    grown = grown_by(work)
    parameters = sum(p.nbytes for p in model.parameters())
    minibatch = 4 * 64 * outputs_of(model, shape) if len(shape) == 3 else 0
    return grown, inputs.array.nbytes + targets.nbytes, parameters, minibatch


def evaluate(rows, shape, build):
    inputs, model = begin(rows, shape, "uint8", build)
    torch.set_num_threads(1)
    grown = grown_by(lambda: native_outputs(model.eval(), inputs))
    return grown, sum(p.nbytes for p in model.parameters()), 4 * outputs_of(model, shape)


train(100, (20,), "float32", lambda: linear(20, 8))  # what is loaded once
train(70, (1, 28, 28), "uint8", lenet)
evaluate(70, (1, 28, 28), lenet)
"""
DEEP = "convolutions((32, 64, 64), nn.BatchNorm2d, 2)"
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc"
)


def measured(call):
    """What a call of a function of the program gives, in a process of its own."""
    command = [sys.executable, "-c", f"{PROGRAM}print(*{call})"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return map(int, done.stdout.split())


@pytest.mark.parametrize(
    ("rows", "shape", "kind", "net"),
    [
        pytest.param(60_000, (784,), "uint8", "linear(784, 100)", id="images"),
        pytest.param(1_000_000, (20,), "float32", "linear(20, 64)", id="narrow table"),
        pytest.param(
            2_000, (2_000,), "float32", "linear(2_000, 2_000)", id="more parameters than data"
        ),
        pytest.param(60_000, (1, 28, 28), "uint8", "lenet()", id="LeNet"),
        pytest.param(
            *(60_000, (1, 28, 28), "uint8", DEEP),
            id="batch norm",
        ),
        pytest.param(
            *(60_000, (1, 28, 28), "uint8", "convolutions((32, 64, 64), with_groups, 2)"),
            id="group norm",
        ),
        pytest.param(
            *(1_000, (1, 7, 7), "float32", "convolutions((128,) * 6, nn.Identity, 1)"),
            id="more filters than data",
        ),
    ],
)
def test_at_its_peak_it_holds_at_most_a_fifth_more_than_it_must(rows, shape, kind, net):
    call = f"train({rows}, {shape}, {kind!r}, lambda: {net})"
    grown, data, parameters, minibatch = measured(call)
    velocities = parameters
    # The data and the model's parameters were there before; the engine keeps parameters of its own.
    must = data + 2 * parameters + velocities + 2 * minibatch
    assert data + parameters + grown <= 1.2 * must
    assert grown >= parameters  # the measurement sees what the engine must allocate


def test_outputs_of_images_take_the_memory_of_few_rows_at_its_peak():
    grown, parameters, row = measured(f"evaluate(10_000, (1, 28, 28), lambda: {DEEP})")
    assert parameters <= grown <= 1.2 * (32 * row + 3 * parameters)
