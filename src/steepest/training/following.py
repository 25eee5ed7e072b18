"""Training in several processes: the first worker has the loop, the others follow what it tells.

A follower loads and encodes the data itself, and then takes the steps that the first worker takes
(`steepest.engine.workers`). It writes and shows nothing; at the end it has the same weights and
record. Where the first worker fails, all end with its message; where another one is gone, the first
one ends with a WorkerError, and the run goes on from its last checkpoint.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from steepest.engine import TorchEngine, Workers, choose_shared, load_told
from steepest.errors import DataError, WorkerError
from steepest.recipe import Recipe
from steepest.run import Record, Run
from steepest.training.checkpoint import Checkpoint, fingerprint, pack, unpack
from steepest.training.interrupt import stop_request
from steepest.training.preparation import Preparation
from steepest.training.weights import load_tensors, snapshot


@contextmanager
def leading(workers: Workers | None) -> Iterator[None]:
    """On the first worker: an error that ends the training is told to the others."""
    try:
        yield
    except BaseException as error:
        if workers is not None:
            with suppress(WorkerError):
                workers.tell({"do": "fail", "error": f"{error}".partition("\n")[0]})
        raise


def shared(
    prepared: Preparation, workers: Workers | None, checkpoint: Checkpoint | None = None
) -> Preparation:
    """The same with an engine whose steps all workers take; the others are told to prepare.

    Raises EngineError where they cannot.
    """
    if workers is None:
        return prepared
    choice = choose_shared(prepared.plan, workers)
    about: dict[str, Any] = {"do": "prepare", "data": fingerprint(prepared.parts["train"])}
    about["recipe"] = prepared.plan.recipe.replace(lr=prepared.lr).to_toml()
    tensors: dict[str, Tensor] = {}
    if checkpoint is not None:
        about["checkpoint"], tensors = pack(checkpoint)
    workers.tell(about, tensors)
    return replace(prepared, choice=choice)


def tell_end(workers: Workers | None, run: Run) -> None:
    """Give the others the run as it is at its end."""
    if workers is not None:
        workers.tell({"do": "end", "record": run.record.rows()}, snapshot(run.model))


def follow(
    workers: Workers,
    begin: Callable[[Recipe], Preparation],
    go_on: Callable[[Recipe, Checkpoint], Preparation],
) -> Run:
    """Take part in the training that the first worker leads; the run at its end, in memory.

    Args:
        workers: This one is not the first.
        begin: Prepares by a recipe.
        go_on: Prepares what a checkpoint goes on with.

    Raises:
        WorkerError: The training has failed elsewhere.
        DataError: The rows here are not those of the first worker.
    """
    prepared: Preparation | None = None
    engine = TorchEngine(workers)
    with stop_request():  # that the training should stop is the first worker's to say
        while True:
            about, tensors = workers.told()
            match about["do"]:
                case "fail":
                    raise WorkerError(f"the first worker has ended the training: {about['error']}")
                case "prepare":
                    recipe = Recipe.from_toml(about["recipe"], "the recipe of the first worker")
                    if "checkpoint" in about:
                        checkpoint = unpack(about["checkpoint"], tensors, "the checkpoint")
                        prepared = go_on(recipe, checkpoint)
                    else:
                        prepared = begin(recipe)
                    if fingerprint(prepared.parts["train"]) != about["data"]:
                        raise DataError(
                            f"the training rows of worker {workers.rank} are not those of the "
                            "first worker: all must be given the same data"
                        )
                case "load" if prepared is not None:
                    engine.load(
                        prepared.plan, load_told(prepared.plan.model, tensors), about["step"]
                    )
                case "advance":
                    engine.advance(about["rates"], statistics=about["statistics"])
                case "end" if prepared is not None:
                    with torch.no_grad():
                        load_tensors(prepared.classifier.model, tensors)
                    return Run(
                        prepared.plan.recipe,
                        prepared.classifier,
                        Record.of_rows(about["record"]),
                        dataset=prepared.dataset,
                    )
