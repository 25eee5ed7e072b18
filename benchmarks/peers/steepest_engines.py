"""steepest's engines; the native one on as many threads as it chooses, or as it is told."""

from collections.abc import Callable
from dataclasses import replace

import torch

import steepest as sp
from peers.torch_loops import net
from steepest.data import Preprocessing
from steepest.engine import Engine, Plan, TorchEngine
from steepest.engine.native import NativeEngine, advance_many
from steepest.objective import Objective
from workloads import Workload


def plan(
    workload: Workload, threads: int | None, seed: int = 0, *, precision: str = "float32"
) -> Plan:
    samples = sp.Samples(workload.inputs, workload.targets, "benchmark")
    inputs = Preprocessing.fit(samples, "pixels").prepare(samples)
    recipe = sp.Recipe(
        lr=workload.lr,
        momentum=workload.momentum,
        batch_size=workload.batch_size,
        threads=threads,
        seed=seed,
        precision=precision,
    )
    return Plan(net(workload), Objective("multiclass"), inputs, workload.targets, recipe)


def epoch(
    workload: Workload,
    threads: int | None = None,
    kind: Callable[[], Engine] = NativeEngine,
) -> Callable[[], float]:
    first = plan(workload, threads)

    def run() -> float:
        ready = replace(first, model=net(workload))
        engine = kind()
        engine.load(ready)
        stats = engine.advance([workload.lr] * ready.steps_per_epoch)
        engine.export()
        return stats.loss

    return run


def epoch_of_many(workload: Workload, models: int) -> Callable[[], float]:
    """That many trainings at once, one thread each."""
    plans = [plan(workload, 1, seed) for seed in range(models)]

    def run() -> float:
        engines = []
        for each in plans:
            engines.append(NativeEngine())
            engines[-1].load(replace(each, model=net(workload)))
        steps = [workload.lr] * plans[0].steps_per_epoch
        stats = advance_many(engines, [steps] * models)
        for engine in engines:
            engine.export()
        return sum(s.loss for s in stats) / models

    return run


def on_the_torch_engine(workload: Workload) -> Callable[[], float]:
    return epoch(workload, kind=TorchEngine)


def on_one_thread(workload: Workload) -> Callable[[], float]:
    return epoch(workload, 1)


def on_two_threads(workload: Workload) -> Callable[[], float]:
    return epoch(workload, min(2, torch.get_num_threads()))
