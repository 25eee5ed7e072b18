"""Random trainings on the native engine against float64: python tests/abuse/differential.py --cases 1000.

A case is a random net and a random recipe of what the native engine takes. It is trained for some
steps by the native engine (float32) and by a plain loop of torch's own parts with autograd, in
float64 and in float32; of steepest the loop takes random.py, the modules, and which parameters Muon
moves. The native engine's largest error
against float64 may be twice that of the float32 loop, plus 8 roundings of the largest number.

Where rounding is magnified (batch norm of two rows that are nearly equal, the kinks of ReLU and L1,
Adam's step from a gradient that is nothing but rounding) one float32 loop says little: another order
of its sums ends elsewhere. A case beyond the bound is therefore compared with float32 loops that sum
in other orders, and counts as explained if one of them is as far from float64 as half of ours; or if
the engine is within the bound of the float64 loop once that has one input of a ReLU, itself within a
few roundings of 0, on the other side.
"""

import argparse
import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import betaincinv
from torch import Tensor, nn

from steepest import LinearLayer, ParametricActivation, Recipe, Residual, ScalingLayer
from steepest import nn as snn
from steepest.data import Preprocessing, Samples
from steepest.engine import Plan, parameter_settings
from steepest.engine.native import NativeEngine, native_obstacle
from steepest.errors import RecipeError
from steepest.objective import Objective
from steepest.random import Purpose, below, drawn, permutation, uniform_of_steps, words

ACTIVATIONS: list[Callable[[], nn.Module]] = [
    nn.Tanh, nn.Sigmoid, nn.ReLU, lambda: nn.LeakyReLU(0.2), nn.GELU,
    lambda: nn.GELU("tanh"), nn.SiLU, nn.Mish, nn.SELU, nn.Identity,
]  # fmt: skip
STEPS = 24
OTHER_ORDERS = 40
NEAR_0 = 1e-6


@dataclass(frozen=True)
class Case:
    """rates: the learning rate of each step. setting: for the eye."""

    model: nn.Module
    objective: Objective
    array: np.ndarray
    scaling: str
    targets: np.ndarray
    classes: int
    recipe: Recipe
    rates: list[float]
    setting: dict[str, Any]

    def plan(self) -> Plan:
        samples = Samples(self.array, None, "random")
        inputs = Preprocessing.fit(samples, self.scaling).prepare(samples)
        names = tuple(map(str, range(self.classes)))
        model = copy.deepcopy(self.model)
        return Plan(model, self.objective, inputs, self.targets, self.recipe, names)


def some(rng: np.random.Generator, chance: float, value: Any, otherwise: Any) -> Any:
    return value if rng.random() < chance else otherwise


def make_case(seed: int, number: int) -> Case:
    """The case of this number: a function of both numbers alone."""
    rng = np.random.default_rng((seed, number))
    torch.manual_seed(int(rng.integers(2**31)))
    rows, image = int(rng.integers(2, 60)), bool(rng.random() < 0.4)
    shape = tuple(rng.integers(1, 7, 3)) if image else (int(rng.integers(1, 50)),)
    kind = str(rng.choice(["dense", "bytes", "sparse"]))
    array = make_rows(rng, kind, (rows, *map(int, shape)))
    loss = str(rng.choice(["multiclass", "binary", "multilabel"], p=[0.6, 0.25, 0.15]))
    classes = 2 if loss == "binary" else int(rng.integers(2, 8))
    targets = rng.integers(0, 2, (rows, classes)) if loss == "multilabel" else (
        rng.integers(0, classes, rows))  # fmt: skip
    setting = make_settings(rng, loss, classes, image)
    if loss != "multilabel" and isinstance(weight := setting.get("class_weight"), tuple):
        setting["class_weight"] = tuple(w + 0.5 * (c == targets[0]) for c, w in enumerate(weight))
    features, outputs = int(np.prod(shape)), 1 if loss == "binary" else classes
    # Numbers of their own, so that what came later leaves the cases from before as they were.
    later = np.random.default_rng((seed, number, 1))
    model = make_net(rng, features, outputs)
    setting |= make_later_settings(later, setting)
    kind = str(later.choice(["as it is", "embedded", "batch_ensemble"], p=[0.7, 0.18, 0.12]))
    if kind == "embedded":
        front = embedding(later, features)
        model = nn.Sequential(nn.Flatten(), front, *make_net(rng, front.width, outputs)[1:])
    elif kind == "batch_ensemble":
        model = batch_ensemble(later, features, outputs, loss)
    if not any(name.endswith(".bias") for name, _ in model.named_parameters()):
        setting.pop("groups", None)
    recipe = Recipe(seed=int(rng.integers(2**40)), threads=1, **setting)
    try:
        parameter_settings(recipe, model)
    except RecipeError:  # Muon, and no hidden matrix
        recipe = recipe.replace(optimizer="adamw", lr=1e-3)
    scaling = str(rng.choice(["auto", "standardise", "minmax"]))
    rates = make_rates(rng, recipe.base_lr)
    return Case(model, Objective(loss), array, scaling, targets, classes, recipe, rates, setting)  # type: ignore[arg-type]


