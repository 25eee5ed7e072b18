"""Faults that one pass shows, planted in nets of real size, and trainings that only look odd.

Each changes the parts of a healthy training (`tasks`); the parts as they were are its twin.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faults.case import Fault
from faults.large.tasks import Parts, images, sequences
from faults.nets import sgd

Change = Callable[[Parts, int], None]
EVERY = ("RESNET", "VIT", "LSTM", "ENCODER")
_NUMBERS = ("RESNET", "VIT", "LSTM")  # whose inputs are numbers, not words


@dataclass(frozen=True)
class Plant:
    """A change of a healthy training, and the nets that it is made to. fault: None if healthy."""

    name: str
    change: Change
    fault: Fault | None
    nets: tuple[str, ...] = EVERY


PLANTS: list[Plant] = []


def plant(
    code: str = "", nets: tuple[str, ...] = EVERY, **fault: tuple[str, ...]
) -> Callable[[Change], Change]:
    """Register the change below; without a code it is healthy."""

    def register(change: Change) -> Change:
        truth = Fault(code, **fault) if code else None  # type: ignore[arg-type]
        PLANTS.append(Plant(change.__name__, change, truth, nets))
        return change

    return register


class Then(nn.Module):
    """A net, and what is done to its outputs."""

    def __init__(self, net: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.net(x))


class Between(nn.Module):
    """A net with something between its features and its head."""

    def __init__(self, net: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: Tensor) -> Tensor:
        return self.net.head(self.change(self.net.features(x)))


@plant("LOSS_EXPECTS_LOGITS")
def softmax_before_cross_entropy(parts: Parts, seed: int) -> None:
    parts.model = Then(parts.model, nn.Softmax(1))


@plant("NLL_WITHOUT_LOGSOFTMAX")
def nll_of_logits(parts: Parts, seed: int) -> None:
    parts.loss_fn = nn.NLLLoss()


@plant("SOFTMAX_WRONG_DIM")
def softmax_over_rows(parts: Parts, seed: int) -> None:
    parts.model, parts.loss_fn = Then(parts.model, nn.LogSoftmax(0)), nn.NLLLoss()


@plant("PARAMS_NOT_IN_OPTIMISER")
def new_head_after_optimizer(parts: Parts, seed: int) -> None:
    def late(made: Parts) -> None:
        made.model.head = nn.Linear(made.model.head.in_features, 10)

    parts.late = late


@plant("PARAMS_NOT_IN_OPTIMISER")
def optimizer_of_another_net(parts: Parts, seed: int) -> None:
    parts.optimizer = lambda _: sgd(nn.Linear(10, 10), 0.01)


@plant("CLASS_SET_MISMATCH", accept=("LOSS_FAILS",))
def labels_from_one(parts: Parts, seed: int) -> None:
    parts.rows.y, parts.rows.y_val = parts.rows.y + 1, parts.rows.y_val + 1


@plant("DETACHED_GRAPH")
def features_detached(parts: Parts, seed: int) -> None:
    parts.model = Between(parts.model, Tensor.detach)


@plant("SYMMETRIC_INIT", ("RESNET", "LSTM"))
def weights_of_one_value(parts: Parts, seed: int) -> None:
    for name, p in parts.model.named_parameters():
        if p.ndim > 1 or "bias" in name:
            nn.init.constant_(p, 0.01 if p.ndim > 1 else 0.0)


@plant("NONFINITE_WEIGHTS")
def one_weight_nan(parts: Parts, seed: int) -> None:
    with torch.no_grad():
        parts.model.head.weight[3, 1] = torch.nan


@plant("NONFINITE_INPUT", _NUMBERS)
def some_inputs_nan(parts: Parts, seed: int) -> None:
    parts.rows.X[::50, 0, 0] = torch.nan


@plant("CONSTANT_INPUT", consequence=("INPUT_IGNORED", "TRAIN_VAL_PREPROC_MISMATCH"))
def inputs_read_as_zeros(parts: Parts, seed: int) -> None:
    parts.rows.X = parts.rows.X[:1].expand_as(parts.rows.X).contiguous()


@plant("UNSHUFFLED_SORTED")
def rows_sorted(parts: Parts, seed: int) -> None:
    parts.rows.keep(parts.rows.y.argsort())
    parts.shuffle = False


@plant("ASCENT")
def maximized(parts: Parts, seed: int) -> None:
    parts.optimizer = lambda net: torch.optim.SGD(net.parameters(), 0.01, maximize=True)


@plant("OUTPUT_ACTIVATION")
def relu_on_logits(parts: Parts, seed: int) -> None:
    parts.model = Then(parts.model, nn.ReLU())


@plant("UNREGISTERED_LAYERS")
def head_in_a_list(parts: Parts, seed: int) -> None:
    layers = [nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 10)]

    def through(z: Tensor) -> Tensor:
        for layer in layers:
            z = layer(z)
        return z

    parts.model = Then(parts.model, through)


@plant("BATCH_MIXING", ("LSTM", "ENCODER"))
def batch_axis_mistaken(parts: Parts, seed: int) -> None:
    if hasattr(parts.model, "lstm"):
        parts.model.lstm.batch_first = False
    else:
        parts.model = _TimesFirst(parts.model)


class _TimesFirst(nn.Module):
    """An encoder whose layers take (T, N, d) and are given (N, T, d)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        for layer in net.encoder.layers:
            layer.self_attn.batch_first = False

    def forward(self, tokens: Tensor) -> Tensor:
        net = self.net
        places = net.places(torch.arange(tokens.shape[1]))
        x = net.encoder(net.drop(net.norm(net.words(tokens) + places)))
        return net.head(net.pool(x[:, 0]).tanh())


