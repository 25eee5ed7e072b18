"""TrainingLoss: the loss whose gradient is followed, where it is more than the mean cross entropy.

The target of a row puts the mass t_j on class j. Row i of class c, mixed with a row of class d:

t = (1 - s) (m w_c e_c + (1 - m) w_d e_d) + s / C w,   L_i = -sum_j t_j log p_j,

with label smoothing s, class weights w and the share m of the row's own target; the mean over a
minibatch is sum_i L_i / sum_i w_(c_i), as torch.nn.CrossEntropyLoss has it. Where rows have weights
v of their own it is sum_i v_i L_i / sum_i v_i w_(c_i). The binary case is the
softmax of (0, z). With several classes in a row each is a binary case of its own, its y smoothed to
(1 - s) y + s / 2, and the mean is over rows and classes, as torch.nn.BCEWithLogitsLoss has it.
A minibatch whose rows all weigh 0 has the loss 0 and no gradient; PyTorch divides by 0 there and
gives NaN. Evaluation never uses this: there the loss is the plain cross entropy, which can be
compared between recipes.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from steepest.errors import RecipeError, did_you_mean
from steepest.objective.losses import LEAST_LOG
from steepest.objective.objective import Objective
from steepest.recipe import Recipe


@dataclass(frozen=True, eq=False)
class TrainingLoss:
    """The loss of a minibatch in training.

    Attributes:
        objective: What the model's outputs are.
        classes: C, their number.
        label_smoothing: Share of a target that is spread over all classes.
        class_weights: (C,), None for 1 each.
        pos_weight: Factor of the loss of rows of the second of two classes, outside the mean, as
            torch.nn.BCEWithLogitsLoss has it.
        focal_gamma: The exponent g of the focal loss L_i = w_c (1 - p_c)^g (-log p_c) (Lin et al.,
            ICCV 2017), None for cross entropy.
    """

    objective: Objective
    classes: int
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None
    pos_weight: float = 1.0
    focal_gamma: float | None = None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        objective: Objective,
        targets: NDArray[np.int64],
        names: tuple[str, ...] | None = None,
        sample_weights: NDArray[np.float32] | None = None,
    ) -> "TrainingLoss":
        """The loss that a recipe asks for.

        Args:
            recipe: Its loss, weights of classes and label smoothing.
            objective: What the model's outputs are.
            targets: (N,) or (N, C) of the training rows, for balanced weights.
            names: Of the classes; None names them 0, 1, ...
            sample_weights: (N,) of the rows, for balanced weights; None for 1 each.

        Raises:
            RecipeError: If a class weight has no class, or a class no weight.
        """
        if names is None:
            multilabel = objective.kind == "multilabel"
            count = targets.shape[1] if multilabel else max(2, int(targets.max(initial=0)) + 1)
            names = tuple(map(str, range(count)))
        if recipe.pos_weight is not None and objective.kind == "multiclass":
            raise RecipeError(
                "pos_weight weighs the second of two classes of a model with one logit, or the "
                "classes of task multilabel; use class_weight for this model",
                settings=("pos_weight",),
            )
        by_class = recipe.sampling != "weighted"
        return cls(
            objective,
            len(names),
            recipe.label_smoothing,
            class_weights(recipe, targets, names, sample_weights) if by_class else None,
            1.0 if recipe.pos_weight is None else recipe.pos_weight,
            recipe.focal_gamma if recipe.loss == "focal" else None,
        )

    @property
    def is_plain(self) -> bool:
        """Whether it is the objective's mean loss, as long as no rows are mixed."""
        return (
            self.label_smoothing == 0.0
            and self.class_weights is None
            and self.pos_weight == 1.0
            and self.focal_gamma is None
        )

    def weight_of(self, targets: Tensor, weights: Tensor | None = None) -> float:
        """What the mean over these rows divides by. targets: (N,) int64. weights: (N,), of rows."""
        counts = torch.ones(len(targets), dtype=torch.double)
        if self.class_weights is not None and self.objective.kind != "multilabel":
            counts = torch.tensor(self.class_weights).double()[targets.cpu()]
        return float((counts if weights is None else counts * weights.cpu().double()).sum())

    def __call__(
        self,
        outputs: Tensor,
        first: Tensor,
        second: Tensor | None = None,
        share: float = 1.0,
        weights: Tensor | None = None,
    ) -> Tensor:
        """The mean loss of a minibatch; a scalar.

        Args:
            outputs: (N, C), (N, 1) or (N,); of K members that share a net (N, K, C), whose loss is
                the mean of theirs.
            first: (N,) int64, the classes of the rows, or (N, C) of 0 and 1.
            second: The classes of the rows that are mixed in, likewise.
            share: What is taken of `first`; 1 - share is taken of `second`.
            weights: (N,), how much each row counts; None for 1.
        """
        if outputs.ndim == 3:
            return self(*_by_member(outputs, first, second, share, weights))
        if self.is_plain and second is None and weights is None:
            return self.objective.loss(outputs, first)
        multilabel = self.objective.kind == "multilabel"
        norm = outputs.new_ones(len(first)) if weights is None else weights.to(outputs.dtype)
        if self.class_weights is not None and not multilabel:
            norm = norm * outputs.new_tensor(self.class_weights)[first]
        total = self.total(outputs, first, second, share, weights)
        # Divided by infinity where it is 0: no loss, and no gradient.
        return total / torch.where(norm.sum() > 0, norm.sum(), torch.inf)

    def total(
        self,
        outputs: Tensor,
        first: Tensor,
        second: Tensor | None = None,
        share: float = 1.0,
        weights: Tensor | None = None,
    ) -> Tensor:
        """The sum over the rows, of which a mean over more rows can be made; a scalar.

        The arguments are those of a call.
        """
        if outputs.ndim == 3:
            members = outputs.shape[1]
            return self.total(*_by_member(outputs, first, second, share, weights)) / members
        if self.objective.kind == "multilabel":
            losses = self._of_labels(outputs, first, second, share)
        else:
            losses = self._of_classes(outputs, first, second, share)
        return (losses if weights is None else losses * weights.to(losses.dtype)).sum()

    def _of_classes(
        self, outputs: Tensor, first: Tensor, second: Tensor | None, share: float
    ) -> Tensor:
        """-sum_j t_j log p_j of each row, (N,)."""
        log_p = _log_probabilities(self.objective, outputs)
        weights = log_p.new_tensor(self.class_weights or (1.0,) * self.classes)
        if self.objective.kind == "binary":
            weights = weights * weights.new_tensor((1.0, self.pos_weight))
        if self.focal_gamma is not None:
            log_p = log_p.gather(1, first[:, None])[:, 0]
            focused = (1 - log_p.exp()) ** self.focal_gamma * -log_p
            return weights[first] * focused
        mass = (self.label_smoothing / self.classes * weights).expand_as(log_p).clone()
        kept = 1 - self.label_smoothing
        mass.scatter_add_(1, first[:, None], (kept * share * weights[first])[:, None])
        if second is not None:
            mass.scatter_add_(1, second[:, None], (kept * (1 - share) * weights[second])[:, None])
        return -(mass * log_p).sum(dim=1)

    def _of_labels(
        self, outputs: Tensor, first: Tensor, second: Tensor | None, share: float
    ) -> Tensor:
        """-w_k (pos y log p + (1 - y) log(1 - p)), the mean over the classes of each row, (N,)."""
        y = first.to(outputs.dtype)
        if second is not None:
            y = share * y + (1 - share) * second.to(outputs.dtype)
        y = (1 - self.label_smoothing) * y + self.label_smoothing / 2
        if self.objective.outputs == "logits":
            yes, no = F.logsigmoid(outputs), F.logsigmoid(-outputs)
        else:
            yes, no = (p.log().clamp(min=LEAST_LOG) for p in (outputs, 1 - outputs))
        weights = outputs.new_tensor(self.class_weights or (1.0,) * self.classes)
        return -(weights * (self.pos_weight * y * yes + (1 - y) * no)).mean(dim=1)


