"""The native engine against the torch engine and float64, over random nets, batches and settings."""

import copy
import itertools
import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import steepest as sp
from steepest import LinearLayer, Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, TorchEngine, choose
from steepest.engine.native import NativeEngine, advance_many, extension, native_obstacle
from steepest.errors import EngineError
from steepest.objective import Objective

native = extension()
pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built here")

ACTIVATIONS = [
    nn.Tanh(),
    nn.Sigmoid(),
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.SELU(),
    nn.Identity(),
]


def available(*names):
    found = []
    for name in names if native else ():
        try:
            found.append(native.isa(name))
        except RuntimeError:
            continue
    return found


ISAS = available("x86-64-v2", "x86-64-v3", "x86-64-v4", "neon")


def build(widths, activation, seed, *, bias=True, ours=False):
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = LinearLayer(fan_in, fan_out) if ours else nn.Linear(fan_in, fan_out, bias=bias)
        layers += [linear, copy.deepcopy(activation)]
    return nn.Sequential(*layers[:-1])


def make_data(kind, rows, features, seed):
    """Inputs as they come: floats, bytes with many zeros, every second row of a larger array."""
    rng = np.random.default_rng(seed)
    if kind == "bytes":
        pixels = rng.integers(0, 256, (rows, 1, 1, features))
        return (pixels * (rng.random(pixels.shape) < 0.4)).astype(np.uint8)
    x = rng.normal(1, 2, (rows, features)).astype(np.float32)
    if kind == "strided":
        larger = np.zeros((2 * rows, features + 3), dtype=np.float32)
        larger[::2, 1:-2] = x
        return larger[::2, 1:-2]  # rows that neither touch nor begin on a multiple of 64 bytes
    if kind == "sparse":
        x[rng.random(x.shape) < 0.7] = 0
    return x


def make_plan(model, array, outputs, seed, scaling="auto", rows=None, **recipe):
    samples = Samples(array, None, "test", rows=rows)
    inputs = Preprocessing.fit(samples, scaling).prepare(samples)
    targets = np.random.default_rng(seed).integers(0, max(2, outputs), len(inputs))
    objective = Objective("binary" if outputs == 1 else "multiclass")
    return Plan(model, objective, inputs, targets, Recipe(seed=seed, **recipe))


def run(engine, plan, steps, *, rates=None, statistics=False):
    engine.load(plan)
    stats = engine.advance(rates or [plan.recipe.base_lr] * steps, statistics=statistics)
    return stats, engine.export()


def largest_error(model, exact):
    pairs = zip(model.parameters(), exact.parameters(), strict=True)
    return max(float((p.detach().double() - e.detach()).abs().max()) for p, e in pairs)


def bits(model):
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())


