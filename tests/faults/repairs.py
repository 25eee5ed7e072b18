"""What the fix of each code does to a case, so that a printed cause can be judged by its cure.

A repair is applied to the faulty case without knowing the truth. What nobody but the author can
put right (labels, rows, a line of the loop or of a forward pass) is copied from the twin, and only
where the printed code is right: a wrong code never gets the twin's help.
"""

import copy
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from faults.case import Case, run, step

Repair = Callable[[Case], Case | None]  # None: this repair cannot be made on this case


def repaired(case: Case, twin: Case, code: str, right: bool) -> Case | None:
    """The case after the fix for code; None if there is no such fix."""
    mended = fixed(case, code)
    return twin if mended is None and right else mended


def fixed(case: Case, code: str) -> Case | None:
    """The case after the fix for code if a program can make it, without a look at the twin."""
    repair = REPAIRS.get(code)
    return repair(case) if repair else None


def _standardise(case: Case) -> Case | None:
    data = _tensors(case.train_loader), _tensors(case.val_loader)
    if not all(data) or not data[0][0].is_floating_point():
        return None
    (X, y), (X_val, y_val) = data
    axes = (0, 2, 3) if X.ndim == 4 else (0,)
    mean, std = X.mean(axes, keepdim=True), X.std(axes, keepdim=True)
    std = torch.where(std > 0, std, 1.0)
    _rows(case, (X - mean) / std, y, (X_val - mean) / std, y_val)
    return case


def _drop_nonfinite(case: Case) -> Case | None:
    data = _tensors(case.train_loader), _tensors(case.val_loader)
    if not all(data):
        return None
    (X, y), (X_val, y_val) = data
    ok, ok_val = (t.flatten(1).isfinite().all(1) for t in (X, X_val))
    _rows(case, X[ok], y[ok], X_val[ok_val], y_val[ok_val])
    return case


def _shuffle(case: Case) -> Case | None:
    loader = case.train_loader
    if not isinstance(loader, DataLoader):
        return None
    order = torch.Generator().manual_seed(0)
    size = loader.batch_size or 64
    case.train_loader = DataLoader(loader.dataset, size, shuffle=True, generator=order)
    return case


def _weigh_classes(case: Case) -> Case | None:
    data = _tensors(case.train_loader)
    if not data or not isinstance(case.loss_fn, (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss)):
        return None
    counts = data[1].reshape(-1).long().bincount().float()
    if isinstance(case.loss_fn, nn.CrossEntropyLoss):
        case.loss_fn = nn.CrossEntropyLoss(weight=counts.sum() / (len(counts) * counts))
    else:
        case.loss_fn = nn.BCEWithLogitsLoss(pos_weight=counts[0] / counts[1])
    return case


def _he(case: Case) -> Case:
    """He's initialisation of matrices, biases 0; norms and embeddings as PyTorch has them."""
    kept: set[int] = set()
    for module in case.model.modules():
        if isinstance(module, (nn.Embedding, nn.LayerNorm, nn.modules.batchnorm._BatchNorm)):
            module.reset_parameters()
            kept.update(map(id, module.parameters()))
    for parameter in case.model.parameters():
        if id(parameter) not in kept:
            (nn.init.kaiming_normal_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)
    return case


def _relu(case: Case) -> Case | None:
    """ReLU in place of sigmoid and tanh within a Sequential, and He's initialisation."""
    found = False
    for name, module in list(case.model.named_modules()):
        if isinstance(module, (nn.Sigmoid, nn.Tanh)) and "." not in name:
            setattr(case.model, name, nn.ReLU())
            found = True
    return _he(case) if found else None


def _insert_activations(case: Case) -> Case | None:
    layers = list(case.model.children()) if isinstance(case.model, nn.Sequential) else []
    weighted = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
    if len(weighted) < 2:
        return None
    for i in weighted[:-1]:
        case.model[i] = nn.Sequential(layers[i], nn.ReLU())
    return case


def _drop_last(*kinds: type[nn.Module]) -> Repair:
    def repair(case: Case) -> Case | None:
        if not isinstance(case.model, nn.Sequential) or not isinstance(case.model[-1], kinds):
            return None
        case.model[-1] = nn.Identity()
        case.threshold = 0.0
        return case

    return repair


def _mean_reduction(case: Case) -> Case | None:
    if not hasattr(case.loss_fn, "reduction"):
        return None
    case.loss_fn = copy.deepcopy(case.loss_fn)
    case.loss_fn.reduction = "mean"
    return case


