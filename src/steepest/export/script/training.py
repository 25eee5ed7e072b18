"""The training loop of a script."""

from collections.abc import Iterator

from steepest.engine import Plan, parameter_settings
from steepest.export.script.compose import Constants
from steepest.export.script.loss import LossWriter
from steepest.export.script.net import NetWriter
from steepest.export.script.schedule import ScheduleWriter, factor_code
from steepest.recipe import Recipe

_COSTS = {
    "loss": 'row["val_loss"]',
    "accuracy": '(-row["val_acc"], row["val_loss"])',
}
_SCHEDULED = ("weight_decay", "dropout", "label_smoothing")


class TrainingWriter:
    """Writes the optimizer and the loop.

    Attributes:
        constants: What the code uses.
        code: Functions, the last of them `train`.

    Raises:
        RecipeError: For a setting that a script does not express.
    """

    constants: Constants

    def __init__(
        self, plan: Plan, net: NetWriter, schedule: ScheduleWriter, *, validation: bool
    ) -> None:
        self._plan, self._recipe, self._net = plan, plan.recipe, net
        self._schedule, self._loss = schedule, LossWriter(plan)
        self._validation = validation
        recipe = self._recipe
        self._factors = [n for n in _SCHEDULED if getattr(recipe, f"{n}_schedule") != "constant"]
        self._settings = parameter_settings(recipe, plan.model)
        self._uniform = len({(s.lr_scale, s.weight_decay) for s in self._settings.values()}) == 1
        self._is_cut = plan.total_steps % plan.steps_per_epoch != 0
        self._counts_steps = self._is_cut or any(
            "step" in line for line in (*self._before_step(), self._loss.of_minibatch)
        )
        epochs = -(-plan.total_steps // plan.steps_per_epoch)
        self.constants = {
            "EPOCHS": (epochs, ""),
            "BATCH_SIZE": (plan.batch_size, ""),
            **schedule.constants,
            "MOMENTUM": (recipe.momentum, ""),
            "BETAS": (recipe.betas, "decay of Adam's two averages"),
            "RMS_DECAY": (recipe.rms_decay, ""),
            "EPS": (recipe.eps, ""),
            "MUON_MOMENTUM": (recipe.muon_momentum, ""),
            "WEIGHT_DECAY": (recipe.weight_decay, ""),
            "GROUPS": (self._groups(), "parameters, factor of the learning rate, weight decay"),
            "L1": (recipe.l1, "of the sum of |w|"),
            "L2": (recipe.l2, "of the sum of w squared"),
            "CLIP_NORM": (recipe.clip_norm, ""),
            "CLIP_VALUE": (recipe.clip_value, ""),
            "ACCUMULATE": (recipe.accumulate, "minibatches whose gradients make one step"),
            "EMA": (recipe.ema, "decay of the average of the weights"),
            "PATIENCE": (recipe.patience, "epochs without a better one before it stops"),
            **self._loss.constants,
        }
        self.code = tuple(self._code())

    def _groups(self) -> list[tuple[list[str], float, float]]:
        """The parameters that have a learning rate and a weight decay in common."""
        found: dict[tuple[float, float], list[str]] = {}
        for name, own in self._settings.items():
            found.setdefault((own.lr_scale, own.weight_decay), []).append(name)
        return [(names, scale, decay) for (scale, decay), names in found.items()]

    def _code(self) -> Iterator[str]:
        recipe = self._recipe
        yield from self._schedule.code
        for name in self._factors:
            yield factor_code(f"{name}_factor", getattr(recipe, f"{name}_schedule"))
        yield from self._loss.code
        if recipe.l1 or recipe.l2:
            yield self._penalty()
        yield "\n".join(self._train())

    def _penalty(self) -> str:
        recipe = self._recipe
        weights = "net.parameters()" if recipe.penalise_biases else "weights"
        terms = [
            f"{name} * sum(w.{of}.sum() for w in {weights})"
            for name, of in (("L1", "abs()"), ("L2", "square()"))
            if getattr(recipe, name.lower())
        ]
        lines = ["def penalty(net: nn.Module) -> Tensor:"]
        if not recipe.penalise_biases:
            lines.append("    weights = [w for w in net.parameters() if w.ndim > 1]  # no biases")
        return "\n".join([*lines, f"    return {' + '.join(terms)}"])

    # The loop.

    def _train(self) -> Iterator[str]:
        recipe = self._recipe
        kind = "dict[str, tuple[Tensor, Tensor]]"
        yield f"def train(net: nn.Module, data: {kind}) -> list[dict[str, float]]:"
        yield '    """Train the net; what was measured in each epoch."""'
        yield '    X, y = data["train"]'
        yield from (f"    {line}" for line in self._optimizer())
        if recipe.ema:
            yield "    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(EMA))"
        if recipe.early_stopping:
            best = "math.inf" if recipe.best_by == "loss" else "(math.inf, math.inf)"
            yield f"    best, best_epoch, best_weights = {best}, 0, net.state_dict()"
        if self._schedule.by_loss:
            yield "    factor, lowest, waited = 1.0, math.inf, 0"
        yield "    history, step = [], 0" if self._counts_steps else "    history = []"
        yield "    for epoch in range(EPOCHS):"
        yield from (f"        {line}" for line in self._epoch())
        if recipe.early_stopping:
            yield "    net.load_state_dict(best_weights)"
        elif recipe.ema:
            yield "    net.load_state_dict(average.module.state_dict())"
        yield "    return history"

    def _optimizer(self) -> Iterator[str]:
        recipe = self._recipe
        parameters = "net.parameters()"
        if not self._uniform:
            yield "named = dict(net.named_parameters())"
            yield "groups = ["
            weights = "[named[name] for name in names]"
            yield f'    {{"params": {weights}, "scale": scale, "weight_decay": decay}}'
            yield "    for names, scale, decay in GROUPS"
            yield "]"
            parameters = "groups"
        scale = self._groups()[0][1] if self._uniform else 1.0
        rate = "LEARNING_RATE" if scale == 1.0 else f"{scale!r} * LEARNING_RATE"
        arguments = [parameters, f"lr={rate}", *self._arguments(recipe)]
        if self._uniform and self._groups()[0][2]:
            arguments.append("weight_decay=WEIGHT_DECAY")
        name = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}
        yield f"optimizer = torch.optim.{name[recipe.optimizer]}({', '.join(arguments)})"

    def _arguments(self, recipe: Recipe) -> Iterator[str]:
        match recipe.optimizer:
            case "adam" | "adamw":
                yield from ("betas=BETAS", "eps=EPS")
            case "rmsprop":
                yield from ("alpha=RMS_DECAY", "eps=EPS")
        if recipe.momentum:
            yield "momentum=MOMENTUM"
        if recipe.nesterov:
            yield "nesterov=True"
        # AdamW has a decay by default.
        if recipe.optimizer == "adamw" and self._uniform and not self._groups()[0][2]:
            yield "weight_decay=0.0"

    def _epoch(self) -> Iterator[str]:
        recipe = self._recipe
        cut = self._is_cut
        rows = "rows" if cut else "len(y)"
        yield "net.train()"
        yield "loss_sum, right = 0.0, 0" if not cut else "loss_sum, right, rows = 0.0, 0, 0"
        if recipe.sampling == "weighted":
            yield "order = drawn_by_weight(np.array(CLASS_WEIGHTS)[y], epoch)"
        else:
            yield "order = permutation(len(y), SHUFFLE, epoch)"
        yield "for batch in torch.from_numpy(order).split(BATCH_SIZE):"
        yield from (f"    {line}" for line in self._step())
        yield "    loss_sum += loss.item() * len(batch)"
        right = self._loss.right.replace("== y", "== y[batch]")
        yield f"    right += int({right}.sum())"
        if cut:
            yield "    rows += len(batch)"
        if self._counts_steps:
            yield "    step += 1"
        if cut:
            yield from ("    if step == STEPS:", "        break")
        means = f'"train_loss": loss_sum / {rows}, "train_acc": right / {rows}'
        yield f'row = {{"epoch": epoch, {means}}}'
        measured = "average.module" if recipe.ema else "net"
        if self._validation:
            yield f'row["val_loss"], row["val_acc"] = evaluate({measured}, *data["validation"])'
        yield 'print("  ".join(f"{name} {value:.8g}" for name, value in row.items()))'
        yield "history.append(row)"
        if self._schedule.by_loss:
            yield from self._plateau()
        if recipe.early_stopping:
            yield from self._early_stopping(measured)

    def _plateau(self) -> Iterator[str]:
        yield 'if row["val_loss"] < lowest * (1 - 1e-4):'
        yield '    lowest, waited = row["val_loss"], 0'
        yield "else:"
        yield "    waited += 1"
        yield "if waited > PLATEAU_PATIENCE:"
        yield "    factor, waited = factor * GAMMA, 0"

    def _early_stopping(self, measured: str) -> Iterator[str]:
        yield f"cost = {_COSTS[self._recipe.best_by]}"
        yield "if cost < best:"
        yield "    best, best_epoch = cost, epoch"
        yield f"    best_weights = copy.deepcopy({measured}.state_dict())"
        yield "if epoch - best_epoch >= PATIENCE:"
        yield "    break"

    def _before_step(self) -> Iterator[str]:
        """What depends on the number of the step."""
        net = self._net
        if net.has_dropout:
            yield "Dropout.step = step"
        if "dropout" in self._factors and net.has_dropout:
            yield "Dropout.factor = dropout_factor(step)"
        if net.has_residual_depth:
            yield "Residual.step = step"
        yield from self._rates()

    def _step(self) -> Iterator[str]:
        recipe = self._recipe
        yield from self._before_step()
        yield "outputs = net(X[batch])"
        yield f"loss = {self._loss.of_minibatch}"
        yield "optimizer.zero_grad()"
        penalised = bool(recipe.l1 or recipe.l2)
        yield "(loss + penalty(net)).backward()" if penalised else "loss.backward()"
        if recipe.clip_norm:
            yield "nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)"
        if recipe.clip_value:
            yield "nn.utils.clip_grad_value_(net.parameters(), CLIP_VALUE)"
        yield "optimizer.step()"
        if recipe.ema:
            yield "average.update_parameters(net)"

    def _rates(self) -> Iterator[str]:
        """The numbers of the optimizer that are others in each step."""
        decays = "weight_decay" in self._factors
        if not (self._schedule.changes or decays or not self._uniform):
            return
        yield "for group in optimizer.param_groups:"
        rate = "LEARNING_RATE"
        if self._schedule.changes:
            rate = f"learning_rate(step{', factor' * self._schedule.by_loss})"
        if not self._uniform:
            rate += ' * group["scale"]'
        if self._schedule.changes or not self._uniform:
            yield f'    group["lr"] = {rate}'
        if decays:
            yield '    group["weight_decay"] = WEIGHT_DECAY * weight_decay_factor(step)'