NETS = st.fixed_dictionaries(
    {
        "widths": st.lists(st.integers(1, 70), min_size=0, max_size=3),
        "activation": st.sampled_from(ACTIVATIONS),
        "seed": st.integers(0, 2**32),
        "bias": st.booleans(),
    }
)


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=25, deadline=None)
@given(
    net=NETS,
    features=st.integers(1, 90),
    outputs=st.integers(1, 12),
    rows=st.integers(1, 150),
    batch_size=st.sampled_from([1, 2, 7, 32, 33, 64, 200, "full"]),
    kind=st.sampled_from(["floats", "bytes", "strided", "sparse"]),
    scaling=st.sampled_from(["auto", "none", "minmax"]),
    momentum=st.sampled_from([0.0, 0.9]),
    nesterov=st.booleans(),
    weight_decay=st.sampled_from([0.0, 0.01]),
    threads=st.sampled_from([None, 1, 2, 3]),
)
def test_it_computes_what_pytorch_computes(
    isa,
    net,
    features,
    outputs,
    rows,
    batch_size,
    kind,
    scaling,
    momentum,
    nesterov,
    weight_decay,
    threads,
):
    widths = [features, *net["widths"], outputs]
    model = build(widths, net["activation"], net["seed"], bias=net["bias"])
    recipe = {
        # Steps that overshoot would magnify rounding errors without bound.
        "lr": 1e-6 if scaling == "none" and kind == "bytes" else 0.02,
        "batch_size": batch_size,
        "momentum": momentum,
        "nesterov": nesterov and momentum > 0,
        "weight_decay": weight_decay,
    }
    array = make_data(kind, rows, features, net["seed"])
    ours, theirs, exact = (
        make_plan(m, array, outputs, net["seed"], scaling, threads=t, **recipe)
        for m, t in (
            (copy.deepcopy(model), threads),
            (copy.deepcopy(model), None),
            (copy.deepcopy(model).double(), None),
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEEPEST_ISA", isa)
        stats, state = run(NativeEngine(), ours, 10)
    their_stats, their_state = run(TorchEngine(), theirs, 10)
    run(TorchEngine(), exact, 10)

    scale = max(float(p.detach().abs().max()) for p in exact.model.parameters())
    slack = 4 * np.finfo(np.float32).eps * max(1.0, scale)
    error, their_error = (largest_error(p.model, exact.model) for p in (ours, theirs))
    assert error <= 2 * their_error + slack
    assert stats.rows == their_stats.rows
    assert stats.loss == pytest.approx(their_stats.loss, rel=1e-4, abs=1e-6)
    assert abs(stats.correct - their_stats.correct) <= max(1, stats.rows // 100)
    assert state.keys() == their_state.keys()
    for name in state:
        assert torch.allclose(
            state[name]["momentum"], their_state[name]["momentum"], rtol=1e-3, atol=1e-5
        )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_one_step_and_the_first_hundred_losses_are_pytorchs(isa, activation, monkeypatch):
    monkeypatch.setenv("STEEPEST_ISA", isa)
    model = build([37, 33, 19, 5], activation, 1)
    array = make_data("floats", 320, 37, 2)
    ours, theirs = (
        make_plan(copy.deepcopy(model), array, 5, 3, batch_size=32, lr=0.1) for _ in range(2)
    )
    first, second = NativeEngine(), TorchEngine()
    first.load(ours)
    second.load(theirs)
    for step in range(100):
        loss, their_loss = first.advance([0.1]).loss, second.advance([0.1]).loss
        assert loss == pytest.approx(their_loss, rel=1e-4), step
        if step == 0:
            first.export()
            for p, q in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
                assert torch.allclose(p, q, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=15, deadline=None)
@given(
    net=NETS,
    batch_size=st.sampled_from([1, 3, 32, 65]),
    kind=st.sampled_from(["floats", "bytes"]),
    momentum=st.sampled_from([0.0, 0.9]),
)
def test_the_number_of_threads_and_of_calls_changes_no_bit(isa, net, batch_size, kind, momentum):
    model = build([40, *net["widths"], 3], net["activation"], net["seed"], bias=net["bias"])
    array = make_data(kind, 120, 40, net["seed"])
    results = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEEPEST_ISA", isa)
        for threads, calls in ((1, [24]), (2, [24]), (3, [1] * 24), (5, [7, 17])):
            plan = make_plan(
                copy.deepcopy(model),
                array,
                3,
                1,
                batch_size=batch_size,
                momentum=momentum,
                threads=threads,
            )
            engine = NativeEngine()
            engine.load(plan)
            stats = [engine.advance([0.1] * n) for n in calls]
            engine.export()
            results.append((bits(plan.model), sum(s.correct for s in stats)))
    assert all(result == results[0] for result in results[1:])


# Of single rows the weights of layer 1 are read for the next row as they move, but for the last row of a call.
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", ["floats", "bytes", "zeros"])
@pytest.mark.parametrize(
    "recipe",
    [
        {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
        {"weight_decay": 1e-3},
        {"momentum": 0.9, "epochs": 4, "ema": 0.9},
        {"optimizer": "adam"},
        {"momentum": 0.9, "clip_norm": 1.0},
        {"momentum": 0.9, "flip": True, "shift": 2, "crop": 1},
        {"momentum": 0.9, "mixup": 0.4},
    ],
    ids=lambda recipe: " ".join(recipe),
)
def test_of_single_rows_the_number_of_calls_changes_no_bit(isa, kind, recipe, monkeypatch):
    monkeypatch.setenv("STEEPEST_ISA", isa)
    model = build([35, 150, 3], nn.ReLU(), 0)
    array = make_data("floats", 30, 35, 0).reshape(30, 1, 5, 7)
    if kind != "floats":  # with many zeros, which without momentum are skipped, or with none
        array = np.random.default_rng(0).integers(1, 256, array.shape, dtype=np.uint8)
        array[np.random.default_rng(1).random(array.shape) < 0.7 * (kind == "zeros")] = 0
    results = []
    for calls in ([40], [1] * 40, [7, 33]):
        plan = make_plan(copy.deepcopy(model), array, 3, 0, batch_size=1, lr=0.01, **recipe)
        engine = NativeEngine()
        engine.load(plan)
        stats = [engine.advance([0.01] * n) for n in calls]
        engine.export()
        losses = [loss for one in stats for loss in one.step_losses]
        results.append((bits(plan.model), losses))
    assert results[0] == results[1] == results[2]


# Matrices beyond the second cache by few rows and by more, sums over several pieces of the minibatch, many rows; of
# few rows (rowwise.h) such whose columns and whose rows of W fill no vector.
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("widths", "batch_size"),
    [
        ([9, 800, 700, 3], 5),
        ([9, 800, 700, 3], 70),
        ([90, 301, 270, 7], 300),
        ([70, 70, 1100], 599),
        ([9, 45, 70, 3], 2),
        ([9, 107, 333, 3], 10),
    ],
)
@pytest.mark.parametrize("recipe", [{"momentum": 0.9}, {"clip_norm": 1.0}])
def test_nets_and_minibatches_beyond_the_caches(isa, widths, batch_size, recipe, monkeypatch):
    monkeypatch.setenv("STEEPEST_ISA", isa)
    model = build(widths, nn.Tanh(), 0)
    array = make_data("floats", 2 * batch_size, widths[0], 0)
    plans = [
        make_plan(
            m, array, widths[-1], 0, lr=0.02, batch_size=batch_size, threads=threads, **recipe
        )
        for m, threads in (
            (copy.deepcopy(model), 1),
            (copy.deepcopy(model), 3),
            (copy.deepcopy(model), None),
            (copy.deepcopy(model).double(), None),
        )
    ]
    engines = (NativeEngine(), NativeEngine(), TorchEngine(), TorchEngine())
    for engine, plan in zip(engines, plans, strict=True):
        run(engine, plan, 3)
    one, three, theirs, exact = (plan.model for plan in plans)
    assert bits(one) == bits(three)
    slack = 4 * np.finfo(np.float32).eps
    assert largest_error(one, exact) <= 2 * largest_error(theirs, exact) + slack


@pytest.mark.parametrize("second", [NativeEngine, TorchEngine])
@pytest.mark.parametrize("first", [NativeEngine, TorchEngine])
def test_a_run_moves_from_one_engine_to_the_other_in_mid_epoch(first, second):
    model = build([20, 17, 3], nn.Tanh(), 0)
    array = make_data("floats", 90, 20, 0)
    settings_ = {"batch_size": 16, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}
    whole = make_plan(copy.deepcopy(model), array, 3, 0, **settings_)
    run(second(), whole, 20)
    halves = make_plan(copy.deepcopy(model), array, 3, 0, **settings_)
    _, state = run(first(), halves, 8)
    engine = second()
    engine.load(halves, state, step=8)
    engine.advance([halves.recipe.base_lr] * 12)
    engine.export()
    if first is second:
        assert bits(whole.model) == bits(halves.model)
    for p, q in zip(whole.model.parameters(), halves.model.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-4, atol=1e-6)


def test_rates_may_differ_at_each_step():
    model = build([9, 8, 3], nn.ReLU(), 0)
    array = make_data("floats", 50, 9, 0)
    rates = np.linspace(0.5, 0.01, 30).tolist()
    plans = [make_plan(copy.deepcopy(model), array, 3, 0, batch_size=8) for _ in range(2)]
    run(NativeEngine(), plans[0], 30, rates=rates)
    run(TorchEngine(), plans[1], 30, rates=rates)
    for p, q in zip(*(plan.model.parameters() for plan in plans), strict=True):
        assert torch.allclose(p, q, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["floats", "bytes"])
@pytest.mark.parametrize("activation", [nn.Tanh(), nn.Sigmoid(), nn.ReLU(), nn.GELU()], ids=repr)
def test_layer_statistics_are_those_of_the_torch_engine(kind, activation):
    model = build([30, 21, 3], activation, 0, ours=True)
    array = make_data(kind, 90, 30, 0)
    layers = []
    for engine in (NativeEngine(), TorchEngine()):
        plan = make_plan(
            copy.deepcopy(model), array, 3, 0, batch_size=32, momentum=0.5, weight_decay=0.01
        )
        layers.append(run(engine, plan, 4, statistics=True)[0].layers)
    for ours, theirs in zip(*layers, strict=True):
        assert ours.name == theirs.name
        for field in (
            "weight_norm",
            "gradient_norm",
            "update_ratio",
            "activation_mean",
            "activation_std",
            "inactive",
        ):
            found, expected = getattr(ours, field), getattr(theirs, field)
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-6), field


def test_statistics_change_no_bit():
    model = build([30, 21, 3], nn.ReLU(), 0)
    array = make_data("bytes", 90, 30, 0)
    plans = [make_plan(copy.deepcopy(model), array, 3, 0, batch_size=1) for _ in range(2)]
    for plan, statistics in zip(plans, (True, False), strict=True):
        run(NativeEngine(), plan, 40, statistics=statistics)
    assert bits(plans[0].model) == bits(plans[1].model)


def test_many_trainings_at_once_are_those_of_each_alone():
    array = make_data("floats", 200, 20, 0)
    models = [build([20, 16, 3], nn.Tanh(), seed) for seed in range(7)]
    alone = [
        make_plan(copy.deepcopy(m), array, 3, 0, threads=1, lr=0.01 * (i + 1))
        for i, m in enumerate(models)
    ]
    for plan in alone:
        run(NativeEngine(), plan, 20)
    together = [
        replace(plan, model=copy.deepcopy(m)) for plan, m in zip(alone, models, strict=True)
    ]
    engines = []
    for plan in together:
        engines.append(NativeEngine())
        engines[-1].load(plan)
    stats = advance_many(engines, [[plan.recipe.base_lr] * 20 for plan in together], workers=3)
    for engine in engines:
        engine.export()
    assert [s.steps for s in stats] == [20] * 7
    assert [bits(p.model) for p in together] == [bits(p.model) for p in alone]
    with pytest.raises(ValueError, match="2 lists for 7 engines"):
        advance_many(engines, [[0.1], [0.1]])


def test_row_numbers_of_any_kind_are_kept_as_long_as_they_are_needed():
    model = build([9, 8, 3], nn.ReLU(), 0)
    array = make_data("floats", 400, 9, 0)
    every_second = np.arange(400, dtype=np.int64)[::2]
    spread = make_plan(copy.deepcopy(model), array, 3, 0, rows=every_second)
    plain = replace(spread, model=copy.deepcopy(model))
    plain = replace(plain, inputs=replace(plain.inputs, rows=every_second.copy()))
    for each in (spread, plain):
        engine = NativeEngine()
        engine.load(each)
        litter = [np.full(200, 2**40 + i) for i in range(100)]  # would lie where a copy was freed
        engine.advance([0.1] * 20)
        engine.export()
        del litter
    assert bits(spread.model) == bits(plain.model)


def test_rows_that_do_not_touch_are_read_where_they_lie():
    model = build([9, 8, 3], nn.ReLU(), 0)
    plan = make_plan(model, make_data("floats", 40, 9, 0), 3, 0)
    larger = np.zeros((80, 13), dtype=np.float32)
    larger[::2, 1:-3] = plan.inputs.array
    spread = replace(plan.inputs, array=larger[::2, 1:-3])
    apart = replace(plan, model=copy.deepcopy(model), inputs=spread)
    for each in (plan, apart):
        run(NativeEngine(), each, 20)
    assert bits(plan.model) == bits(apart.model)


def test_rows_of_a_memory_map_and_of_a_split_are_read_where_they_lie(tmp_path):
    array = make_data("bytes", 200, 24, 0)
    np.save(tmp_path / "x.npy", array)
    rows = np.sort(np.random.default_rng(0).permutation(200)[:120])
    model = build([24, 12, 3], nn.ReLU(), 0)
    mapped, copied = (
        make_plan(copy.deepcopy(model), a, 3, 0, rows=r)
        for a, r in ((np.load(tmp_path / "x.npy", mmap_mode="r"), rows), (array[rows], None))
    )
    assert isinstance(mapped.inputs.array, np.memmap)
    for plan in (mapped, copied):
        run(NativeEngine(), plan, 20)
    assert bits(mapped.model) == bits(copied.model)


def test_the_interpreter_goes_on_while_it_trains():
    plan = make_plan(build([50, 64, 3], nn.ReLU(), 0), make_data("floats", 2000, 50, 0), 3, 0)
    engine = NativeEngine()
    engine.load(plan)
    done = threading.Event()
    worker = threading.Thread(target=lambda: (engine.advance([0.01] * 20_000), done.set()))
    worker.start()
    ticks = 0
    while not done.wait(0.001):
        ticks += 1
    worker.join()
    assert ticks > 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_it_runs_after_a_fork():
    model = build([100, 128, 3], nn.ReLU(), 0)
    array = make_data("floats", 500, 100, 0)
    plan = make_plan(copy.deepcopy(model), array, 3, 0, batch_size=128, threads=2)
    engine = NativeEngine()
    engine.load(plan)
    engine.advance([0.1] * 10)
    child = os.fork()
    if child == 0:
        engine.advance([0.1] * 10)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


class Mine(nn.Linear):
    pass


def frozen():
    model = build([6, 5, 3], nn.ReLU(), 0)
    model[1].bias.requires_grad_(False)
    return model


def hooked():
    model = build([6, 5, 3], nn.ReLU(), 0)
    model[2].register_forward_hook(lambda *_: None)
    return model


def tied():
    model = build([6, 6, 6, 3], nn.ReLU(), 0)
    model[3].weight = model[1].weight
    return model


@pytest.mark.parametrize(
    ("model", "obstacle"),
    [
        (
            nn.Sequential(Mine(6, 3)),
            "module '0' (Mine) has a forward that calls linear",
        ),
        (
            nn.Sequential(nn.Linear(6, 4), nn.Sequential(nn.AlphaDropout(), nn.Linear(4, 3))),
            "module '1.0' (AlphaDropout) is not among",
        ),
        (
            nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, momentum=None), nn.Linear(4, 3)),
            "module '1' (BatchNorm1d) keeps no running statistics, or their plain mean",
        ),
        (
            nn.Sequential(nn.Linear(6, 4), sp.Residual(nn.Linear(4, 5)), nn.Linear(5, 3)),
            "module '1' (Residual) has a block that gives rows of shape (5,) for (4,)",
        ),
        (
            nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4, bias=False), nn.Linear(4, 3)),
            "module '1' (LayerNorm) has a weight and no bias",
        ),
        (build([6, 3], nn.ReLU(), 0).double(), "module '1' (Linear) has a weight of torch.float64"),
        (frozen(), "module '1' (Linear) has a frozen bias"),
        (hooked(), "module '2' (ReLU) has hooks"),
        (tied(), "'1.weight' and '3.weight' share memory"),
    ],
)
def test_what_it_does_not_run_it_declines_in_one_line(model, obstacle):
    plan = make_plan(model, make_data("floats", 20, 6, 0), 3, 0)
    found = native_obstacle(plan)
    assert found.startswith(obstacle)
    choice = choose(plan)
    assert choice.engine.name == "torch"
    assert choice.reason == f"not native: {found}"
    with pytest.raises(EngineError, match="the native engine cannot run this plan"):
        choose(replace(plan, recipe=plan.recipe.replace(engine="native")))