def make_rows(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "bytes":
        return (rng.integers(0, 256, shape) * (rng.random(shape) < 0.4)).astype(np.uint8)
    x = rng.normal(0.5, 1.5, shape).astype(np.float32)
    return np.where(rng.random(shape) < 0.7, np.float32(0), x) if kind == "sparse" else x


def make_net(rng: np.random.Generator, features: int, outputs: int) -> nn.Module:
    """Blocks of linear, normalisation, activation and dropout; some residual, some nested."""
    width, layers = features, [nn.Flatten()]
    norm = rng.choice(["none", "batch", "layer"], p=[0.45, 0.3, 0.25])
    activation, dropout = ACTIVATIONS[rng.integers(len(ACTIVATIONS))], some(rng, 0.3, 0.3, 0.0)
    for _ in range(rng.integers(0, 5)):
        residual = width < 40 and rng.random() < 0.25
        wide = width if residual else int(rng.integers(1, 40))
        linear = some(
            rng, 0.3, LinearLayer(width, wide), nn.Linear(width, wide, rng.random() < 0.8)
        )
        block: list[nn.Module] = [linear]
        learned = bool(rng.random() < 0.8)
        if norm == "batch":
            block.append(nn.BatchNorm1d(wide, some(rng, 0.3, 1e-3, 1e-5), 0.2, affine=learned))
        elif norm == "layer":
            block.append(nn.LayerNorm(wide, elementwise_affine=learned))
        kind = some(rng, 0.8, activation, ACTIVATIONS[rng.integers(len(ACTIVATIONS))])
        block.append(some(rng, 0.2, drawn_for(rng, wide), kind()))
        block += [nn.Dropout(dropout)] * bool(dropout)
        if residual:
            block = [Residual(nn.Sequential(*block), some(rng, 0.5, 0.4, 0.0))]
        layers += some(rng, 0.2, [nn.Sequential(*block)], block)
        width = wide
    return nn.Sequential(*layers, nn.Linear(width, outputs, bias=bool(rng.random() < 0.9)))


def embedding(
    rng: np.random.Generator, features: int
) -> snn.PeriodicEmbedding | snn.CategoryEmbedding:
    """Of some of the columns; categories of any width, over rows of any numbers."""
    if rng.random() < 0.6:
        columns = np.flatnonzero(rng.random(features) < 0.6)
        chosen = columns if len(columns) else [0]
        frequencies, outputs = map(int, rng.integers(1, 7, 2))
        return snn.PeriodicEmbedding(
            features, chosen, frequencies=frequencies, outputs=outputs, sigma=0.3
        )
    ends = np.sort(rng.choice(features + 1, size=2 * min(3, (features + 1) // 2), replace=False))
    return snn.CategoryEmbedding(features, ends.reshape(-1, 2).tolist(), int(rng.integers(1, 9)))


def batch_ensemble(
    rng: np.random.Generator, features: int, outputs: int, loss: str
) -> nn.Sequential:
    """Members that share their weights, away from where they start."""
    members, width = int(rng.integers(1, 9)), features
    layers: list[nn.Module] = [nn.Flatten(), snn.EnsembleView(members)]
    for k in range(int(rng.integers(1, 4))):
        wide = int(rng.integers(1, 30))
        layers += [
            snn.LinearBatchEnsemble(width, wide, members, signs=k == 0),
            ACTIVATIONS[rng.integers(len(ACTIVATIONS))](),
        ]
        width = wide
    layers.append(snn.LinearEnsemble(width, outputs, members))
    with torch.no_grad():
        for layer in layers:
            for own in layer.parameters():
                own.add_(0.1 * torch.randn_like(own))
    closing = "softmax" if loss == "multiclass" else "sigmoid"
    return nn.Sequential(*layers, snn.EnsembleMean(closing))


def make_later_settings(rng: np.random.Generator, setting: dict[str, Any]) -> dict[str, Any]:
    """Muon, and schedules of what is regularised."""
    later: dict[str, Any] = {}
    if rng.random() < 0.12:
        for name in ("momentum", "nesterov", "betas", "eps"):
            setting.pop(name, None)
        later |= {"optimizer": "muon", "lr": 0.01}
    names = ("cosine", "flat_cos", "coslog4")
    for name in ("weight_decay", "label_smoothing"):
        if name in setting and rng.random() < 0.4:
            later[f"{name}_schedule"] = str(rng.choice(names))
    if rng.random() < 0.2:
        later["dropout_schedule"] = str(rng.choice(names))
    return later | {"epochs": int(rng.integers(1, 12))}


def drawn_for(rng: np.random.Generator, width: int) -> nn.Module:
    """A module that learns a number for each unit, away from where it starts."""
    names = ("tanh", "sigmoid", "leaky_relu", "gelu", "silu", "mish", "selu")
    module: nn.Module = [
        nn.PReLU(), nn.PReLU(width), ScalingLayer(width), ParametricActivation(rng.choice(names), width)
    ][rng.integers(4)]  # fmt: skip
    with torch.no_grad():
        next(module.parameters()).uniform_(-0.2, 1.2)
    return module


OPTIMIZERS: list[dict[str, Any]] = [
    {"lr": 0.05}, {"lr": 0.02, "momentum": 0.9}, {"lr": 0.02, "momentum": 0.8, "nesterov": True},
    {"optimizer": "adam", "lr": 2e-3}, {"optimizer": "adamw", "lr": 2e-3},
    {"optimizer": "adam", "lr": 1e-3, "betas": (0.5, 0.9), "eps": 1e-6},
    {"optimizer": "rmsprop", "lr": 1e-3}, {"optimizer": "rmsprop", "lr": 5e-4, "momentum": 0.8},
]  # fmt: skip


def make_settings(rng: np.random.Generator, loss: str, classes: int, image: bool) -> dict[str, Any]:
    """What a recipe can ask of the native engine, each with some chance."""
    setting = dict(OPTIMIZERS[rng.integers(len(OPTIMIZERS))])
    setting["batch_size"] = [1, 2, 3, 7, 16, "full"][rng.integers(6)]
    weights = tuple(
        some(rng, 0.15, 0.0, round(float(rng.uniform(0.1, 3)), 2)) for _ in range(classes)
    )
    weights = weights if any(weights) else (1.0,) * classes
    chances: list[tuple[float, str, Any, bool]] = [
        (0.3, "weight_decay", 0.05, True), (0.2, "l1", 1e-3, True), (0.2, "l2", 1e-2, True),
        (0.2, "clip_norm", float(rng.choice([0.05, 1.0])), True), (0.15, "clip_value", 0.01, True),
        (0.3, "accumulate", int(rng.integers(2, 5)), True), (0.25, "ema", 0.8, True),
        (0.25, "label_smoothing", 0.1, True), (0.3, "class_weight", weights, True),
        (0.2, "pos_weight", 2.5, loss != "multiclass"), (0.25, "mixup", 0.4, True),
        (0.3, "cutmix", 1.0, image), (0.3, "cutout", 2, image), (0.3, "shift", 1, image),
        (0.15, "groups", {"*.bias": {"lr_scale": 0.3}, "*.weight": {"weight_decay": 0.02}}, True),
    ]  # fmt: skip
    setting |= {
        name: value for chance, name, value, fits in chances if rng.random() < chance and fits
    }
    if "clip_norm" in setting:
        setting.pop("clip_value", None)
    if "l1" in setting or "l2" in setting:
        setting["penalise_biases"] = bool(rng.random() < 0.3)
    if "class_weight" in setting and loss != "multilabel" and rng.random() < 0.3:
        setting["sampling"] = "weighted"
    return setting


def make_rates(rng: np.random.Generator, base: float) -> list[float]:
    """Constant, along a cosine or in steps, with or without a linear warm-up."""
    steps = np.arange(STEPS)
    rates = [
        np.ones(STEPS), (1 + np.cos(np.pi * steps / STEPS)) / 2, 0.5 ** (steps // 7),
    ][rng.integers(3)]  # fmt: skip
    warmup = some(rng, 0.3, np.minimum(1, (steps + 1) / 5), 1.0)
    return [float(rate) for rate in base * rates * warmup]


Order = Callable[[int], Tensor]


@dataclass(frozen=True, order=True)
class Kink:
    """An input of a ReLU near 0: its size, the step, the layer by its place, and which number."""

    size: float
    step: int
    layer: int
    index: int


@dataclass
class Loop:
    """What a PyTorch user would write, in the type of `dtype`; order: of the sums over n numbers."""

    case: Case
    dtype: torch.dtype
    order: Order | None = None
    average: dict[str, Tensor] = field(default_factory=dict)
    turned: Kink | None = None
    kinks: list[Kink] = field(default_factory=list)

    def run(self) -> dict[str, Tensor]:
        """Parameters, running statistics and averages by name."""
        self.plan = self.case.plan()
        self.model = self.plan.model.to(self.dtype).train()
        self.named = dict(self.model.named_parameters())
        optimizer, scales = self._optimizer()
        for update in self._updates():
            self._gather(update)
            if update[-1][0] >= STEPS:  # the steps end in the middle of an update
                break
            self._penalise()
            decay = self._factor("weight_decay", update[-1][0])
            for group, (scale, own) in zip(optimizer.param_groups, scales, strict=True):
                group["lr"] = self.case.rates[update[-1][0]] * scale
                group["weight_decay"] = own * decay
            optimizer.step()
            optimizer.zero_grad()
            self._take_average()
            if update[-1][0] == STEPS - 1:
                break
        kept = {f"average of {name}": value for name, value in self.average.items()}
        state = {n: t.detach() for n, t in self.model.state_dict().items() if t.is_floating_point()}
        return state | kept

    def _updates(self) -> Iterator[list[tuple[int, np.ndarray]]]:
        """For each update its minibatches: the step's number and the rows."""
        plan, recipe, step = self.plan, self.case.recipe, 0
        for epoch in itertools.count():
            if recipe.sampling == "weighted":
                own = np.array(recipe.class_weight, dtype=float)[self.case.targets]
                order = drawn(own, recipe.seed, Purpose.SAMPLE, epoch)
            else:
                order = permutation(plan.rows, recipe.seed, Purpose.SHUFFLE, epoch)
            cuts = range(0, plan.rows, plan.batch_size)
            batches = [order[first : first + plan.batch_size] for first in cuts]
            for first in range(0, len(batches), recipe.accumulate):
                window = batches[first : first + recipe.accumulate]
                yield [(step + i, rows) for i, rows in enumerate(window)]
                step += len(window)

    def _gather(self, update: list[tuple[int, np.ndarray]]) -> None:
        """The gradient of an update: the sum over its rows by the sum of their weights."""
        weight = sum(self._weight(rows) for _, rows in update)
        for step, rows in update:
            if step >= STEPS:
                return
            x, share = self._inputs(step, rows)
            self.used: Counter[int] = Counter()
            outputs = self._forward(self.model, x, step)
            first = torch.from_numpy(self.case.targets[rows])
            second, members = first.roll(-1, 0), 1
            if outputs.ndim == 3:  # the mean of the members' losses
                members = outputs.shape[1]
                outputs = outputs.flatten(0, 1)
                first, second = (y.repeat_interleave(members, 0) for y in (first, second))
            smoothing = self.case.recipe.label_smoothing * self._factor("label_smoothing", step)
            if weight:
                total = self._loss_sum(outputs, first, second, share, smoothing)
                (total / members / weight).backward()
            else:
                (outputs * 0).sum().backward()

    def _weight(self, rows: np.ndarray) -> float:
        weights = self.case.recipe.class_weight
        if weights is None or self.case.objective.kind == "multilabel" or self._draws:
            return float(len(rows))
        return float(np.array(weights, dtype=float)[self.case.targets[rows]].sum())

    @property
    def _draws(self) -> bool:
        return self.case.recipe.sampling == "weighted"

    def _factor(self, name: str, step: int) -> float:
        """What a number is multiplied by in a step: docs/toolbox has the formulas."""
        schedule = getattr(self.case.recipe, f"{name}_schedule")
        share = min(1.0, step / (self.case.recipe.epochs * self.plan.steps_per_epoch))
        if schedule == "coslog4":
            return float(1 - np.cos(2 * np.pi * np.log2(1 + 15 * share))) / 2
        share = {"cosine": share, "flat_cos": max(0.0, 2 * share - 1), "constant": 0.0}[schedule]
        return float(1 + np.cos(np.pi * share)) / 2

    def _loss_sum(
        self, z: Tensor, first: Tensor, second: Tensor, share: float, smoothing: float
    ) -> Tensor:
        recipe, kind = self.case.recipe, self.case.objective.kind
        weights = None if self._draws else recipe.class_weight
        w = z.new_tensor(weights or (1.0,) * max(2, z.shape[1]))
        positive = recipe.pos_weight or 1.0
        if self.order is not None:
            rows = self.order(len(z))
            z, first, second = z[rows], first[rows], second[rows]
        if kind == "multilabel":
            y = share * first.to(z.dtype) + (1 - share) * second.to(z.dtype)
            y = (1 - smoothing) * y + smoothing / 2
            pos = z.new_tensor(positive)
            return len(z) * F.binary_cross_entropy_with_logits(z, y, w, pos_weight=pos)
        if kind == "binary":
            z, w = torch.cat([torch.zeros_like(z), z], 1), w * z.new_tensor((1.0, positive))
        of = {"weight": w, "reduction": "sum", "label_smoothing": smoothing}
        return share * F.cross_entropy(z, first, **of) + (1 - share) * F.cross_entropy(
            z, second, **of
        )

    def _inputs(self, step: int, rows: np.ndarray) -> tuple[Tensor, float]:
        """The rows of a minibatch, scaled, changed and mixed, and the share of a row's own target."""
        scaler, recipe = self.plan.inputs.scaler, self.case.recipe
        x = torch.from_numpy(self.case.array[rows]).to(self.dtype)
        offset, factor = (
            torch.as_tensor(a, dtype=self.dtype) for a in (scaler.offset, scaler.factor)
        )
        x = (x - offset) * factor + float(scaler.shift)
        if x.ndim == 4:
            x = cut_out(shifted(x, recipe, step), recipe, step)
        if not (recipe.mixup or recipe.cutmix):
            return x, 1.0
        share, box = mixing(recipe, step, tuple(x.shape[2:]))
        other = x.roll(-1, 0)
        if box is None:
            return share * x + (1 - share) * other, share
        top, bottom, left, right = box
        x = x.clone()
        x[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
        return x, share

    def _forward(self, module: nn.Module, x: Tensor, step: int) -> Tensor:
        if isinstance(module, nn.Sequential):
            for child in module:
                x = self._forward(child, x, step)
            return x
        if isinstance(module, nn.Dropout):
            p = module.p * self._factor("dropout", step)
            width = -(-x[0].numel() // 4) * 4
            kept = self._kept(module, p, step, len(x) * width).reshape(len(x), width)
            return x * kept[:, : x.shape[1]] / (1 - p)
        if isinstance(module, Residual):
            y = self._forward(module.block, x, step)
            if module.stochastic_depth:
                kept = self._kept(module, module.stochastic_depth, step, len(x))
                y = y * kept[:, None] / (1 - module.stochastic_depth)
            return x + y
        if isinstance(module, nn.BatchNorm1d) and len(x) == 1:
            running = (module.running_mean, module.running_var)
            return F.batch_norm(x, *running, module.weight, module.bias, eps=module.eps)
        if isinstance(module, (nn.ReLU, nn.LeakyReLU, nn.PReLU)):
            x = self._near_kink(x, step)
        return module(x) if self.order is None else self._in_order(module, x, self.order)

    def _near_kink(self, x: Tensor, step: int) -> Tensor:
        """Note the input nearest to 0, and move it to the other side where that is asked for."""
        size, index = x.detach().abs().flatten().min(0)
        kink = Kink(float(size), step, self.used[0], int(index))
        self.used[0] += 1  # no id() of a module
        self.kinks.append(kink)
        if self.turned is None or (kink.step, kink.layer) != (self.turned.step, self.turned.layer):
            return x
        move = torch.zeros_like(x)
        move.view(-1)[self.turned.index] = -2 * x.detach().flatten()[self.turned.index]
        return x + move

    def _in_order(self, module: nn.Module, x: Tensor, order: Order) -> Tensor:
        """The same mathematics with its sums over rows and over columns in another order."""
        if isinstance(module, (nn.Flatten, nn.Identity)):
            return module(x)
        rows = order(len(x))
        x = x[rows]
        if isinstance(module, (nn.Linear, LinearLayer)):
            columns = order(x.shape[1])
            x = F.linear(x[:, columns], module.weight[:, columns], module.bias)
        elif isinstance(module, nn.LayerNorm):
            columns = order(x.shape[1])
            own = (None if p is None else p[columns] for p in (module.weight, module.bias))
            x = F.layer_norm(x[:, columns], module.normalized_shape, *own, module.eps)
            x = x[:, columns.argsort()]
        else:
            x = module(x)
        return x[rows.argsort()]

    def _kept(self, module: nn.Module, probability: float, step: int, count: int) -> Tensor:
        purpose = Purpose.STOCHASTIC_DEPTH if isinstance(module, Residual) else Purpose.DROPOUT
        alike = [m for m in self.model.modules() if type(m) is type(module)]
        stream = next(i for i, m in enumerate(alike) if m is module) + 256 * self.used[id(module)]
        self.used[id(module)] += 1
        drawn_words = words(self.case.recipe.seed, purpose, step, count, stream=stream)
        return torch.from_numpy(drawn_words >= int(probability * 2**32)).to(self.dtype)

    def _penalise(self) -> None:
        recipe, penalty = self.case.recipe, torch.zeros((), dtype=self.dtype)
        for p in self.named.values():
            if p.ndim > 1 or recipe.penalise_biases:
                penalty = penalty + recipe.l1 * p.abs().sum() + recipe.l2 * (p * p).sum()
        if recipe.l1 or recipe.l2:
            penalty.backward()
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.named.values(), recipe.clip_norm)
        if recipe.clip_value:
            nn.utils.clip_grad_value_(self.named.values(), recipe.clip_value)

    def _optimizer(self) -> tuple[Any, list[tuple[float, float]]]:
        """The optimizer, and of each parameter the factor of the rate and its weight decay."""
        recipe, groups, scales = self.case.recipe, [], []
        if recipe.optimizer == "muon":
            settings = parameter_settings(recipe, self.model)
            owns = [(settings[name].lr_scale, settings[name].weight_decay) for name in self.named]
            hidden = [p for name, p in self.named.items() if settings[name].muon]
            return Muon(list(self.named.values()), hidden, recipe), owns
        for name, p in self.named.items():
            own = {"weight_decay": recipe.weight_decay, "lr_scale": 1.0}
            if recipe.groups:
                own |= recipe.groups.get(f"*.{name.rpartition('.')[2]}", {})
            scales.append((own.pop("lr_scale"), own["weight_decay"]))
            groups.append({"params": [p], **own})
        kind, extra = {
            "sgd": (torch.optim.SGD, {"momentum": recipe.momentum, "nesterov": recipe.nesterov}),
            "adam": (torch.optim.Adam, {"betas": recipe.betas, "eps": recipe.eps}),
            "adamw": (torch.optim.AdamW, {"betas": recipe.betas, "eps": recipe.eps}),
            "rmsprop": (torch.optim.RMSprop, {"alpha": recipe.rms_decay, "eps": recipe.eps,
                                              "momentum": recipe.momentum}),
        }[recipe.optimizer]  # fmt: skip
        return kind(groups, lr=1.0, **extra), scales

    def _take_average(self) -> None:
        decay = self.case.recipe.ema
        for name, p in self.named.items() if decay else ():
            now = p.detach().clone()
            old = self.average.get(name, now)
            self.average[name] = decay * old + (1 - decay) * now


class Muon:
    """Muon for the hidden matrices and AdamW for the rest, written from their papers."""

    def __init__(self, parameters: list[Tensor], hidden: list[Tensor], recipe: Recipe) -> None:
        self._hidden, self._recipe = {id(p) for p in hidden}, recipe
        self.param_groups: list[dict[str, Any]] = [{"params": [p]} for p in parameters]
        self._kept: dict[int, list[Tensor]] = {
            id(p): [torch.zeros_like(p), torch.zeros_like(p)] for p in parameters
        }
        self._count = 0

    @torch.no_grad()
    def step(self) -> None:
        self._count += 1
        recipe = self._recipe
        for group in self.param_groups:
            (p,), rate = group["params"], group["lr"]
            first, second = self._kept[id(p)]
            p.mul_(1 - rate * group["weight_decay"])
            if id(p) in self._hidden:
                mu = recipe.muon_momentum
                first.mul_(mu).add_((1 - mu) * p.grad)
                direction = orthogonal((1 - mu) * p.grad + mu * first)
                p.sub_(rate * max(1.0, p.shape[0] / p.shape[1]) ** 0.5 * direction)
                continue
            a, b = recipe.betas
            first.mul_(a).add_((1 - a) * p.grad)
            second.mul_(b).add_((1 - b) * p.grad**2)
            mean, square = first / (1 - a**self._count), second / (1 - b**self._count)
            p.sub_(rate * mean / (square.sqrt() + recipe.eps))

    def zero_grad(self) -> None:
        for group in self.param_groups:
            group["params"][0].grad = None


def orthogonal(x: Tensor) -> Tensor:
    """Five steps of Newton and Schulz from x / |x|."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / max(float(x.norm()), 1e-7)
    for _ in range(5):
        tall = x.shape[0] > x.shape[1]
        gram = x.T @ x if tall else x @ x.T
        polynomial = b * gram + c * gram @ gram
        x = a * x + (x @ polynomial if tall else polynomial @ x)
    return x


def shifted(images: Tensor, recipe: Recipe, step: int) -> Tensor:
    if not recipe.shift:
        return images
    numbers = words(recipe.seed, Purpose.SHIFT, step, 2 * len(images))
    offsets = below(numbers, 2 * recipe.shift + 1).reshape(-1, 2)  # from 0 to twice the shift
    height, width = images.shape[2:]
    padded = F.pad(images, (recipe.shift,) * 4)
    top, left = (2 * recipe.shift - offsets).T
    return torch.stack(
        [
            image[:, t : t + height, s : s + width]
            for image, t, s in zip(padded, top, left, strict=True)
        ]
    )


def cut_out(images: Tensor, recipe: Recipe, step: int) -> Tensor:
    if not recipe.cutout:
        return images
    numbers = words(recipe.seed, Purpose.CUTOUT, step, 2 * len(images)).reshape(-1, 2)
    images, half = images.clone(), recipe.cutout // 2
    tops, lefts = below(numbers[:, 0], images.shape[2]), below(numbers[:, 1], images.shape[3])
    for i, (top, left) in enumerate(zip(tops - half, lefts - half, strict=True)):
        bottom, right = max(0, top + recipe.cutout), max(0, left + recipe.cutout)
        images[i, :, max(0, top) : bottom, max(0, left) : right] = 0
    return images


Box = tuple[int, int, int, int]


def mixing(recipe: Recipe, step: int, sides: tuple[int, ...]) -> tuple[float, Box | None]:
    """The share of a row's own target, and for cutmix top, bottom, left and right of the other."""
    u = uniform_of_steps(recipe.seed, Purpose.MIX, range(step, step + 1), 4)[0]
    if recipe.mixup and (not recipe.cutmix or u[1] < 0.5):
        share = float(betaincinv(recipe.mixup, recipe.mixup, u[0]))
        return max(share, 1 - share), None
    cut, box = np.sqrt(1 - betaincinv(recipe.cutmix, recipe.cutmix, u[0])), []
    for side, centre in zip(sides, u[2:], strict=True):
        middle, half = int(centre * side), int(cut * side) // 2
        box += [max(0, middle - half), min(side, middle + half)]
    top, bottom, left, right = box
    return 1 - (bottom - top) * (right - left) / (sides[0] * sides[1]), (top, bottom, left, right)


def native(case: Case) -> dict[str, Tensor]:
    plan = case.plan()
    assert native_obstacle(plan) is None, native_obstacle(plan)
    engine = NativeEngine()
    engine.load(plan)
    engine.advance(case.rates)
    kept = {f"average of {n}": k["average"] for n, k in engine.export().items() if "average" in k}
    return {n: t for n, t in plan.model.state_dict().items() if t.is_floating_point()} | kept


def shuffled(seed: int) -> Order:
    generator = torch.Generator().manual_seed(seed)
    return lambda count: torch.randperm(count, generator=generator)


@dataclass(frozen=True)
class Verdict:
    """How far off the native engine (error) and the float32 loop (theirs) are.

    another: the float32 loop with its sums in another order, as a measure of what the bound is worth.
    orders: how many other loops it took to find one as far off as half of ours; None where none was
    needed, 0 where a kink explains it, OTHER_ORDERS + 1 if nothing does.
    """

    error: float
    theirs: float
    another: float
    slack: float
    orders: int | None = None

    @property
    def is_beyond(self) -> bool:
        """Whether the bound by the one loop would refuse the same loop in another order."""
        return not self.another <= 2 * self.theirs + self.slack

    @property
    def is_unexplained(self) -> bool:
        return self.orders is not None and self.orders > OTHER_ORDERS


def largest_error(found: dict[str, Tensor], exact: dict[str, Tensor]) -> float:
    assert found.keys() == exact.keys()
    errors = [float((found[n].double() - t).abs().max()) for n, t in exact.items()]
    return float(np.max(errors))  # NaN stays


def judge(case: Case) -> Verdict:
    loop = Loop(case, torch.float64)
    exact, ours = loop.run(), native(case)

    scale = max(1.0, *(float(t.abs().max()) for t in exact.values()))
    slack = 8 * float(np.finfo(np.float32).eps) * scale

    def in_order(number: int | None) -> float:
        order = None if number is None else shuffled(number)
        return largest_error(Loop(case, torch.float32, order).run(), exact)

    error, theirs, another = largest_error(ours, exact), in_order(None), in_order(0)
    if error <= 2 * theirs + slack:
        return Verdict(error, theirs, another, slack)
    numbers = range(1, OTHER_ORDERS + 1)
    found = (number for number in numbers if error <= 2 * in_order(number) + slack)
    orders = next(found, OTHER_ORDERS + 1)
    for kink in sorted(loop.kinks)[:3] if orders > OTHER_ORDERS else ():
        if kink.size < NEAR_0:
            turned = Loop(case, torch.float64, turned=kink).run()
            if largest_error(ours, turned) <= 2 * theirs + slack:
                return Verdict(error, theirs, another, slack, 0)
    return Verdict(error, theirs, another, slack, orders)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    ratios, others = [], 0
    for number in range(options.first, options.first + options.cases):
        case = make_case(options.seed, number)
        found = judge(case)
        ratios.append(found.error / (found.theirs + found.slack))
        what = {None: "within the bound", 0: "explained by a kink"}.get(
            found.orders, "explained by another order"
        )
        counts["unexplained" if found.is_unexplained else what] += 1
        others += found.is_beyond
        if found.orders is not None:
            print(f"case {number}: {found}\n  {case.setting}\n  {case.model}", flush=True)
    print(f"{options.cases} cases, seed {options.seed}: {dict(counts)}")
    print(f"float32 in another order would be beyond the same bound in {others} cases")
    middle, high = np.quantile(ratios, [0.5, 0.99])
    print(f"error by (torch's own + slack): median {middle:.2f}, 99 % below {high:.2f}")
    raise SystemExit(counts["unexplained"] > 0)


if __name__ == "__main__":
    main()
