"""Ray Tune: a function for each trial, on a cluster of this machine."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import ray
from ray import tune

from peers.sweep_sklearn import train
from peers.sweep_task import Task

RUNS = 48


def contestants(task: Task) -> dict[str, Callable[[int], float]]:
    """One, with a core for each trial."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not ray.is_initialized():
        ray.init(
            num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": folder}},
        )  # fmt: skip

    def one(config: dict[str, Any]) -> None:
        tune.report({"loss": train(task, config["lr"], config["seed"])})

    def train_all(runs: int) -> float:
        rates = task.rates(runs)
        space = {"run": tune.grid_search(list(range(runs)))}
        wrapped = lambda c: one({"lr": float(rates[c["run"]]), "seed": c["run"]})  # noqa: E731
        results = tune.Tuner(
            tune.with_resources(wrapped, {"cpu": 1}),
            param_space=space,
            run_config=tune.RunConfig(verbose=0),
        ).fit()
        return float(np.mean([result.metrics["loss"] for result in results]))

    return {"a core each": train_all}