def test_data_that_it_cannot_read_are_declined():
    model = build([6, 3], nn.ReLU(), 0)
    plan = make_plan(model, make_data("floats", 20, 6, 0), 3, 0)
    tokens = replace(plan.inputs, array=np.ones((20, 6), dtype=np.int64))
    assert native_obstacle(replace(plan, inputs=tokens)).startswith("the inputs are int64")
    columns = replace(plan.inputs, array=make_data("floats", 20, 12, 0)[:, ::2])
    assert native_obstacle(replace(plan, inputs=columns)).startswith(
        "the rows of the inputs do not lie in one piece"
    )


def test_a_whole_run_is_the_same_on_both_engines(blobs):
    runs = {
        engine: sp.train(None, blobs, hidden=(8,), epochs=3, seed=1, engine=engine, progress="none")
        for engine in ("native", "torch")
    }
    assert runs["native"].info["engine"] == "native"
    first, second = (run.history for run in runs.values())
    for column in ("train_loss", "val_loss", "train_acc", "val_acc"):
        assert np.allclose(first[column], second[column], rtol=1e-4, atol=1e-6), column


def test_over_seeds_both_engines_reach_the_same_accuracy():
    data = sp.load_data("digits")
    results = {
        engine: [
            sp.train(
                None,
                data,
                hidden=(32,),
                epochs=5,
                seed=seed,
                engine=engine,
                test=0.3,
                validation=0.0,
                progress="none",
            )
            .scores["test"]
            .accuracy
            for seed in range(10)
        ]
        for engine in ("native", "torch")
    }
    native_mean, torch_mean = (np.mean(found) for found in results.values())
    spread = np.std(results["torch"], ddof=1) / np.sqrt(10)
    assert abs(native_mean - torch_mean) < 3 * spread