@plant("STOCHASTIC_EVAL", consequence=("EVAL_IN_TRAIN_MODE",))
def dropout_always_on(parts: Parts, seed: int) -> None:
    parts.model = Between(parts.model, lambda z: nn.functional.dropout(z, 0.3))


@plant("INPUT_NOT_NORMALISED", ("LSTM",))
def pixels_up_to_255(parts: Parts, seed: int) -> None:
    parts.rows = sequences(seed, scaled=False)


@plant("EVAL_ON_TRAIN", accept=("TRAIN_VAL_LEAK",))
def validated_on_training_rows(parts: Parts, seed: int) -> None:
    parts.rows.X_val, parts.rows.y_val = parts.rows.X, parts.rows.y


@plant("IMAGE_LAYOUT_SCRAMBLED", ("RESNET", "VIT"))
def channels_last_read_as_first(parts: Parts, seed: int) -> None:
    for name in ("X", "X_val"):
        x = getattr(parts.rows, name)
        setattr(parts.rows, name, x.permute(0, 2, 3, 1).contiguous().view(x.shape))


@plant("IGNORED_LABELS")
def half_the_labels_ignored(parts: Parts, seed: int) -> None:
    parts.rows.y[::2] = -100


# Healthy, though they look odd.


@plant()
def as_it_is(parts: Parts, seed: int) -> None:
    pass


@plant()
def trunk_frozen(parts: Parts, seed: int) -> None:
    for name, p in parts.model.named_parameters():
        p.requires_grad_(name.startswith("head"))
    parts.optimizer = lambda net: sgd(net.head, 0.01)


@plant()
def head_starts_at_zero(parts: Parts, seed: int) -> None:
    nn.init.zeros_(parts.model.head.weight)
    nn.init.zeros_(parts.model.head.bias)


@plant()
def smoothed_with_adamw(parts: Parts, seed: int) -> None:
    parts.loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
    parts.optimizer = lambda net: torch.optim.AdamW(net.parameters(), 3e-4, weight_decay=0.05)


@plant(nets=("RESNET", "VIT"))
def pixels_up_to_255_normalised_within(parts: Parts, seed: int) -> None:
    parts.rows = images(seed, scaled=False)
    parts.model = nn.Sequential(nn.BatchNorm2d(3), parts.model)


@plant(nets=("RESNET",))
def branches_start_at_zero(parts: Parts, seed: int) -> None:
    for block in parts.model.blocks:
        nn.init.zeros_(block.norm2.weight)


@plant(nets=("RESNET", "VIT", "LSTM", "ENCODER"))
def a_hundred_outputs(parts: Parts, seed: int) -> None:
    parts.model.head = nn.Linear(parts.model.head.in_features, 100)
