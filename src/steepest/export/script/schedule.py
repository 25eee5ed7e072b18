"""The schedules of a script, as plain functions of the step."""

from collections.abc import Iterator

from steepest.engine import Plan
from steepest.export.script.compose import Constants
from steepest.recipe import Recipe

_FACTORS = {
    "cosine": "(1 + math.cos(math.pi * {share})) / 2",
    "flat_cos": "(1 + math.cos(math.pi * max(0.0, 2 * {share} - 1))) / 2",
    "coslog4": "(1 - math.cos(2 * math.pi * math.log2(1 + 15 * {share}))) / 2",
}
_SAID = {
    "constant": "",
    "step": ", less by GAMMA every STEP_SIZE epochs",
    "multistep": ", less by GAMMA after each milestone",
    "exponential": ", less by GAMMA after each epoch",
    "cosine": ", down to MIN_LR along half a cosine",
    "flat_cos": ", from the middle on down to MIN_LR along half a cosine",
    "coslog4": ", in four waves, each twice as long as the one before",
    "one_cycle": ", up from a 25th and down to almost 0",
}
_ONE_CYCLE = """top = 0.3 * STEPS - 1
    if step <= top:
        first, last, share = LEARNING_RATE / 25, LEARNING_RATE, step / top
    else:
        first, last = LEARNING_RATE, LEARNING_RATE / 250_000
        share = (step - top) / (STEPS - 1 - top)
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2"""


class ScheduleWriter:
    """Writes the learning rate of each step.

    Attributes:
        constants: What it uses.
        changes: Whether it is another one in some steps.
        by_loss: Whether it looks at the validation loss, and so is no function of the step.
    """

    constants: Constants

    def __init__(self, plan: Plan, lr: float, found: bool) -> None:
        recipe = self._recipe = plan.recipe
        warmup = recipe.warmup
        self._warmup = int(warmup) if warmup >= 1 else round(warmup * plan.total_steps)
        self._too_long = self._warmup >= plan.total_steps
        self.by_loss = recipe.schedule == "plateau"
        self.changes = self.by_loss or recipe.schedule != "constant" or self._warmup > 0
        self.constants = {
            "LEARNING_RATE": (lr, "found by a range test" if found else ""),
            "WARMUP": (self._warmup, "steps in which the learning rate grows"),
            "MIN_LR": (recipe.min_lr, ""),
            "GAMMA": (recipe.gamma, ""),
            "STEP_SIZE": (recipe.step_size, ""),
            "MILESTONES": (recipe.milestones, "epochs"),
            "PLATEAU_PATIENCE": (recipe.plateau_patience, "epochs"),
            "PERIOD": (
                (recipe.restart_every or 0) * plan.steps_per_epoch,
                "steps between restarts",
            ),
            "STEPS_PER_EPOCH": (plan.steps_per_epoch, ""),
            "STEPS": (plan.total_steps, "of the whole run"),
        }

    @property
    def code(self) -> Iterator[str]:
        if not self.changes:
            return
        recipe, warm = self._recipe, self._warmup > 0
        if self.by_loss:
            head = "def learning_rate(step: int, factor: float) -> float:"
            said = ", as often less by GAMMA as the validation loss stood still"
        else:
            head, said = "def learning_rate(step: int) -> float:", _SAID[recipe.schedule]
        lines = [head, f'    """LEARNING_RATE{said}{", after a warm-up" * warm}."""']
        if recipe.schedule == "one_cycle":
            yield "\n".join([*lines, f"    {_ONE_CYCLE}"])
            return
        *before, rate = self._rate(recipe)
        lines += [f"    {line}" for line in before]
        if warm:
            lines.append(f"    rate = {rate}")
            lines.append("    return rate * (step + 1) / WARMUP if step < WARMUP else rate")
        else:
            lines.append(f"    return {rate}")
        yield "\n".join(lines)

    def _rate(self, recipe: Recipe) -> list[str]:
        """Lines, the last of them an expression of the rate behind the warm-up."""
        epoch = "step // STEPS_PER_EPOCH"
        match recipe.schedule:
            case "constant":
                return ["LEARNING_RATE"]
            case "step":
                return [f"LEARNING_RATE * GAMMA ** ({epoch} // STEP_SIZE)"]
            case "multistep":
                passed = f"sum({epoch} >= milestone for milestone in MILESTONES)"
                return [f"LEARNING_RATE * GAMMA ** {passed}"]
            case "exponential":
                return [f"LEARNING_RATE * GAMMA ** ({epoch})"]
            case "plateau":
                return ["max(LEARNING_RATE * factor, min(LEARNING_RATE, MIN_LR))"]
        warm = self._warmup > 0
        done = "max(0, step - WARMUP)" if warm else "step"
        if recipe.restart_every:
            share = f"{done} % PERIOD / PERIOD"
        else:
            whole = "max(1, STEPS - WARMUP)" if self._too_long else "(STEPS - WARMUP)"
            share = f"{done} / {whole}" if warm else "step / STEPS"
        factor = _FACTORS[recipe.schedule].format(share="share")
        low = recipe.min_lr
        rate = "MIN_LR + (LEARNING_RATE - MIN_LR) * factor" if low else "LEARNING_RATE * factor"
        return [f"share = {share}", f"factor = {factor}", rate]


def factor_code(name: str, schedule: str) -> str:
    """A function of the step, what one of the other numbers is multiplied by."""
    formula = _FACTORS[schedule].format(share="share")
    return f"def {name}(step: int) -> float:\n    share = step / STEPS\n    return {formula}"