def _ladder(*factors: float) -> Repair:
    """The learning rate times the factor that gives the least loss after two epochs."""

    def repair(case: Case) -> Case | None:
        if isinstance(case.optimizer, list):
            return None

        def loss_at(factor: float) -> float:
            trial = copy.deepcopy(case)
            _times_lr(trial, factor)
            outcome = run(trial, epochs=2)
            return outcome.last.loss if math.isfinite(outcome.last.loss) else math.inf

        _times_lr(case, min(factors, key=loss_at))
        return case

    return repair


def _group(**settings: float) -> Repair:
    def repair(case: Case) -> Case | None:
        for group in _groups(case):
            if any(name not in group for name in settings):
                return None
            group.update(settings)
        return case

    return repair


def _descend(case: Case) -> Case | None:
    """Down again if it was the optimizer's flag; a sign in the loop is the author's to mend."""
    rising = [group for group in _groups(case) if group.get("maximize")]
    for group in rising:
        group["maximize"] = False
    return case if rising else None


def _new_optimizer(case: Case) -> Case | None:
    if isinstance(case.optimizer, list):
        return None
    case.optimizer = type(case.optimizer)(case.model.parameters(), **case.optimizer.defaults)
    return case


def _plain_step(case: Case) -> Case | None:
    if case.train_step is None:
        return None
    case.train_step = step
    return case


def _stop_at_best(case: Case) -> Case:
    case.stop_at_best = True
    return case


def _tensors(loader: object) -> tuple[Tensor, ...]:
    dataset = getattr(loader, "dataset", None)
    whole = isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2
    return dataset.tensors if whole else ()


def _rows(case: Case, X: Tensor, y: Tensor, X_val: Tensor, y_val: Tensor) -> None:
    case.train_loader.dataset.tensors = (X, y)
    case.val_loader.dataset.tensors = (X_val, y_val)
    if len(X) != getattr(case.train_loader.sampler, "num_samples", len(X)):
        _shuffle(case)


def _groups(case: Case) -> Iterator[dict[str, float]]:
    optimizers = case.optimizer if isinstance(case.optimizer, list) else [case.optimizer]
    for optimizer in optimizers:
        yield from optimizer.param_groups


def _times_lr(case: Case, factor: float) -> None:
    for group in _groups(case):
        group["lr"] = group["lr"] * factor


REPAIRS: dict[str, Repair] = {
    "INPUT_NOT_NORMALISED": _standardise,
    "FEATURE_SCALES_MIXED": _standardise,
    "INPUT_TOO_SMALL": _standardise,
    "NONFINITE_INPUT": _drop_nonfinite,
    "UNSHUFFLED_SORTED": _shuffle,
    "CLASS_IMBALANCE_COLLAPSE": _weigh_classes,
    "CLASS_WEIGHTS_INVERTED": _weigh_classes,
    "SYMMETRIC_INIT": _he,
    "INIT_TOO_LARGE": _he,
    "INIT_TOO_SMALL": _he,
    "DEAD_RELU": _he,
    "VANISHING_GRADIENT": _relu,
    "SATURATED": _relu,
    "NO_NONLINEARITY": _insert_activations,
    "LOSS_EXPECTS_LOGITS": _drop_last(nn.Softmax, nn.Sigmoid),
    "OUTPUT_ACTIVATION": _drop_last(nn.ReLU, nn.Tanh, nn.Sigmoid),
    "SUM_REDUCTION": _mean_reduction,
    "LR_TOO_HIGH": _ladder(1 / 3, 1 / 10, 1 / 30, 1 / 100, 1 / 300),
    "EXPLODING_GRADIENT": _ladder(1 / 3, 1 / 10, 1 / 30, 1 / 100, 1 / 300),
    "LR_TOO_LOW": _ladder(10, 100, 1e3, 1e4, 1e5),
    "WEIGHT_DECAY_TOO_LARGE": _group(weight_decay=0.0),
    "MOMENTUM_TOO_HIGH": _group(momentum=0.9),
    "PARAMS_NOT_IN_OPTIMISER": _new_optimizer,
    "NO_ZERO_GRAD": _plain_step,
    "NO_STEP": _plain_step,
    "ZERO_AFTER_BACKWARD": _plain_step,
    "ASCENT": _descend,
    "OVERFIT": _stop_at_best,
}
