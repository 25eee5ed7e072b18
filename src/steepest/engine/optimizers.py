"""How parameters move down their gradient g: what torch.optim computes, by parameter name.

With the learning rate r and the weight decay d (both of the parameter), at update t:
sgd:      g += d w;  v = m v + g;  w -= r v            (Nesterov: w -= r (g + m v))
adam:     g += d w;  u = b1 u + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
          w -= r u / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)         (Kingma and Ba, ICLR 2015)
adamw:    w -= r d w, then adam without d                    (Loshchilov and Hutter, ICLR 2019)
rmsprop:  g += d w;  v = a v + (1 - a) g^2;  s = g / (sqrt(v) + eps);  w -= r s
          (with momentum: u = m u + s;  w -= r u)                        (Tieleman and Hinton, 2012)
muon:     hidden matrices: w -= r d w;  u = m u + (1 - m) g;  v = m u + (1 - m) g;
          w -= r max(1, rows / columns)^(1/2) O(v), O as in `orthogonalised`;
          all other parameters: adamw                                          (Jordan et al., 2024)
Before that the penalties are added to g (2 l2 w + l1 sign(w)), and g is clipped.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from steepest.engine.contract import OptimizerState
from steepest.engine.groups import ParameterSettings
from steepest.errors import EngineError
from steepest.recipe import Recipe

# Of what torch.optim keeps, what we save, by optimizer.
_KEPT = {
    "adam": ("exp_avg", "exp_avg_sq", "step"),
    "adamw": ("exp_avg", "exp_avg_sq", "step"),
    "rmsprop": ("square_avg", "momentum_buffer", "step"),
}
# Of the quintic iteration that makes Muon's steps orthogonal: torch.optim.Muon's numbers.
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5
_LEAST_NORM = 1e-7
# What L-BFGS keeps of all parameters together: counts, where it started at a minimum; after a step
# more; after two its pairs.
_COUNTS, _PAIRS = {"func_evals", "n_iter"}, {"old_dirs", "old_stps", "ro"}
_ONE_STEP = _COUNTS | {"d", "t", "H_diag", "prev_flat_grad", "prev_loss"}
_MEMORY = _ONE_STEP | _PAIRS
_WHOLE_MEMORIES: tuple[set[str], ...] = (set(), _COUNTS, _ONE_STEP, _MEMORY)
_WHOLE = ({"momentum"}, {"momentum_buffer"}, {"square_avg", "step"}, *map(set, _KEPT.values()))


def require_fitting(state: OptimizerState, parameters: Mapping[str, Tensor]) -> None:
    """Refuse what no run of these parameters has kept: a file of a stranger may hold anything.

    Args:
        state: As `Engine.export` gives it.
        parameters: By name.

    Raises:
        EngineError: It is of other parameters, of another form, or half is missing.
    """
    trainable = {name: p for name, p in parameters.items() if p.requires_grad}
    averaged = {name for name, kept in state.items() if "average" in kept}
    if averaged and trainable.keys() - averaged:
        lacking = min(trainable.keys() - averaged)
        raise EngineError(f"the optimizer's state has no average of {lacking!r}")
    for name, kept in state.items():
        if not name:
            _require_memory(kept, sum(p.numel() for p in trainable.values()))
            continue
        if name not in parameters:
            raise EngineError(f"the optimizer's state has {name!r}, which is no parameter")
        keys, shape = kept.keys() - {"average"}, parameters[name].shape
        if keys and keys not in _WHOLE:
            raise EngineError(
                f"the optimizer's state of {name!r} is {', '.join(sorted(keys))}, which no "
                "optimizer keeps"
            )
        for key, tensor in kept.items():
            fits = tensor.numel() == 1 if key == "step" else tensor.shape == shape
            if not (fits and tensor.is_floating_point()):
                raise EngineError(
                    f"the optimizer's {key} of {name!r} does not fit: it must be of "
                    f"{'one number' if key == 'step' else f'the shape {tuple(shape)}'}, but is "
                    f"{tensor.dtype} of the shape {tuple(tensor.shape)}"
                )
            if key == "step" and not 0 <= float(tensor) <= 2**53:
                raise EngineError(f"the optimizer's step of {name!r} is {float(tensor)}, no count")


class Optimizer(Protocol):
    """Moves named parameters by their gradients.

    A step has a learning rate and a factor of all weight decays.
    """

    def step(self, rate: float, decay: float = 1.0) -> None: ...
    def state(self) -> OptimizerState: ...
    def load(self, state: OptimizerState) -> None: ...


def make_optimizer(
    recipe: Recipe, parameters: Mapping[str, Tensor], settings: Mapping[str, ParameterSettings]
) -> Optimizer:
    """The optimizer that a recipe names, for these parameters. LBFGS is LBFGS below."""
    if recipe.optimizer == "sgd":
        return SGD(parameters, settings, momentum=recipe.momentum, nesterov=recipe.nesterov)
    if recipe.optimizer == "muon":
        return Muon(recipe, parameters, settings)
    return TorchOptimizer(recipe, parameters, settings)


@torch.no_grad()
def add_penalties(
    parameters: Mapping[str, Tensor], settings: Mapping[str, ParameterSettings]
) -> None:
    """Add the gradients of l1 sum |w| + l2 sum w^2 to those of the loss."""
    for name, w in parameters.items():
        own = settings[name]
        if w.grad is None:
            continue
        if own.l2:
            w.grad.add_(w, alpha=2 * own.l2)
        if own.l1:
            w.grad.add_(w.sign(), alpha=own.l1)


class SGD:
    """torch.optim.SGD without its overhead.

    Of a small net's step that takes a sixth for bookkeeping (docs/decisions/0004). Parameters
    without a gradient in a step stay as they are.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        settings: Mapping[str, ParameterSettings] | None = None,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self._parameters = dict(parameters)
        self._momentum = momentum
        self._nesterov = nesterov
        self._velocity: dict[str, Tensor] = {}
        by_settings = defaultdict(list)
        for name in parameters:
            own = settings[name] if settings else ParameterSettings()
            by_settings[own.lr_scale, own.weight_decay].append(name)
        self._groups = list(by_settings.items())

    @torch.no_grad()
    def step(self, rate: float, decay: float = 1.0) -> None:
        """Update the parameters from their gradients, at the learning rate of this step."""
        for (lr_scale, weight_decay), names in self._groups:
            used = {n: p for n in names if (p := self._parameters[n]).grad is not None}
            weights = list(used.values())
            if not weights:
                continue
            directions = [w.grad for w in weights if w.grad is not None]
            if weight_decay:
                alpha = decay * weight_decay
                directions = list(torch._foreach_add(directions, weights, alpha=alpha))
            if self._momentum:
                directions = self._with_momentum(list(used), directions)
            torch._foreach_add_(weights, directions, alpha=-rate * lr_scale)

    def state(self) -> OptimizerState:
        """A copy of the velocities, by parameter."""
        return {name: {"momentum": v.clone()} for name, v in self._velocity.items()}

    def load(self, state: OptimizerState) -> None:
        self._velocity = {
            name: kept["momentum"].clone() for name, kept in state.items() if "momentum" in kept
        }

    def _with_momentum(self, names: list[str], gradients: list[Tensor]) -> list[Tensor]:
        for name, gradient in zip(names, gradients, strict=True):
            if name not in self._velocity:  # zero makes the update below v = g, as PyTorch begins
                self._velocity[name] = torch.zeros_like(gradient)
        velocities = [self._velocity[name] for name in names]
        torch._foreach_mul_(velocities, self._momentum)
        torch._foreach_add_(velocities, gradients)
        if not self._nesterov:
            return velocities
        return list(torch._foreach_add(gradients, velocities, alpha=self._momentum))


