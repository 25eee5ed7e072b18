"""Classifier: a trained net with its preprocessing and class names; what a run gives back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from steepest.classifier.evaluation import (
    Evaluation,
    evaluate_labels,
    evaluate_probabilities,
    require_metrics,
)
from steepest.data import Classes, Inputs, PreparedPart, Preprocessing, Samples, load_rows
from steepest.engine import forward, input_dtype, reference_parameter, require_taken
from steepest.errors import ModelError, SteepestWarning, TargetError, warn
from steepest.objective import Objective, TrainingLoss


@dataclass(frozen=True)
class Score:
    """Loss and accuracy over some rows, in evaluation mode.

    Attributes:
        rows: How many rows.
        loss: Their mean cross entropy, in nats.
        accuracy: The share that is predicted rightly.
    """

    rows: int
    loss: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Classifier:
    """Rows in, class labels out: encoder, scaler, net and class names in one.

    Attributes:
        model: The user's own torch.nn.Module, trained in place.
        objective: What its outputs are, logits or probabilities, and of which task.
        preprocessing: How rows are encoded and scaled, as the training rows taught.
        classes: What the C class indices stand for.
    """

    model: nn.Module
    objective: Objective
    preprocessing: Preprocessing
    classes: Classes

    def predict(self, rows: Any) -> NDArray[Any]:
        """The likeliest class of each row.

        Args:
            rows: N rows: an array (N, ...), a data frame, a path, or Samples; they are prepared as
                in training.

        Returns:
            (N,) labels as they were given; where rows may have several classes, (N, K) of 0 and 1,
            1 for each class above probability 1/2.

        Raises:
            DataError: The rows are unlike those of the training.
            ModelError: The model gives NaN.
        """
        return self.classes.decode(self.objective.decide(self.predict_proba(rows)))

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """The probability of each class.

        Args:
            rows: As for `predict`.

        Returns:
            (N, C) float64, columns in the order of `classes`; each row sums to 1 unless rows may
            have several classes.

        Raises:
            DataError: The rows are unlike those of the training.
            ModelError: The model gives NaN.
        """
        probabilities: NDArray[np.float64] = self.objective.probabilities(
            self._read_outputs(rows)
        ).numpy()
        _require_numbers(np.isnan(probabilities))
        return probabilities

    def logits(self, rows: Any) -> NDArray[np.float64]:
        """The logits of each row.

        Args:
            rows: As for `predict`.

        Returns:
            (N, C) float64, or (N,) for a model of one output; the logits of the probabilities
            where the model gives these.

        Raises:
            DataError: The rows are unlike those of the training.
            ModelError: The model gives NaN.
        """
        outputs = self._read_outputs(rows).double()
        if self.objective.outputs == "probabilities":
            tiny = torch.finfo(torch.float32).tiny
            outputs = outputs.clamp(min=tiny).log()
            if self.objective.kind != "multiclass":
                outputs = outputs - (1 - outputs.exp()).clamp(min=tiny).log()
        _require_numbers(outputs.isnan().numpy())
        found: NDArray[np.float64] = outputs.numpy()
        return found.reshape(-1) if self.objective.kind == "binary" else found

    def _read_outputs(self, rows: Any) -> Tensor:
        samples = self.read(rows)
        inputs = self.preprocessing.prepare(samples, input_dtype(self.model))
        _warn(inputs)
        return self._forward(inputs, samples)

    def score(self, samples: Any, y: Any = None, *, target: str | None = None) -> float:
        """The accuracy on labelled rows, as scikit-learn's classifiers have it.

        Args:
            samples: As for `evaluate`.
            y: As for `evaluate`.
            target: As for `evaluate`.

        Returns:
            The share of rows that are predicted rightly, with all their classes.
        """
        outputs, targets = self._outputs(samples, y, target)
        return float(self.objective.right(outputs, torch.from_numpy(targets)).double().mean())

    def evaluate(self, samples: Any, y: Any = None, *, target: str | None = None) -> Evaluation:
        """Loss, accuracy and the rest on labelled rows.

        Args:
            samples: N rows: Samples, (X, y), a path, a frame; or the rows alone.
            y: Their labels, (N,) or (N, K), where `samples` are the rows alone.
            target: The column that holds the class.

        Raises:
            TargetError: There are no labels, or one that training never saw.
            ModelError: The model's outputs are not finite.
            MissingExtra: scikit-learn is not installed.
        """
        require_metrics()
        outputs, targets = self._outputs(samples, y, target)
        evaluate = evaluate_labels if self.classes.multilabel else evaluate_probabilities
        return evaluate(
            self.objective.probabilities(outputs).numpy(),
            targets,
            self._loss(outputs, targets),
            self.classes.names,
        )

    def _outputs(
        self, samples: Any, y: Any, target: str | None
    ) -> tuple[Tensor, NDArray[np.int64]]:
        """The model's outputs for labelled rows, (N, ...), and their targets."""
        source = samples if y is None else (samples, y)
        rows = self.read(source, target=target, labelled=True)
        inputs, targets, _ = self.prepare(rows)
        _warn(inputs)
        outputs = self._forward(inputs, rows)
        _require_numbers(~outputs.isfinite().numpy())
        return outputs, targets

    def _forward(self, inputs: Inputs, samples: Samples) -> Tensor:
        """The model's outputs. Raises DataError naming a row whose values it looks up in vain."""
        where = (self.model, inputs, samples.source, samples.rows)
        if inputs.array.dtype == np.int64 and reference_parameter(self.model).device.type != "cpu":
            require_taken(*where)  # there a look-up in vain ends the use of the device
        try:
            return forward(self.model, inputs)
        except (IndexError, RuntimeError):
            require_taken(*where)
            raise

    def measure(
        self,
        inputs: Inputs,
        targets: NDArray[np.int64],
        weights: NDArray[np.float32] | None = None,
    ) -> Score:
        """Loss and accuracy alone, on prepared rows: what training asks after each epoch.

        Args:
            inputs: N rows, as `prepare` gives them.
            targets: (N,) or (N, C) int64.
            weights: (N,), how much each row counts in both means; None for 1.
        """
        of_rows = None if weights is None else torch.from_numpy(weights)
        outputs = forward(self.model, inputs)
        return score_of(self.objective, outputs, torch.from_numpy(targets), of_rows)

    def confusion(self, inputs: Inputs, targets: NDArray[np.int64]) -> Tensor | None:
        """Counts of rows by true and by decided class.

        Args:
            inputs: N rows, as `prepare` gives them.
            targets: (N,) int64.

        Returns:
            (C, C) int64, rows are true classes; None where rows may have several.
        """
        if targets.ndim != 1:
            return None
        C = len(self.classes)
        probabilities = self.objective.probabilities(forward(self.model, inputs))
        decided = self.objective.decide(probabilities.numpy())
        return torch.bincount(torch.from_numpy(targets * C + decided), minlength=C * C).reshape(
            C, C
        )

    def read(self, rows: Any, *, target: str | None = None, labelled: bool = False) -> Samples:
        """The rows of any source in the form of training, neither encoded nor scaled.

        Args:
            rows: As for `predict` or, with labels, for `evaluate`.
            target: The column that holds the class.
            labelled: Whether labels are needed.

        Raises:
            DataError: The source cannot be read.
        """
        trained = self.preprocessing
        return load_rows(
            rows,
            target=target,
            labelled=labelled,
            image_size=trained.shape[1:] if len(trained.shape) == 3 else None,
            as_table=trained.encoder is not None,
            columns=trained.columns,
        )

    def prepare(self, samples: Samples) -> PreparedPart:
        """The rows as the net takes them, with their class indices and weights.

        Args:
            samples: N labelled rows, as `read` gives them.

        Raises:
            DataError: The rows are unlike those of the training.
            TargetError: There are no labels, or one that training never saw.
        """
        inputs = self.preprocessing.prepare(samples, input_dtype(self.model))
        return PreparedPart(inputs, self.targets(samples), samples.weights)

    def targets(self, samples: Samples) -> NDArray[np.int64]:
        """The class indices of labelled rows.

        Args:
            samples: N labelled rows.

        Returns:
            (N,) int64; (N, C) of 0 and 1 where rows may have several classes.

        Raises:
            TargetError: There are no labels, or one that training never saw.
        """
        if samples.labels is None:
            raise TargetError(f"{samples.source} has no labels, and they are needed here")
        return self.classes.encode(samples.labels, samples.source, samples.label_columns)

    def _loss(self, outputs: Tensor, targets: NDArray[np.int64]) -> float:
        return float(self.objective.loss(outputs.double(), torch.from_numpy(targets)))


