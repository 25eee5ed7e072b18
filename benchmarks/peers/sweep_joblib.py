"""joblib: runs of scikit-learn's net in processes or threads."""

import os
from collections.abc import Callable
from functools import partial

import numpy as np
from joblib import Parallel, delayed

from peers.sweep_sklearn import train
from peers.sweep_task import Task

RUNS = 400


def contestants(task: Task) -> dict[str, Callable[[int], float]]:
    """By where runs are trained."""
    return {kind: partial(_train_all, task, kind) for kind in ("loky", "threading")}


def _train_all(task: Task, kind: str, runs: int) -> float:
    jobs = (delayed(train)(task, lr, seed) for seed, lr in enumerate(task.rates(runs)))
    return float(np.mean(Parallel(os.cpu_count(), backend=kind)(jobs)))