class TorchOptimizer:
    """Adam, AdamW and RMSprop of torch.optim, with their state by parameter name."""

    def __init__(
        self,
        recipe: Recipe,
        parameters: Mapping[str, Tensor],
        settings: Mapping[str, ParameterSettings],
    ) -> None:
        self._parameters = dict(parameters)
        name = "adamw" if recipe.optimizer == "muon" else recipe.optimizer
        self._kept = _KEPT[name]
        self._scales = [settings[name].lr_scale for name in parameters]
        self._decays = [settings[name].weight_decay for name in parameters]
        groups = [
            {"params": [p], "weight_decay": settings[name].weight_decay}
            for name, p in parameters.items()
        ]
        # The same decay and scale for all is the usual case, and one group is quicker than many.
        if len({settings[name] for name in parameters}) == 1:
            groups = [{**groups[0], "params": list(parameters.values())}]
        common: dict[str, Any] = {"lr": 1.0, "eps": recipe.eps, "foreach": True}
        if name == "rmsprop":
            extra: dict[str, Any] = {"alpha": recipe.rms_decay, "momentum": recipe.momentum}
            self._optimizer: torch.optim.Optimizer = torch.optim.RMSprop(groups, **common, **extra)
        else:
            kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
            self._optimizer = kind(groups, **common, betas=(recipe.betas[0], recipe.betas[1]))

    def step(self, rate: float, decay: float = 1.0) -> None:
        groups = self._optimizer.param_groups
        for group, scale, whole in zip(groups, self._scales, self._decays, strict=False):
            group["lr"], group["weight_decay"] = rate * scale, decay * whole
        self._optimizer.step()

    def state(self) -> OptimizerState:
        """A copy of what is kept of each parameter, in torch.optim's own names."""
        return {
            name: {key: state[key].clone() for key in self._kept if key in state}
            for name, p in self._parameters.items()
            if (state := self._optimizer.state.get(p))
        }

    def load(self, state: OptimizerState) -> None:
        for name, kept in state.items():
            self._optimizer.state[self._parameters[name]] = {
                key: kept[key].clone() for key in self._kept if key in kept
            }


