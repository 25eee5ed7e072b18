"""What a run predicts for its held-out rows: a program of its own, for it needs torch.

    python -m steepest.board.predictions FOLDER

Prints one JSON object: the evaluation and the most confident mistakes, or why there are none.
"""

from pathlib import Path
from typing import Any

import numpy as np

from steepest.board.programs import tell
from steepest.classifier.mistakes import Mistake, columns_of, most_confident_mistakes, picture
from steepest.run import load_run

_MISTAKES, _PIXELS, _TEXT = 12, 64, 80
# A matrix of more classes than one sees is of no use on a page.
_MOST_CLASSES = 100


def predictions(folder: Path) -> dict[str, Any]:
    """The evaluation of a run on its test part, else its validation part, as plain values."""
    run = load_run(folder)
    part, rows = run.held_out()
    evaluation = run.classifier.evaluate(rows, target=run.recipe.target)
    told = evaluation.to_dict()
    if len(evaluation.classes) > _MOST_CLASSES:
        told["confusion"] = None
    mistakes = (
        []
        if evaluation.multilabel
        else most_confident_mistakes(run.classifier, rows, count=_MISTAKES)
    )
    return {"part": part, **told, "mistakes": [_plain(one) for one in mistakes]}


def _plain(mistake: Mistake) -> dict[str, Any]:
    image = picture(mistake.inputs)
    columns = {} if image is not None else columns_of(mistake.inputs)
    return {
        "row": mistake.row,
        "true": mistake.true,
        "predicted": mistake.predicted,
        "probability": mistake.probability,
        "true_probability": mistake.true_probability,
        "columns": {str(k)[:_TEXT]: v[:_TEXT] for k, v in columns.items()},
        "pixels": None if image is None else _pixels(image),
    }


def _pixels(image: np.ndarray[Any, Any]) -> list[Any]:
    """An image as rows of levels from 0 to 255, or of three of them; large ones by every n-th."""
    every = -(-max(image.shape[:2]) // _PIXELS)
    levels: list[Any] = (image[::every, ::every] * 255).round().astype(int).tolist()
    return levels


if __name__ == "__main__":
    tell(predictions)
