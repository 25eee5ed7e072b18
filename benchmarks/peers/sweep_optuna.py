"""Optuna: its own loop with random points, in memory and with a journal that survives a kill."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from peers.sweep_sklearn import train
from peers.sweep_task import Task

RUNS = 200


def contestants(task: Task) -> dict[str, Callable[[int], float]]:
    """By where trials are written and how many threads there are."""
    return {
        f"{where}, {threads} threads": partial(_train_all, task, where, threads)
        for where in ("memory", "journal")
        for threads in (1, os.cpu_count() or 1)
    }


def _train_all(task: Task, where: str, threads: int, runs: int) -> float:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        journal = JournalStorage(JournalFileBackend(str(Path(folder, "journal.log"))))
        study = optuna.create_study(
            storage=journal if where == "journal" else None,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        study.optimize(
            lambda trial: train(task, trial.suggest_float("lr", 0.01, 0.1, log=True), trial.number),
            n_trials=runs,
            n_jobs=threads,
        )
        return float(np.mean([trial.value for trial in study.trials]))
