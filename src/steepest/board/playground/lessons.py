"""Looks behind a playground's numbers: the ledger of a step, the loss around the path, health."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from steepest.board.playground.playground import Playground
from steepest.classifier import Score
from steepest.errors import HealthError, ModelError
from steepest.explain.backprop.ledger import backprop
from steepest.explain.backprop.pages import mathml
from steepest.explain.backprop.text import verdict
from steepest.explain.descent.surface import surface
from steepest.explain.numbers import cells
from steepest.health import Finding
from steepest.training import train

# Rows of the minibatch that a ledger follows, and states of a path that are drawn.
_LEDGER_ROWS, _PATH_STATES = 4, 400
# A check of health trains so long at most.
_SECONDS, _EPOCHS = 8.0, 100


def ledger_of(playground: Playground) -> dict[str, Any]:
    """Backpropagation of the first rows of the next minibatch, by hand and by autograd.

    Returns:
        title, rows (of all points), verdict, and entries: name, formula as MathML, plain,
        dimensions, phase, module, note, difference and the numbers as text, row by row.
    """
    with playground.lock, torch.inference_mode(False), torch.enable_grad():
        lane = playground.lanes[0]
        batch = lane.batch[:_LEDGER_ROWS]
        if not len(batch):
            batch = np.arange(min(_LEDGER_ROWS, lane.plan.rows))
        x, y = lane.view.parts["train"]
        kind = lane.plan.objective.kind
        found = backprop(lane.model, x[batch], y[batch].numpy(), task=kind)
        return {
            "title": found.title,
            "loss": found.loss,
            "verdict": verdict(found.entries),
            "entries": [
                {
                    "name": entry.name,
                    "formula": mathml(entry.formula or entry.symbol),
                    "plain": entry.plain,
                    "dimensions": entry.dimensions,
                    "phase": entry.phase,
                    "module": entry.module,
                    "note": entry.note,
                    "agrees": entry.agrees,
                    "difference": entry.difference,
                    "cells": [list(row) for row in cells(entry.value)],
                }
                for entry in found
            ],
        }


def surface_of(playground: Playground) -> dict[str, Any]:
    """The loss over the plane that holds most of the lanes' paths, and the paths in it.

    Returns:
        us, vs: coordinates. losses: (G, G) of them. paths: of each lane, [u, v] at each state, and
        steps: of these states. labels: of the axes.

    Raises:
        ModelError: Nothing has moved yet, or the lanes' nets differ.
    """
    with playground.lock, torch.inference_mode(False), torch.no_grad():
        lanes = playground.lanes
        kept = [lane.path(_PATH_STATES) for lane in lanes]
        if len({lane.shape for lane in lanes}) > 1:
            raise ModelError("lanes of different nets have no common space of weights to draw")
        if all(len(weights) < 2 for _, weights in kept):
            raise ModelError("no step has been taken yet: there is no path to draw")
        found = surface(lanes[0].plan, [weights for _, weights in kept])
        if found is None:
            raise ModelError("a net of one weight has no plane to draw")
        return {
            "us": found.us.tolist(),
            "vs": found.vs.tolist(),
            "losses": [[_finite(v) for v in row] for row in found.losses.tolist()],
            "paths": [np.round(path, 5).tolist() for path in found.paths],
            "steps": [steps for steps, _ in kept],
            "labels": list(found.labels),
        }


def health_of(playground: Playground) -> dict[str, Any]:
    """What steepest's own check and watch say of the first lane's training, from its beginning.

    Returns:
        findings as plain data, the status of that training ("not begun" where the check refused
        it), and its accuracy and loss.
    """
    recipe = playground.chosen.recipes[0]
    recipe = recipe.replace(
        epochs=min(recipe.epochs, _EPOCHS), time_limit=_SECONDS, check=True, target="class"
    )
    try:
        run = train(None, playground.frame, recipe, progress="none")
    except HealthError as error:
        return _told(error.findings, "not begun", None)
    return _told(run.findings, run.status, run.scores.get("validation") or run.scores.get("train"))


def _told(findings: Iterable[Finding], status: str, score: Score | None) -> dict[str, Any]:
    return {
        "findings": [finding.to_dict() for finding in findings],
        "status": status,
        "accuracy": None if score is None else _finite(score.accuracy),
        "loss": None if score is None else _finite(score.loss),
    }


def _finite(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None
