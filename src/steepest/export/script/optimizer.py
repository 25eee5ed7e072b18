"""The optimizer of a script: torch.optim's, or Muon beside it."""

from collections.abc import Iterator

from steepest.engine import Plan, parameter_settings
from steepest.export.script.compose import Constants
from steepest.export.script.schedule import ScheduleWriter

_NAMES = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "muon": "AdamW",
    "lbfgs": "LBFGS",
}


class OptimizerWriter:
    """Writes how an optimizer is made, and what is done with it in a step.

    Attributes:
        constants: What the lines use.
        several: Whether there are two of them, Muon's and one for the rest.
    """

    constants: Constants

    def __init__(self, plan: Plan, schedule: ScheduleWriter) -> None:
        recipe = self._recipe = plan.recipe
        self._schedule = schedule
        self._decays = recipe.weight_decay_schedule != "constant"
        settings = parameter_settings(recipe, plan.model)
        self.several = recipe.optimizer == "muon"
        found: dict[tuple[bool, float, float], list[str]] = {}
        for name, own in settings.items():
            found.setdefault((own.muon, own.lr_scale, own.weight_decay), []).append(name)
        hidden, others = (
            [(names, scale, decay) for (muon, scale, decay), names in found.items() if muon is of]
            for of in (True, False)
        )
        # One group, whose learning rate is that of the recipe, needs no names.
        self._grouped = self.several or len(others) > 1 or others[0][1] != 1.0
        decay = recipe.weight_decay if self._grouped else others[0][2]
        comment = "parameters, factor of the learning rate, weight decay"
        self.constants = {
            "MOMENTUM": (recipe.momentum, ""),
            "BETAS": (recipe.betas, "decay of Adam's two averages"),
            "RMS_DECAY": (recipe.rms_decay, ""),
            "EPS": (recipe.eps, ""),
            "MUON_MOMENTUM": (recipe.muon_momentum, ""),
            "WEIGHT_DECAY": (decay, ""),
            "HIDDEN": (hidden, comment),
            "GROUPS": (others, "the same of all others" if self.several else comment),
        }

    @property
    def made(self) -> Iterator[str]:
        """The lines that make it."""
        recipe = self._recipe
        name = f"torch.optim.{_NAMES[recipe.optimizer]}"
        arguments = "".join(self._arguments())
        if not self._grouped:
            yield f"optimizer = {name}(net.parameters(), lr=LEARNING_RATE{arguments})"
            return
        if not self.several:
            yield f"optimizer = {name}(groups_of(net, GROUPS), lr=LEARNING_RATE{arguments})"
            return
        momentum = '{"lr": LEARNING_RATE, "momentum": MUON_MOMENTUM}'
        yield "optimizers = ["
        yield f"    Muon(groups_of(net, HIDDEN), {momentum}),"
        if self.constants["GROUPS"][0]:
            yield f"    {name}(groups_of(net, GROUPS), lr=LEARNING_RATE{arguments}),"
        yield "]"

    def _arguments(self) -> Iterator[str]:
        """What comes behind the learning rate, each with the comma before it."""
        recipe = self._recipe
        decay = 0.0 if self._grouped else self.constants["WEIGHT_DECAY"][0]
        match recipe.optimizer:
            case "adam" | "adamw" | "muon":
                yield ", betas=BETAS, eps=EPS"
            case "rmsprop":
                yield ", alpha=RMS_DECAY, eps=EPS"
            case "lbfgs":
                yield ', max_iter=1, line_search_fn="strong_wolfe"'
        if recipe.momentum:
            yield ", momentum=MOMENTUM"
        if recipe.nesterov:
            yield ", nesterov=True"
        if decay:
            yield ", weight_decay=WEIGHT_DECAY"
        elif recipe.optimizer == "adamw" and not self._grouped:
            yield ", weight_decay=0.0"  # it has one by default

    @property
    def numbers(self) -> Iterator[str]:
        """The lines that set what is another number in each step, or for each group."""
        scaled = self._grouped
        if not (self._schedule.changes or self._decays or scaled):
            return
        rate = "LEARNING_RATE"
        if self._schedule.changes:
            rate = f"learning_rate(step{', factor' * self._schedule.by_loss})"
        indent = ""
        if self.several:
            yield "for optimizer in optimizers:"
            indent = "    "
        yield f"{indent}for group in optimizer.param_groups:"
        if self._schedule.changes or scaled:
            rate += ' * group["scale"]' * scaled
            yield f'{indent}    group["lr"] = {rate}'
        if self._decays:
            decay = 'group["full_decay"]' if self._grouped else "WEIGHT_DECAY"
            yield f'{indent}    group["weight_decay"] = {decay} * weight_decay_factor(step)'

    @property
    def zero(self) -> str:
        """The line that forgets the gradient."""
        return "net.zero_grad()" if self.several else "optimizer.zero_grad()"

    @property
    def step(self) -> Iterator[str]:
        """The lines that take a step."""
        if self.several:
            yield "for optimizer in optimizers:"
            yield "    optimizer.step()"
        else:
            yield "optimizer.step()"