def _by_member(
    outputs: Tensor, first: Tensor, second: Tensor | None, share: float, weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, float, Tensor | None]:
    """What a call takes, with the outputs (N, K, C) of K members as rows of their own, (NK, C)."""

    def each(rows: Tensor | None) -> Tensor | None:
        return None if rows is None else rows.repeat_interleave(outputs.shape[1], dim=0)

    own = first.repeat_interleave(outputs.shape[1], dim=0)
    return outputs.flatten(0, 1), own, each(second), share, each(weights)


def class_weights(
    recipe: Recipe,
    targets: NDArray[np.int64],
    names: tuple[str, ...],
    sample_weights: NDArray[np.float32] | None = None,
) -> tuple[float, ...] | None:
    """The weight of each class, (C,), None if the recipe asks for none.

    "balanced" is N / (C n_c), as in scikit-learn, rows counted by their weights. Raises RecipeError
    if weights and classes differ, or if all rows weigh 0.
    """
    weights = _class_weights(recipe, targets, names, sample_weights)
    if weights is not None:
        array = np.asarray(weights, dtype=np.float32)  # as the loss takes them
        if not (array.any() if targets.ndim > 1 else array[targets].any()):
            raise RecipeError(
                "class_weight gives all training rows the weight 0, and nothing would be learned: "
                "give one of their classes a number above 0",
                settings=("class_weight",),
            )
    return weights


def _class_weights(
    recipe: Recipe,
    targets: NDArray[np.int64],
    names: tuple[str, ...],
    sample_weights: NDArray[np.float32] | None,
) -> tuple[float, ...] | None:
    given = recipe.class_weight
    if given is None:
        return None
    if given == "balanced":
        counts = np.bincount(targets, sample_weights, minlength=len(names))
        return tuple(float(counts.sum() / (len(names) * n)) if n else 0.0 for n in counts)
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                hint = did_you_mean(name, names) or f": the classes are {', '.join(names)}"
                raise RecipeError(
                    f"class_weight names {name!r}, which is no class{hint}",
                    settings=("class_weight",),
                )
        return tuple(float(given.get(name, 1.0)) for name in names)
    if len(given) != len(names):
        raise RecipeError(
            f"class_weight must have one number for each of the {len(names)} classes, but has "
            f"{len(given)}",
            settings=("class_weight",),
        )
    return tuple(float(weight) for weight in given)


def _log_probabilities(objective: Objective, outputs: Tensor) -> Tensor:
    """Logarithms of the probability of each class, (N, C); two columns for a binary objective."""
    from_logits = objective.outputs == "logits"
    if objective.kind == "multiclass":
        if from_logits:
            return F.log_softmax(outputs, dim=1)
        return outputs.log().clamp(min=LEAST_LOG)
    flat = outputs.reshape(-1)
    if from_logits:
        return torch.stack([F.logsigmoid(-flat), F.logsigmoid(flat)], dim=1)
    return torch.stack([(1 - flat).log(), flat.log()], dim=1).clamp(min=LEAST_LOG)
