"""The loss that a script's training makes small, and what it measures."""

from collections.abc import Iterator

from steepest.engine import Plan
from steepest.export.script.compose import Constants
from steepest.objective import class_weights

_EVALUATE = '''@torch.no_grad()
def evaluate(net: nn.Module, X: Tensor, y: Tensor) -> tuple[float, float]:
    """The mean cross entropy and the share of rows that are classified rightly."""
    net.eval()
    outputs = net(X).double()
    loss = {loss}
    return loss.item(), {right}.double().mean().item()'''


# By what the outputs are: the rows that are classified rightly, and the plain loss.
_RIGHT = {
    "multiclass": "(outputs.argmax(dim=1) == y)",
    "binary": "((outputs[:, 0] > 0) == y)",
    "multilabel": "((outputs > 0) == y).all(dim=1)",
}
_PLAIN = {
    "multiclass": "F.cross_entropy(outputs, y)",
    "binary": "F.binary_cross_entropy_with_logits(outputs[:, 0], {y})",
    "multilabel": "F.binary_cross_entropy_with_logits(outputs, {y})",
}
_BALANCED = '''@torch.no_grad()
def balanced_accuracy(net: nn.Module, X: Tensor, y: Tensor) -> float:
    """The mean over the classes of the share of their rows that is classified rightly."""
    net.eval()
    outputs = net(X)
    right = {right}.double()
    return float(np.mean([right[y == c].mean().item() for c in y.unique()]))'''


class LossWriter:
    """Writes the loss.

    Attributes:
        constants: What it uses.
        right: Which of some rows are classified rightly, of `outputs` and `y`.
    """

    constants: Constants

    def __init__(self, plan: Plan) -> None:
        self._loss, recipe = plan.loss, plan.recipe
        self._kind = plan.objective.kind
        self._scheduled = recipe.label_smoothing_schedule != "constant"
        self.constants = {}
        if recipe.class_weight is not None:
            weights = class_weights(recipe, plan.targets, plan.class_names or ())
            comment = (
                "rows / (classes * rows of the class)" if recipe.class_weight == "balanced" else ""
            )
            self.constants["CLASS_WEIGHTS"] = (weights, comment)
        self.constants |= {
            "LABEL_SMOOTHING": (
                recipe.label_smoothing,
                "share of a target spread over the classes",
            ),
            "POS_WEIGHT": (self._loss.pos_weight, "of the loss of rows of the second class"),
            "FOCAL_GAMMA": (recipe.focal_gamma, ""),
        }
        self.right = _RIGHT[self._kind]

    @property
    def code(self) -> Iterator[str]:
        lines, smoothing = list(self._lines()), ", smoothing: float" * self._scheduled
        if len(lines) > 1:
            head = f"def loss_of(outputs: Tensor, y: Tensor{smoothing}) -> Tensor:"
            yield "\n".join([head, *(f"    {line}" for line in lines)])
        plain = _PLAIN[self._kind].format(y="y.double()")
        yield _EVALUATE.format(loss=plain, right=self.right)

    @property
    def weighted(self) -> bool:
        """Whether classes have weights in it."""
        return self._loss.class_weights is not None and self._kind != "multilabel"

    @property
    def balanced_accuracy(self) -> str:
        """The function of this name."""
        return _BALANCED.format(right=self.right)

    @property
    def of_minibatch(self) -> str:
        """The loss of `outputs` and `y[batch]`: a call, or the whole of it where that is short."""
        smoothing = "LABEL_SMOOTHING * label_smoothing_factor(step)"
        lines = list(self._lines())
        if len(lines) > 1:
            return f"loss_of(outputs, y[batch]{f', {smoothing}' * self._scheduled})"
        found = lines[0].removeprefix("return ").replace(", y", ", y[batch]")
        return found.replace("=smoothing", f"={smoothing}")

    def _lines(self) -> Iterator[str]:
        smoothing = "smoothing" if self._scheduled else "LABEL_SMOOTHING"
        smoothed, weighted = self._loss.label_smoothing > 0, self._loss.class_weights is not None
        positive = self._loss.pos_weight != 1
        if self._loss.focal_gamma is not None:
            yield from self._focal(weighted, positive)
        elif self._kind == "multiclass":
            more = ", weight=torch.tensor(CLASS_WEIGHTS)" * weighted
            more += f", label_smoothing={smoothing}" * smoothed
            yield f"return F.cross_entropy(outputs, y{more})"
        elif not (smoothed or weighted or positive):
            yield f"return {_PLAIN[self._kind].format(y='y.to(outputs.dtype)')}"
        else:
            logits = "outputs[:, 0]" if self._kind == "binary" else "outputs"
            yield f"logits, targets = {logits}, y.to(outputs.dtype)"
            if smoothed:
                yield f"smoothed = (1 - {smoothing}) * targets + {smoothing} / 2"
            name = "smoothed" if smoothed else "targets"
            if weighted and self._kind == "binary":
                yield from self._weighted(name, positive)
            else:
                more = ", weight=torch.tensor(CLASS_WEIGHTS)" * weighted
                more += ", pos_weight=torch.tensor(POS_WEIGHT)" * positive
                yield f"return F.binary_cross_entropy_with_logits(logits, {name}{more})"

    def _weighted(self, targets: str, positive: bool) -> Iterator[str]:
        second = "POS_WEIGHT * CLASS_WEIGHTS[1]" if positive else "CLASS_WEIGHTS[1]"
        yield f"of_second = {second} * {targets} * F.logsigmoid(logits)"
        yield f"of_first = CLASS_WEIGHTS[0] * (1 - {targets}) * F.logsigmoid(-logits)"
        yield "weights = outputs.new_tensor(CLASS_WEIGHTS)[y]"
        yield "return -(of_first + of_second).sum() / weights.sum()"

    def _focal(self, weighted: bool, positive: bool) -> Iterator[str]:
        if self._kind == "binary":
            yield "logits = outputs[:, 0]"
            yield "log_p = F.logsigmoid(torch.where(y == 1, logits, -logits))"
        else:
            yield 'log_p = -F.cross_entropy(outputs, y, reduction="none")'
        yield "losses = (1 - log_p.exp()) ** FOCAL_GAMMA * -log_p"
        if positive:
            yield "losses = torch.where(y == 1, POS_WEIGHT * losses, losses)"
        if weighted:
            yield "weights = outputs.new_tensor(CLASS_WEIGHTS)[y]"
            yield "return (weights * losses).sum() / weights.sum()"
        else:
            yield "return losses.mean()"
