"""A state of an optimizer that no run has kept is refused before a number of it is read."""

import numpy as np
import pytest
import torch
from torch import nn

from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, TorchEngine
from steepest.engine.native import NativeEngine, extension
from steepest.errors import EngineError
from steepest.objective import Objective

ENGINES = [TorchEngine] + [NativeEngine] * (extension() is not None)
STRANGE = {
    "short": ("exp_avg", lambda t: t[:1]),
    "long": ("exp_avg_sq", lambda t: torch.zeros(999)),
    "turned": ("exp_avg", lambda t: t.T),
    "whole numbers": ("exp_avg", lambda t: t.long()),
    "four steps": ("step", lambda t: torch.zeros(4)),
    "no count": ("step", lambda t: torch.tensor(torch.nan)),
    "a negative count": ("step", lambda t: torch.tensor(-1.0)),
}


def plan_of(optimizer):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(0, 1, (20, 3)).astype(np.float32), None, "test")
    inputs = Preprocessing.fit(samples, "none").prepare(samples)
    recipe = Recipe(optimizer=optimizer, batch_size=8)
    return Plan(model, Objective("multiclass"), inputs, rng.integers(0, 2, 20), recipe)


def state_of(engine, optimizer):
    begun = engine()
    begun.load(plan_of(optimizer))
    begun.advance([0.01] * 3)
    return begun.export()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
@pytest.mark.parametrize("change", STRANGE)
def test_numbers_of_another_form(engine, optimizer, change):
    state = state_of(engine, optimizer)
    key, changed = STRANGE[change]
    state["0.weight"][key] = changed(state["0.weight"][key])
    with pytest.raises(EngineError, match=f"the optimizer's {key} of '0.weight'"):
        engine().load(plan_of(optimizer), state, 3)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_momentum_of_muon(engine):
    state = state_of(engine, "muon")
    state["2.weight"]["momentum_buffer"] = torch.zeros(1)
    with pytest.raises(EngineError, match=r"momentum_buffer of '2.weight' does not fit"):
        engine().load(plan_of("muon"), state, 3)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_missing_or_of_nobody(engine):
    state = state_of(engine, "adam")
    del state["0.weight"]["exp_avg"]
    with pytest.raises(EngineError, match="which no optimizer keeps"):
        engine().load(plan_of("adam"), state, 3)
    nobody = {"nobody": {"momentum": torch.zeros(3)}}
    with pytest.raises(EngineError, match="'nobody', which is no parameter"):
        engine().load(plan_of("sgd"), nobody, 3)