class Muon:
    """Muon for hidden matrices and AdamW for all others, as `ParameterSettings` divides them.

    As torch.optim.Muon with its defaults, but for the products, which that one makes in bfloat16
    and this one in the parameters' own type: so that it gives the native engine's numbers.
    """

    def __init__(
        self,
        recipe: Recipe,
        parameters: Mapping[str, Tensor],
        settings: Mapping[str, ParameterSettings],
    ) -> None:
        self._momentum = recipe.muon_momentum
        self._settings = settings
        self._hidden = {name: p for name, p in parameters.items() if settings[name].muon}
        others = {name: p for name, p in parameters.items() if not settings[name].muon}
        self._others = TorchOptimizer(recipe, others, settings) if others else None
        self._means: dict[str, Tensor] = {}

    @torch.no_grad()
    def step(self, rate: float, decay: float = 1.0) -> None:
        for name, w in self._hidden.items():
            if w.grad is None:
                continue
            mean = self._means.setdefault(name, torch.zeros_like(w.grad))
            mean.lerp_(w.grad, 1 - self._momentum)
            direction = orthogonalised(w.grad.lerp(mean, self._momentum))
            own = self._settings[name]
            longer = max(1.0, w.shape[0] / w.shape[1]) ** 0.5
            w.mul_(1 - rate * own.lr_scale * decay * own.weight_decay)
            w.add_(direction, alpha=-rate * own.lr_scale * longer)
        if self._others is not None:
            self._others.step(rate, decay)

    def state(self) -> OptimizerState:
        """A copy of the means and of what AdamW keeps, in torch.optim's own names."""
        means = {name: {"momentum_buffer": mean.clone()} for name, mean in self._means.items()}
        return means if self._others is None else {**means, **self._others.state()}

    def load(self, state: OptimizerState) -> None:
        self._means = {
            name: state[name]["momentum_buffer"].clone()
            for name in self._hidden
            if "momentum_buffer" in state.get(name, {})
        }
        if self._others is not None:
            others = {name: kept for name, kept in state.items() if name not in self._hidden}
            self._others.load(others)


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors, whose singular values lie between about 0.7 and 1.2.

    X / |X| is taken through five steps X <- a X + (b G + c G^2) X with G = X X^T, of Newton and
    Schulz. Singular values below about 1e-3 of the Frobenius norm stay smaller.

    Args:
        matrix: (n, m).

    Returns:
        (n, m).

    Source:
        K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """
    a, b, c = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=_LEAST_NORM)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class LBFGS:
    """torch.optim.LBFGS with its line search, for the gradient of all rows at once.

    One step is one update; a step evaluates the loss several times. Its memory is of all
    parameters together, so its state has the name "".
    """

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self._first = next(iter(parameters.values()))
        self._optimizer = torch.optim.LBFGS(
            list(parameters.values()), max_iter=1, line_search_fn="strong_wolfe"
        )

    def state(self) -> OptimizerState:
        """What torch keeps, as tensors: lists are stacked, numbers are float64; the key says so."""
        saved: dict[str, Tensor] = {}
        for key, value in self._optimizer.state[self._first].items():
            if key == "al":  # scratch of the step, made anew
                continue
            if isinstance(value, list) and value:
                saved[f"{key}:list"] = torch.stack(value)
            elif isinstance(value, Tensor):
                saved[key] = value.clone()
            elif isinstance(value, (int, float)):
                saved[f"{key}:{type(value).__name__}"] = torch.tensor(value, dtype=torch.double)
        return {"": saved} if saved else {}

    def load(self, state: OptimizerState) -> None:
        kept = self._optimizer.state[self._first]
        for name, tensor in state.get("", {}).items():
            key, _, kind = name.partition(":")
            match kind:
                case "list":
                    kept[key] = [part.clone() for part in tensor]
                case "int":
                    kept[key] = int(tensor)
                case "float":
                    kept[key] = float(tensor)
                case _:
                    kept[key] = tensor.clone()
        if kept:
            for key in ("old_dirs", "old_stps", "ro"):
                kept.setdefault(key, [])

    def step(self, rate: float, loss: Callable[[], Tensor]) -> None:
        """One step. loss: computes the loss and its gradients anew."""
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.step(loss)  # type: ignore[no-untyped-call]


def _require_memory(memory: Mapping[str, Tensor], count: int) -> None:
    """Raise EngineError unless this is a memory of L-BFGS. count: numbers of all parameters."""
    pairs = len(memory["ro:list"]) if memory.get("ro:list", torch.tensor(0)).ndim else 0
    there = {name.partition(":")[0] for name in memory}
    if there not in _WHOLE_MEMORIES:
        lacking = ", ".join(sorted(_MEMORY - there))
        raise EngineError(f"the memory of L-BFGS is damaged: it lacks some of {lacking}")
    for name, tensor in memory.items():
        key, _, kind = name.partition(":")
        shapes: dict[str, tuple[int, ...]] = {"d": (count,), "prev_flat_grad": (count,)}
        shapes |= {"ro": (pairs,), "old_dirs": (pairs, count), "old_stps": (pairs, count)}
        expected = shapes.get(key, ())
        known = key in _MEMORY and (kind == "list") == (key in _PAIRS)
        if not known or tuple(tensor.shape) != expected or not tensor.is_floating_point():
            raise EngineError(
                f"the memory of L-BFGS does not fit: its {name!r} must be of the shape {expected}, "
                f"but is {tensor.dtype} of the shape {tuple(tensor.shape)}"
                if known
                else f"the memory of L-BFGS has {name!r}, which no run keeps"
            )
        if kind == "int" and not 0 <= float(tensor) <= 2**53:
            raise EngineError(f"the memory of L-BFGS has {key} = {float(tensor)}, no count")


class Average:
    """The exponential moving average of the parameters: a = decay a + (1 - decay) w.

    It begins with the parameters after the first update, as torch.optim.swa_utils.AveragedModel.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        self._values: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self) -> None:
        if not self._values:
            self._values = {name: p.detach().clone() for name, p in self._parameters.items()}
            return
        values = list(self._values.values())
        torch._foreach_lerp_(values, list(self._parameters.values()), 1 - self._decay)

    def state(self) -> OptimizerState:
        return {name: {"average": value.clone()} for name, value in self._values.items()}

    def load(self, state: OptimizerState) -> None:
        self._values = {  # in the order of the parameters, whatever that of a file was
            name: state[name]["average"].clone()
            for name in self._parameters
            if "average" in state.get(name, {})
        }