def score_of(
    objective: Objective, outputs: Tensor, targets: Tensor, weights: Tensor | None = None
) -> Score:
    """Loss and accuracy of outputs.

    Args:
        objective: What the outputs are.
        outputs: (N, ...).
        targets: (N,) or (N, C) int64.
        weights: (N,), how much each row counts in both means; None for 1.
    """
    right = objective.right(outputs, targets).double()
    if weights is None:
        loss = objective.loss(outputs.double(), targets)
        return Score(len(targets), float(loss), float(right.mean()))
    share = weights.double() / weights.double().sum()
    # Without settings the training's loss is the plain one, of which it has the weighted mean.
    classes = 2 if objective.kind == "binary" else outputs.shape[1]
    total = TrainingLoss(objective, classes).total(outputs.double(), targets, weights=share)
    return Score(len(targets), float(total), float(right @ share))


def scores_of(
    objective: Objective, outputs: Tensor, targets: Tensor, weights: Tensor | None = None
) -> list[Score]:
    """What `score_of` gives for the same rows by each of K nets.

    Args:
        objective: What the outputs are.
        outputs: (K, N, ...).
        targets: As for `score_of`.
        weights: As for `score_of`.
    """
    if weights is not None:
        return [score_of(objective, own, targets, weights) for own in outputs]
    right = objective.predictions(outputs.flatten(0, 1)).view(len(outputs), *targets.shape)
    right = right == targets
    shares = (right if right.ndim == 2 else right.all(dim=2)).double().mean(dim=1).tolist()
    numbers = targets if objective.kind == "multiclass" else targets.double()
    return [
        Score(len(targets), float(objective.loss(own, numbers)), share)
        for own, share in zip(outputs.double(), shares, strict=True)
    ]


def _require_numbers(broken: NDArray[np.bool_]) -> None:
    """Raise ModelError where any output of a row is broken. broken: (N, ...)."""
    rows = int(broken.reshape(len(broken), -1).any(axis=1).sum())
    if rows:
        raise ModelError(
            f"the model's outputs are not finite for {rows} of {len(broken)} rows: its training "
            "has diverged, its weights are damaged, or the rows are far from those of the training"
        )


def _warn(inputs: Inputs) -> None:
    """Tell of what was met in these rows and not in training."""
    for note in inputs.notes:
        warn(note, SteepestWarning)
