"""The training loop of a script."""

from collections.abc import Iterator

from steepest.engine import Plan
from steepest.export.script.compose import Constants
from steepest.export.script.loss import LossWriter
from steepest.export.script.net import NetWriter
from steepest.export.script.optimizer import OptimizerWriter
from steepest.export.script.schedule import ScheduleWriter, factor_code
from steepest.training.weights import first_averaged

_COSTS = {
    "loss": 'row["val_loss"]',
    "accuracy": '(-row["val_acc"], row["val_loss"])',
    "balanced_accuracy": '(-balanced_accuracy({net}, *data["validation"]), row["val_loss"])',
}
# In the order in which they are made.
_AUGMENTATIONS = {"crop": "cropped", "flip": "flipped", "shift": "shifted", "cutout": "cut_out"}
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
        self._penalised = bool(recipe.l1 or recipe.l2)
        self._augmented = [done for name, done in _AUGMENTATIONS.items() if getattr(recipe, name)]
        self._flat_images = len(plan.inputs.shape) == 2
        self._factors = [
            name
            for name in _SCHEDULED
            if getattr(recipe, f"{name}_schedule") != "constant"
            if name != "dropout" or net.has_dropout
        ]
        self._optimizer = OptimizerWriter(plan, schedule)
        self._is_cut = plan.total_steps % plan.steps_per_epoch != 0
        self._counts_steps = (
            self._is_cut
            or bool(self._augmented)
            or any("step" in line for line in (*self._before_step(), self._loss.of_minibatch))
        )
        epochs = -(-plan.total_steps // plan.steps_per_epoch)
        self.constants = {
            "EPOCHS": (epochs, ""),
            "BATCH_SIZE": (plan.batch_size, ""),
            **schedule.constants,
            **self._optimizer.constants,
            "L1": (recipe.l1, "of the sum of |w|"),
            "L2": (recipe.l2, "of the sum of w squared"),
            "CLIP_NORM": (recipe.clip_norm, ""),
            "CLIP_VALUE": (recipe.clip_value, ""),
            "ACCUMULATE": (recipe.accumulate, "minibatches whose gradients make one step"),
            "EMA": (recipe.ema, "decay of the average of the weights"),
            "FIRST_AVERAGED": (first_averaged(plan), "epoch of those whose weights are averaged"),
            "MOST_CROP": (recipe.crop, "pixels"),
            "MOST_SHIFT": (recipe.shift, "pixels"),
            "SIDE": (recipe.cutout, "pixels of the square that is cut out"),
            "PATIENCE": (recipe.patience, "epochs without a better one before it stops"),
            **self._loss.constants,
        }
        self.code = tuple(self._code())

    def _code(self) -> Iterator[str]:
        recipe = self._recipe
        yield from self._schedule.code
        for name in self._factors:
            yield factor_code(f"{name}_factor", getattr(recipe, f"{name}_schedule"))
        yield from self._loss.code
        if recipe.early_stopping and recipe.best_by == "balanced_accuracy":
            yield self._loss.balanced_accuracy
        if self._penalised:
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
        yield from (f"    {line}" for line in self._optimizer.made)
        if recipe.ema:
            yield "    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(EMA))"
        elif recipe.swa:
            yield "    average = AveragedModel(net)"
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
        elif recipe.ema or recipe.swa:
            yield "    net.load_state_dict(average.module.state_dict())"
        if recipe.swa and self._net.has_batch_norm:
            yield "    update_bn(X.split(1024), net)  # the statistics of the mean weights"
        yield "    return history"

    def _epoch(self) -> Iterator[str]:
        recipe, cut = self._recipe, self._is_cut
        rows = "rows" if cut else "len(y)"
        yield "net.train()"
        yield "loss_sum, right = 0.0, 0" if not cut else "loss_sum, right, rows = 0.0, 0, 0"
        if recipe.sampling == "weighted":
            yield "order = drawn_by_weight(np.array(CLASS_WEIGHTS)[y], epoch)"
        else:
            yield "order = permutation(len(y), SHUFFLE, epoch)"
        if recipe.accumulate > 1:
            yield "batches = torch.from_numpy(order).split(BATCH_SIZE)"
            yield "for i, batch in enumerate(batches):"
        else:
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
        if recipe.swa:
            yield "if epoch >= FIRST_AVERAGED:"
            yield "    average.update_parameters(net)"
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
        cost = _COSTS[self._recipe.best_by].format(net=measured)
        yield f"cost = {cost}"
        yield "if cost < best:"
        yield "    best, best_epoch = cost, epoch"
        yield f"    best_weights = copy.deepcopy({measured}.state_dict())"
        yield "if epoch - best_epoch >= PATIENCE:"
        yield "    break"

    # A step.

    def _before_step(self) -> Iterator[str]:
        """What depends on the number of the step."""
        net = self._net
        if net.has_dropout:
            yield "Dropout.step = step"
        if "dropout" in self._factors:
            yield "Dropout.factor = dropout_factor(step)"
        if net.has_residual_depth:
            yield "StochasticResidual.step = step"
        yield from self._optimizer.numbers

    def _step(self) -> Iterator[str]:
        recipe = self._recipe
        yield from self._before_step()
        if recipe.optimizer == "lbfgs":
            yield from self._evaluated_by_lbfgs()
        elif recipe.accumulate > 1:
            yield from self._accumulated()
        else:
            yield from self._forward()
            yield self._optimizer.zero
            yield "(loss + penalty(net)).backward()" if self._penalised else "loss.backward()"
            yield from self._clipped()
            yield from self._optimizer.step
        if recipe.ema and recipe.accumulate == 1:
            yield "average.update_parameters(net)"

    def _forward(self) -> Iterator[str]:
        as_planes = bool(self._augmented) and self._flat_images
        batch = "X[batch][:, None]" if as_planes else "X[batch]"
        if len(self._augmented) > 1:
            yield f"images = {batch}"
            yield from (f"images = {name}(images, step)" for name in self._augmented)
            batch = "images"
        elif self._augmented:
            batch = f"{self._augmented[0]}({batch}, step)"
        if as_planes:
            batch += "[:, 0]"
        yield f"outputs = net({batch})"
        yield f"loss = {self._loss.of_minibatch}"

    def _clipped(self) -> Iterator[str]:
        if self._recipe.clip_norm:
            yield "nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)"
        if self._recipe.clip_value:
            yield "nn.utils.clip_grad_value_(net.parameters(), CLIP_VALUE)"

    def _accumulated(self) -> Iterator[str]:
        yield "window = batches[i - i % ACCUMULATE :][:ACCUMULATE]"
        yield "if i % ACCUMULATE == 0:"
        yield f"    {self._optimizer.zero}"
        yield from self._forward()
        if self._loss.weighted:
            yield "weights = outputs.new_tensor(CLASS_WEIGHTS)[y]"
            yield "share = weights[batch].sum() / weights[torch.cat(window)].sum()"
        else:
            yield "share = len(batch) / sum(map(len, window))"
        yield "(share * loss).backward()"
        yield "if batch is window[-1]:"
        if self._penalised:
            yield "    penalty(net).backward()"
        yield from (f"    {line}" for line in (*self._clipped(), *self._optimizer.step))
        if self._recipe.ema:
            yield "    average.update_parameters(net)"

    def _evaluated_by_lbfgs(self) -> Iterator[str]:
        """One step evaluates the loss several times; what is told is the first of them."""
        yield "evaluated = []"
        yield ""
        yield "def evaluate_again() -> Tensor:"
        yield f"    {self._optimizer.zero}"
        yield from (f"    {line}" for line in self._forward())
        yield f"    {'(loss + penalty(net))' if self._penalised else 'loss'}.backward()"
        yield from (f"    {line}" for line in self._clipped())
        yield "    evaluated.append((loss.detach(), outputs.detach()))"
        yield "    return loss"
        yield ""
        yield "optimizer.step(evaluate_again)"
        yield "loss, outputs = evaluated[0]"
